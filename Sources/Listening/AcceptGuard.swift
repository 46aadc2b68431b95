// SPDX-License-Identifier: Apache-2.0

public import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Keeps a listener alive and its process within its descriptors: the first handler of a listening channel.
///
/// It closes at once what the ledger does not let in, and it keeps errors of `accept(2)` from the rest of the pipeline, for
/// which any error is the end of the listener.
public final class AcceptGuard: ChannelInboundHandler, RemovableChannelHandler {
    /// An accepted connection.
    public typealias InboundIn = any Channel
    /// An accepted connection that may be built up.
    public typealias InboundOut = any Channel

    /// How long nothing is accepted after the system failed to.
    private static let pause = TimeAmount.milliseconds(200)

    private let ledger: ConnectionLedger

    /// Guards a listener by its ledger.
    public init(_ ledger: ConnectionLedger) { self.ledger = ledger }

    /// Lets a connection pass, or closes it.
    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = Self.unwrapInboundIn(data)
        guard self.ledger.accept(channel) else {
            channel.close(promise: nil)
            return
        }
        context.fireChannelRead(data)
    }

    /// Pauses where the system had no descriptor or memory for a connection; other errors go on.
    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let code = (error as? IOError)?.errnoCode,
            [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED].contains(code)
        else {
            context.fireErrorCaught(error)
            return
        }
        if code == ECONNABORTED { return }
        self.ledger.acceptFailed(error)
        // The connection still waits, so the system would report it again at once, and for ever.
        let channel = context.channel
        channel.setOption(.autoRead, value: false)
            .flatMap { channel.eventLoop.scheduleTask(in: Self.pause) {}.futureResult }
            .flatMap { channel.setOption(.autoRead, value: true) }
            // A channel that was closed meanwhile has nothing to accept.
            .whenComplete { _ in }
    }
}

@available(*, unavailable)
extension AcceptGuard: Sendable {}
