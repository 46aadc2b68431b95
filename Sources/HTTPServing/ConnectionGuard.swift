// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Listening
import NIOCore
import NIOHTTPTypes
import NIOTLS

/// Closes a connection whose other side owes something for too long: the handler next to the socket.
///
/// What the bytes mean it learns from ``RequestWatch``, which stands behind the HTTP decoder.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let ledger: ConnectionLedger
    private var deadlines: ConnectionDeadlines
    private var context: ChannelHandlerContext?
    private var timer: (task: Scheduled<Void>, at: NIODeadline)?

    init(_ ledger: ConnectionLedger, isSecure: Bool) {
        self.ledger = ledger
        self.deadlines = ConnectionDeadlines(ledger.limits, isSecure: isSecure, at: .now())
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.arm()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.task.cancel()
        self.timer = nil
        self.context = nil
    }

    func read(context: ChannelHandlerContext) {
        self.note { $0.bytesWanted(at: .now()) }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.note { $0.bytesArrived(at: .now()) }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let count = Self.unwrapOutboundIn(data).readableBytes
        self.note { $0.wrote(count, at: .now()) }
        context.write(data, promise: promise)
    }

    /// Takes note of an event.
    func note(_ event: (inout ConnectionDeadlines) -> Void) {
        event(&self.deadlines)
        self.arm()
    }

    /// Sees to it that the next deadline is looked at; a timer that comes too early looks again.
    private func arm() {
        guard let context = self.context, let next = self.deadlines.next else { return }
        if let timer = self.timer {
            guard next.at < timer.at else { return }
            timer.task.cancel()
        }
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: next.at) { [weak self] () -> Void in
            self?.look()
        }
        self.timer = (task, next.at)
    }

    private func look() {
        self.timer = nil
        guard let context = self.context else { return }
        // Without the number nothing can be said against the other side.
        let unsent = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
        switch self.deadlines.look(at: .now(), unsent: unsent ?? 0) {
        case .wait: self.arm()
        case .close(let deadline):
            self.ledger.cut(deadline.rawValue, deadline.reason, from: context.channel.remoteAddress)
            context.close(promise: nil)
        }
    }
}

/// Reports to the guard of a connection where requests and answers begin and end, and closes a connection whose client was answered
/// while it waited for 100 Continue.
final class RequestWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var connection: ConnectionGuard?
    /// Whether the client waits for `100 Continue`.
    private var isExpected = false
    private var closesAfterAnswer = false

    func handlerAdded(context: ChannelHandlerContext) {
        // Without a guard there is nothing to notify.
        self.connection = try? context.pipeline.syncOperations.handler(type: ConnectionGuard.self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.connection = nil }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            self.connection?.note { $0.handshakeDone(at: .now()) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let request):
            self.isExpected = request.headerFields[.expect]?.lowercased() == "100-continue"
            self.connection?.note { $0.headArrived() }
        case .body: break
        case .end: self.connection?.note { $0.requestEnded(at: .now()) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch Self.unwrapOutboundIn(data) {
        case .head(let answer) where answer.status.kind == .informational: self.isExpected = false
        case .head(var answer) where self.isExpected:
            self.isExpected = false
            self.closesAfterAnswer = true
            answer.headerFields[.connection] = "close"
            return context.write(Self.wrapOutboundOut(.head(answer)), promise: promise)
        case .end where self.closesAfterAnswer:
            self.connection?.note { $0.answerEnded(at: .now()) }
            let written = promise ?? context.eventLoop.makePromise()
            let channel = context.channel
            written.futureResult.whenComplete { _ in channel.close(promise: nil) }
            return context.writeAndFlush(data, promise: written)
        case .end: self.connection?.note { $0.answerEnded(at: .now()) }
        case .head, .body: break
        }
        context.write(data, promise: promise)
    }
}

/// Answers 503 to whoever comes, and closes: the first handler of a connection that is refused.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long the other side has to read the answer before the connection is gone.
    private static let patience = TimeAmount.seconds(1)
    private static let answer = """
        HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n\
        Connection: close\r\nContent-Length: 50\r\n\r\ntoo many connections are open; try again shortly\r\n
        """

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: Self.answer)), promise: nil)
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
@available(*, unavailable)
extension RequestWatch: Sendable {}
@available(*, unavailable)
extension RefusalHandler: Sendable {}
