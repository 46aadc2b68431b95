// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Listening

/// The options of both roles that bound the connections of their HTTP listeners.
enum ListenerOptions {
    private static let connections = ConfigurationOption.int(
        "http.maxConnections",
        default: ConnectionLimits().connections,
        range: 1...100_000,
        unit: "connections",
        doc:
            "Open at the same time, of each listener; more are refused. At most an eighth of the limit of open files (ulimit -n)."
    )
    private static let connectionsPerAddress = ConfigurationOption.int(
        "http.maxConnectionsPerAddress",
        default: ConnectionLimits().connectionsPerAddress,
        range: 1...100_000,
        unit: "connections",
        doc:
            "Open at the same time from one IPv4 address or one /64 of IPv6, of each listener; raise it behind a proxy."
    )
    private static let handshakeTimeout = ConfigurationOption.duration(
        "http.handshakeTimeout",
        default: ConnectionLimits().handshake,
        range: Self.times,
        doc: "How long a TLS handshake may take."
    )
    private static let headTimeout = ConfigurationOption.duration(
        "http.headTimeout",
        default: ConnectionLimits().head,
        range: Self.times,
        doc: "How long the head of a request may take."
    )
    private static let bodyTimeout = ConfigurationOption.duration(
        "http.bodyTimeout",
        default: ConnectionLimits().body,
        range: Self.times,
        doc: "How long a request's body may stand still; one that keeps coming may take any time."
    )
    private static let idleTimeout = ConfigurationOption.duration(
        "http.idleTimeout",
        default: ConnectionLimits().idle,
        range: Self.times,
        doc: "How long a connection may be open between two requests."
    )
    private static let answerTimeout = ConfigurationOption.duration(
        "http.answerTimeout",
        default: ConnectionLimits().answer,
        range: Self.times,
        doc: "How long a client may read nothing of an answer that is ready."
    )

    private static let times = Duration.milliseconds(100) ... .seconds(86_400)

    /// As a group of an option table.
    static let group = OptionTable.Group(
        "The connections of the HTTP listeners.",
        [
            Self.connections.definition, Self.connectionsPerAddress.definition, Self.handshakeTimeout.definition,
            Self.headTimeout.definition, Self.bodyTimeout.definition, Self.idleTimeout.definition,
            Self.answerTimeout.definition,
        ]
    )

    /// What they say.
    static func limits(_ values: Settings) -> ConnectionLimits {
        var limits = ConnectionLimits(
            connections: values[Self.connections],
            connectionsPerAddress: values[Self.connectionsPerAddress]
        )
        limits.handshake = values[Self.handshakeTimeout]
        limits.head = values[Self.headTimeout]
        limits.body = values[Self.bodyTimeout]
        limits.idle = values[Self.idleTimeout]
        limits.answer = values[Self.answerTimeout]
        return limits
    }
}
