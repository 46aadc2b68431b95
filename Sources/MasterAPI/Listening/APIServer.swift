// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
public import MasterCore
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// The listeners of the master's API: HTTPS, plain HTTP if it is switched on, and the operator's Unix socket.
public struct APIServer: Sendable {
    /// Where and how the API is served.
    public struct Configuration: Sendable {
        /// HOST and port of the HTTPS listener; `nil` switches it off.
        public var secure: (host: String, port: Int)?
        /// Certificate chain and private key, PEM.
        public var certificate: (chain: String, key: String)?
        /// HOST and port of a listener without TLS; `nil`, the default, switches it off.
        public var plain: (host: String, port: Int)?
        /// Path of the operator's socket.
        ///
        /// Whoever may open it may do everything. `nil` switches it off.
        public var controlSocket: String?
        /// The greatest body of a request, octets.
        public var maximumBodyOctets = 16 * 1024 * 1024

        /// Serves nothing until listeners are named.
        public init() {}
    }

    private let configuration: Configuration
    private let master: Master
    private let logger: Logger

    /// Composes a server; nothing listens yet.
    public init(configuration: Configuration, master: Master, logger: Logger) {
        self.configuration = configuration
        self.master = master
        self.logger = logger
    }

    /// Serves until the task is cancelled.
    ///
    /// - Parameter listening: Called once, when every listener is open.
    /// - Throws: If an address cannot be bound or the certificate is unusable.
    public func run(listening: @escaping @Sendable () async -> Void) async throws {
        var listeners: [Listener] = []
        if let secure = self.configuration.secure {
            listeners.append(
                Listener(address: .hostname(secure.host, port: secure.port), door: .network, isSecure: true)
            )
        }
        if let plain = self.configuration.plain {
            listeners.append(
                Listener(address: .hostname(plain.host, port: plain.port), door: .network, isSecure: false)
            )
        }
        if let path = self.configuration.controlSocket {
            listeners.append(
                Listener(address: .unixDomainSocket(path: path), door: .controlSocket(path), isSecure: false)
            )
        }
        let waiting = Mutex(listeners.count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for listener in listeners {
                let application = try self.application(for: listener) {
                    let rest = waiting.withLock { waiting in
                        waiting -= 1
                        return waiting
                    }
                    if rest == 0 { await listening() }
                }
                group.addTask { try await application.run() }
            }
            try await group.waitForAll()
        }
    }

    private struct Listener: Sendable {
        var address: BindAddress
        var door: APIDoor
        var isSecure: Bool
    }

    private func application(
        for listener: Listener,
        opened: @escaping @Sendable () async -> Void
    ) throws -> Application<CallbackResponder<BasicRequestContext>> {
        let responder = APIResponder(
            master: self.master,
            door: listener.door,
            maximumBodyOctets: self.configuration.maximumBodyOctets,
            logger: self.logger
        )
        var quiet = self.logger
        quiet.logLevel = .warning
        return Application(
            responder: CallbackResponder { request, _ in try await responder.respond(to: request) },
            server: try listener.isSecure ? self.secureServer() : .http1(),
            configuration: ApplicationConfiguration(address: listener.address, serverName: "Telstar"),
            onServerRunning: { channel in
                if case .controlSocket(let path) = listener.door { ControlSocket.restrict(path) }
                self.logger.info(
                    "API listens",
                    metadata: [
                        "address": "\(channel.localAddress.map(String.init(describing:)) ?? "-")",
                        "tls": "\(listener.isSecure)",
                    ]
                )
                await opened()
            },
            logger: quiet
        )
    }

    private func secureServer() throws -> HTTPServerBuilder {
        guard let certificate = self.configuration.certificate else {
            preconditionFailure("an HTTPS listener was configured without a certificate")
        }
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.chain.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(certificate.key.utf8), format: .pem)
        return try .tls(
            .http1(),
            tlsConfiguration: .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
        )
    }
}

/// The way by which a request came in.
enum APIDoor: Sendable {
    /// Over the network: a key is asked for.
    case network
    /// Over the operator's Unix socket, whose file's rights are the authentication.
    case controlSocket(String)
}
