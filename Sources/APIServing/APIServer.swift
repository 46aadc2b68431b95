// SPDX-License-Identifier: Apache-2.0

import HTTPServing
import Hummingbird
package import Listening
package import Logging
package import MasterCore
import NIOCore
import NIOSSL
import ServiceLifecycle
import Synchronization

/// The listeners of the master's API: HTTPS, plain HTTP if it is switched on, and the operator's Unix socket.
package struct APIServer: Sendable {
    /// Where and how the API is served.
    package struct Configuration: Sendable {
        /// HOST and port of the HTTPS listener; `nil` switches it off.
        package var secure: (host: String, port: Int)?
        /// Certificate chain and private key, PEM.
        package var certificate: (chain: String, key: String)?
        /// HOST and port of a listener without TLS; `nil`, the default, switches it off.
        package var plain: (host: String, port: Int)?
        /// Path of the operator's socket.
        ///
        /// Whoever may open it may do everything. `nil` switches it off.
        package var controlSocket: String?
        /// Whether every request of the network's listeners is logged, and not only those that fail here.
        package var logsRequests = false
        /// Bounds and deadlines of the connections of each listener.
        package var limits = ConnectionLimits()

        /// Serves nothing until listeners are named.
        package init() {}
    }

    private struct Endpoint: Sendable {
        var transport: APITransport
        var socket: String?
        var listener: HTTPListener
        var ledger: ConnectionLedger
        var isSecure: Bool
    }

    private let endpoints: [Endpoint]
    private let logsRequests: Bool
    private let master: Master
    private let families: @Sendable (APITransport) -> [any APIFamily]
    private let logger: Logger

    /// Composes a server; nothing listens yet.
    ///
    /// - Parameters:
    ///   - configuration: Where and how.
    ///   - master: Answers; it must be loaded before ``run(listening:)``, or callers get 503.
    ///   - logger: Logs listeners and refused connections.
    ///   - families: The APIs that are served to requests of a transport.
    /// - Throws: If the certificate is unusable.
    package init(
        configuration: Configuration,
        master: Master,
        logger: Logger,
        families: @escaping @Sendable (APITransport) -> [any APIFamily]
    ) throws {
        self.master = master
        self.families = families
        self.logsRequests = configuration.logsRequests
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
                Endpoint(
                    transport: .controlSocket,
                    socket: path,
                    listener: listener,
                    ledger: ledger,
                    isSecure: false
                )
            )
        }
        self.endpoints = endpoints
    }

    /// The ledgers of the listeners' connections.
    package var ledgers: [ConnectionLedger] { self.endpoints.map(\.ledger) }

    /// Serves until shutdown or cancellation, or until one of the listeners cannot listen or ends.
    ///
    /// - Parameter listening: Called once, when every listener is open.
    /// - Throws: ``ListeningError`` that names the listener and why.
    package func run(listening: @escaping @Sendable () async -> Void) async throws {
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
        var quiet = self.logger
        quiet.logLevel = .warning
        let log = RequestLog(self.logger, isComplete: self.logsRequests && endpoint.transport == .network)
        let responder = APIRouter.responder(self.families(endpoint.transport), master: self.master, log: log)
        try await endpoint.listener.run(responder, logger: quiet) { channel in
            if let path = endpoint.socket { ControlSocket.restrict(path) }
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
