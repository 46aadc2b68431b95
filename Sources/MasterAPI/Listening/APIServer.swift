// SPDX-License-Identifier: Apache-2.0

import HTTPServing
import Hummingbird
public import Listening
public import Logging
public import MasterCore
import NIOCore
import NIOSSL
import ServiceLifecycle
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
        /// The greatest body of a request, bytes.
        public var maximumBodyBytes = 16 * 1024 * 1024
        /// Bounds and deadlines of the connections of each listener.
        public var limits = ConnectionLimits()

        /// Serves nothing until listeners are named.
        public init() {}
    }

    private struct Endpoint: Sendable {
        var transport: APITransport
        var listener: HTTPListener
        var ledger: ConnectionLedger
        var isSecure: Bool
    }

    private let endpoints: [Endpoint]
    private let maximumBodyBytes: Int
    private let master: Master
    private let logger: Logger

    /// Composes a server; nothing listens yet.
    ///
    /// - Parameters:
    ///   - configuration: Where and how.
    ///   - master: Answers; it must be loaded before ``run(listening:)``, or callers get 503.
    ///   - logger: Logs listeners and refused connections.
    /// - Throws: If the certificate is unusable.
    public init(configuration: Configuration, master: Master, logger: Logger) throws {
        self.maximumBodyBytes = configuration.maximumBodyBytes
        self.master = master
        self.logger = logger
        func makeLedger(_ name: String) -> ConnectionLedger {
            ConnectionLedger(name: name, limits: configuration.limits, logger: logger)
        }
        func endpoint(_ name: String, _ host: String, _ port: Int, tls: TLSConfiguration?) -> Endpoint {
            let ledger = makeLedger(name)
            let listener = HTTPListener(
                address: .tcp(host: host, port: port),
                tls: tls,
                ledger: ledger,
                serverName: "Telstar"
            )
            return Endpoint(transport: .network, listener: listener, ledger: ledger, isSecure: tls != nil)
        }
        var endpoints: [Endpoint] = []
        if let (host, port) = configuration.secure {
            guard let certificate = configuration.certificate else {
                preconditionFailure("an HTTPS listener was configured without a certificate")
            }
            let tls = try ServerTLS.configuration(certificatePEM: certificate.chain, privateKeyPEM: certificate.key)
            endpoints.append(endpoint("api.listen", host, port, tls: tls))
        }
        if let (host, port) = configuration.plain {
            endpoints.append(endpoint("api.plainListen", host, port, tls: nil))
        }
        if let path = configuration.controlSocket {
            let ledger = makeLedger("control.sock")
            let listener = HTTPListener(address: .socket(path), ledger: ledger, serverName: "Telstar")
            endpoints.append(
                Endpoint(transport: .controlSocket(path), listener: listener, ledger: ledger, isSecure: false)
            )
        }
        self.endpoints = endpoints
    }

    /// The ledgers of the listeners' connections.
    public var ledgers: [ConnectionLedger] { self.endpoints.map(\.ledger) }

    /// Serves until shutdown or cancellation, or until one of the listeners cannot listen or ends.
    ///
    /// - Parameter listening: Called once, when every listener is open.
    /// - Throws: ``ListeningError`` that names the listener and why.
    public func run(listening: @escaping @Sendable () async -> Void) async throws {
        let waiting = Mutex(self.endpoints.count)
        let (allOpen, tellAllOpen) = AsyncStream.makeStream(of: Void.self)
        let opened: @Sendable () -> Void = {
            let rest = waiting.withLock { waiting in
                waiting -= 1
                return waiting
            }
            if rest == 0 { tellAllOpen.finish() }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if self.endpoints.isEmpty {
                tellAllOpen.finish()
                group.addTask { try await gracefulShutdown() }
            }
            for endpoint in self.endpoints {
                group.addTask { try await self.serve(endpoint, opened: opened) }
            }
            group.addTask {
                for await _ in allOpen {}
                if !Task.isCancelled { await listening() }
            }
            // The first failure ends the others, which would serve on as half a master.
            for try await _ in group {}
        }
    }

    private func serve(_ endpoint: Endpoint, opened: @escaping @Sendable () -> Void) async throws {
        let responder = APIResponder(
            master: self.master,
            transport: endpoint.transport,
            maximumBodyBytes: self.maximumBodyBytes,
            logger: self.logger
        )
        var quiet = self.logger
        quiet.logLevel = .warning
        let answering = CallbackResponder { (request: Request, context: APIContext) in
            try await responder.respond(to: request, on: context.channel)
        }
        try await endpoint.listener.run(answering, logger: quiet) { channel in
            if case .controlSocket(let path) = endpoint.transport { ControlSocket.restrict(path) }
            self.logger.info(
                "API listens",
                metadata: [
                    "address": "\(channel.localAddress.map(String.init(describing:)) ?? "-")",
                    "tls": "\(endpoint.isSecure)",
                ]
            )
            opened()
        }
    }
}

/// How a request came in.
enum APITransport: Sendable {
    /// Over the network: a key is asked for.
    case network
    /// Over the operator's Unix socket, whose file's rights are the authentication.
    case controlSocket(String)
}
