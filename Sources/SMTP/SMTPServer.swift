// SPDX-License-Identifier: Apache-2.0

public import Listening
public import NIOCore
import NIOPosix

/// Takes connections from mail clients.
public enum SMTPServer {
    /// Listens on one address.
    ///
    /// - Parameters:
    ///   - host: A numeric address of this machine.
    ///   - port: The port; 0 takes a free one, see `SMTPListener.port`.
    ///   - group: The loops that serve the connections; NIO's socket loops.
    ///   - configuration: How to present itself.
    ///   - ledger: Counts the connections and bounds them; `nil` takes all that come.
    ///   - makeDelegate: Called on the session's loop for each connection; the session keeps the delegate.
    /// - Returns: The bound address; close it to take no more connections.
    /// - Throws: What the system says if the address cannot be bound.
    public static func listen(
        host: String,
        port: Int,
        on group: any EventLoopGroup,
        configuration: SMTPServerConfiguration,
        ledger: ConnectionLedger? = nil,
        makeDelegate: @escaping @Sendable (SMTPServerSession) -> any SMTPServerDelegate
    ) async throws -> SMTPListener {
        let address = try SocketAddress(ipAddress: host, port: port)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let ledger else { return }
                    try channel.pipeline.syncOperations.addHandler(AcceptGuard(ledger))
                }
            }
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 1_024, initial: 16_384, maximum: 65_536)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let session = SMTPServerSession(
                        eventLoop: channel.eventLoop,
                        peer: Self.text(channel.remoteAddress),
                        local: Self.text(channel.localAddress)
                    )
                    let handler = SMTPServerHandler(
                        session: session,
                        configuration: configuration,
                        delegate: makeDelegate(session),
                        allocator: channel.allocator
                    )
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(to: address)
            .get()
        return SMTPListener(channel: channel)
    }

    static func text(_ address: SocketAddress?) -> String {
        guard let host = address?.ipAddress, let port = address?.port else { return "" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// A bound address on which connections are taken.
public struct SMTPListener: Sendable {
    private let channel: any Channel

    init(channel: any Channel) { self.channel = channel }

    /// The bound port.
    public var port: Int { self.channel.localAddress?.port ?? 0 }

    /// The bound address, as `127.0.0.1:2525` or `[::1]:2525`.
    public var address: String { SMTPServer.text(self.channel.localAddress) }

    /// Takes no more connections; those that stand go on.
    public func close() async throws {
        try await self.channel.close()
    }
}
