// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Listening
public import Logging
public import NIOCore
public import NIOSSL
import ServiceLifecycle
import Synchronization

/// One address that HTTP is served on, with bounds and deadlines for its connections.
public struct HTTPListener: Sendable {
    /// Where it listens.
    public enum Address: Hashable, Sendable, CustomStringConvertible {
        /// A host name or address, and a port.
        case tcp(host: String, port: Int)
        /// A Unix socket's path.
        case socket(String)

        /// As an operator writes it.
        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .socket(let path): path
            }
        }
    }

    private let address: Address
    private let tls: TLSConfiguration?
    private let ledger: ConnectionLedger
    private let serverName: String?

    /// Composes a listener; nothing listens yet.
    ///
    /// - Parameters:
    ///   - address: Where.
    ///   - tls: As ``ServerTLS`` makes it; `nil` serves without TLS.
    ///   - ledger: Of this listener alone; its name is the setting that names the address.
    ///   - serverName: The field `Server` of answers.
    public init(address: Address, tls: TLSConfiguration? = nil, ledger: ConnectionLedger, serverName: String? = nil) {
        self.address = address
        self.tls = tls
        self.ledger = ledger
        self.serverName = serverName
    }

    /// Serves until shutdown or cancellation.
    ///
    /// - Parameters:
    ///   - responder: Answers requests.
    ///   - logger: For the server's own trouble.
    ///   - listening: Called once, when the address is bound.
    /// - Throws: ``ListeningError`` if the address cannot be listened on, or the listener ends by itself.
    public func run<Responder: HTTPResponder>(
        _ responder: Responder,
        logger: Logger,
        listening: @escaping @Sendable (any Channel) async -> Void
    ) async throws where Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        let hasStarted = Atomic(false)
        let ledger = self.ledger
        let application = Application(
            responder: responder,
            server: try self.server(),
            configuration: ApplicationConfiguration(address: self.bindAddress, serverName: self.serverName),
            onServerRunning: { channel in
                // If the channel is closed already, the listener's end is reported below.
                try? await channel.eventLoop.submit {
                    try channel.pipeline.syncOperations.addHandler(AcceptGuard(ledger), position: .first)
                }.get()
                hasStarted.store(true, ordering: .releasing)
                await listening(channel)
            },
            logger: logger
        )
        do {
            try await application.run()
        } catch  where !Task.isCancelled && !Task.isShuttingDownGracefully {
            throw hasStarted.load(ordering: .acquiring)
                ? ListeningError(key: ledger.name, address: "\(self.address)", ended: "\(error)")
                : ListeningError(key: ledger.name, address: "\(self.address)", cannotListen: error)
        }
        guard Task.isCancelled || Task.isShuttingDownGracefully else {
            throw ListeningError(key: ledger.name, address: "\(self.address)", ended: "no reason is known")
        }
    }

    private var bindAddress: BindAddress {
        switch self.address {
        case .tcp(let host, let port): .hostname(host, port: port)
        case .socket(let path): .unixDomainSocket(path: path)
        }
    }

    private func server() throws -> HTTPServerBuilder {
        let ledger = self.ledger
        let configuration = HTTP1Channel.Configuration(additionalChannelHandlers: [RequestWatch()])
        guard let tls = self.tls else {
            return HTTPServerBuilder { responder in
                let http = HTTP1Channel(responder: responder, configuration: configuration)
                return GuardedChannel(base: http, ledger: ledger, isSecure: false)
            }
        }
        return HTTPServerBuilder { responder in
            let http = HTTP1Channel(responder: responder, configuration: configuration)
            return GuardedChannel(
                base: try TLSChannel(http, tlsConfiguration: tls),
                ledger: ledger,
                isSecure: true
            )
        }
    }
}
