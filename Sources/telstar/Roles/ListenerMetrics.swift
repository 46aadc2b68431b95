// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Listening
import Synchronization

/// The connections of a daemon's listeners as metrics.
final class ListenerMetrics: Sendable {
    private static let open = MetricDefinition(
        "telstar_http_connections",
        .gauge,
        help: "Connections open, by listener."
    )
    private static let refused = MetricDefinition(
        "telstar_http_connections_refused_total",
        .counter,
        help: "Connections refused, by listener and reason: full, address, descriptors."
    )
    private static let cut = MetricDefinition(
        "telstar_http_connections_cut_total",
        .counter,
        help: "Connections closed at a deadline, by listener and deadline: handshake, head, body, idle, answer."
    )

    private let ledgers = Mutex<[ConnectionLedger]>([])

    /// Counts the connections of a listener from now on.
    func add(_ ledger: ConnectionLedger) { self.ledgers.withLock { $0.append(ledger) } }

    /// The values now.
    func collect() -> [CollectedMetric] {
        let counts = self.ledgers.withLock { $0 }.map { (name: $0.name, counts: $0.counts) }
        func numbers(
            _ label: String,
            _ of: (ConnectionLedger.Counts) -> [String: UInt64]
        ) -> [(labels: [(String, String)], value: Double)] {
            counts.flatMap { listener in
                of(listener.counts).sorted { $0.key < $1.key }.map {
                    (labels: [("listener", listener.name), (label, $0.key)], value: Double($0.value))
                }
            }
        }
        return [
            CollectedMetric(Self.open, counts.map { (labels: [("listener", $0.name)], value: Double($0.counts.open)) }),
            CollectedMetric(Self.refused, numbers("reason") { $0.refused }),
            CollectedMetric(Self.cut, numbers("deadline") { $0.cut }),
        ]
    }
}
