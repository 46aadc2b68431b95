// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOSSL
import NIOTLS

/// Drives a server's state machine on the session's event loop.
///
/// Commands are taken from the input one at a time; while an answer is delayed, dripped or postponed the rest waits, and
/// past a bound nothing more is read from the socket. Replies gather in one buffer that is flushed when the input is used
/// up or an answer has to wait.
final class SMTPServerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Input held back while an answer is outstanding, in bytes; past it reading stops.
    private static let heldInputLimit = 131_072

    private(set) var machine: SMTPServerStateMachine
    private let configuration: SMTPServerConfiguration
    private let session: SMTPServerSession
    private var delegate: (any SMTPServerDelegate)?

    private var context: ChannelHandlerContext?
    private var input: ByteBuffer
    private var output: ByteBuffer
    private var content: ContentReader
    private var isReadingContent = false
    private var isWaiting = false
    private var isHandshaking = false
    private var isClosing = false
    private var isProcessing = false
    private var skipsLine = false
    private var dropsAfterContentBytes: Int?
    private var pace: SMTPServerDecision.ReadPace?
    private var isReadHeldBack = false
    private var lastInput = NIODeadline.uptimeNanoseconds(0)
    private var idleTimer: Scheduled<Void>?

    init(
        session: SMTPServerSession,
        configuration: SMTPServerConfiguration,
        delegate: any SMTPServerDelegate,
        allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) {
        self.machine = SMTPServerStateMachine(configuration)
        self.configuration = configuration
        self.session = session
        self.delegate = delegate
        self.input = ByteBuffer()
        self.output = allocator.buffer(capacity: 512)
        self.content = ContentReader(limit: configuration.sizeLimit)
        session.handler = self
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { self.open() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.finish()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        self.open()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.finish()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isClosing else { return }
        var chunk = self.unwrapInboundIn(data)
        if self.input.readableBytes == 0 { self.input = chunk } else { self.input.writeBuffer(&chunk) }
        self.process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.lastInput = context.eventLoop.now
        self.flush()
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if self.isWaiting, self.input.readableBytes > Self.heldInputLimit {
            self.isReadHeldBack = true
        } else if let pace = self.pace {
            guard let pause = pace.pause else { return }
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: TimeAmount(pause)) { bound.value.read() }
        } else {
            context.read()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            self.machine.tlsEstablished()
            self.isHandshaking = false
            self.isWaiting = false
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.close()
    }

    /// Gives the decision that was postponed.
    func resume(with decision: SMTPServerDecision) {
        guard self.isWaiting, !self.isClosing else { return }
        self.isWaiting = false
        self.carryOut(decision)
        self.goOn()
    }

    // MARK: Input

    private func open() {
        guard self.idleTimer == nil, !self.isClosing, let context = self.context else { return }
        self.lastInput = context.eventLoop.now
        self.armIdleTimer(in: TimeAmount(self.configuration.idleTimeout))
        self.perform(self.machine.opened())
        self.flush()
    }

    private func process() {
        guard !self.isProcessing else { return }
        self.isProcessing = true
        defer { self.isProcessing = false }
        while !self.isWaiting, !self.isClosing, self.input.readableBytes > 0 {
            if self.isReadingContent { self.readContent() } else if !self.readCommand() { break }
        }
        if self.input.readableBytes == 0 { self.input = ByteBuffer() }
    }

    private func readContent() {
        let (consumed, isAtEnd) = self.input.withUnsafeReadableBytes { self.content.read($0) }
        self.input.moveReaderIndex(forwardBy: consumed)
        if let limit = self.dropsAfterContentBytes, self.content.content.count >= limit || isAtEnd {
            return self.close()
        }
        guard isAtEnd else { return }
        self.isReadingContent = false
        let action = self.machine.contentEnded(
            hasBareLineEnd: self.content.hasBareLineEnd,
            isTooLarge: self.content.isTooLarge
        )
        self.perform(action)
        self.content.reset()
    }

    /// Takes one command line; `false` if none is complete.
    private func readCommand() -> Bool {
        let line = self.input.withUnsafeReadableBytes { bytes -> (length: Int, command: SMTPServerCommand?)? in
            guard let end = ByteSearch.first(0x0A, in: bytes) else { return nil }
            guard end <= SMTPServerCommand.lineLimit, !self.skipsLine else {
                return (end + 1, .malformed(SMTPServerReply(500, "5.5.2 Line too long")))
            }
            guard end > 0, bytes[end - 1] == 0x0D else {
                return (end + 1, .malformed(SMTPServerReply(500, "5.5.2 A line must end in CRLF")))
            }
            return (end + 1, SMTPServerCommand(line: bytes[..<(end - 1)]))
        }
        guard let line, let command = line.command else {
            if self.input.readableBytes > SMTPServerCommand.lineLimit {
                self.skipsLine = true
                self.input.clear()
            }
            return false
        }
        self.skipsLine = false
        self.input.moveReaderIndex(forwardBy: line.length)
        self.perform(self.machine.received(command, moreInput: self.input.readableBytes > 0))
        return true
    }

    // MARK: Decisions and actions

    private func perform(_ action: SMTPServerStateMachine.Action) {
        switch action {
        case .ask(let question): self.carryOut(self.ask(question))
        case .reply(let reply): reply.write(into: &self.output)
        case .replyThenReadContent(let reply):
            reply.write(into: &self.output)
            self.isReadingContent = true
        case .replyThenStartTLS(let reply):
            reply.write(into: &self.output)
            self.flush()
            self.startTLS()
        case .replyThenClose(let reply):
            reply.write(into: &self.output)
            self.flush()
            self.close()
        case .close: self.close()
        }
    }

    private func ask(_ question: SMTPServerStateMachine.Question) -> SMTPServerDecision {
        guard let delegate = self.delegate else { return .drop }
        switch question {
        case .greeting: return delegate.greeting(self.session)
        case .hello(let name): return delegate.hello(self.session, name: name)
        case .startTLS: return delegate.startTLS(self.session)
        case .mail(let reversePath): return delegate.mail(self.session, reversePath: reversePath)
        case .recipient(let address): return delegate.recipient(self.session, address: address)
        case .data: return delegate.data(self.session)
        case .message: return delegate.message(self.session, content: self.content.content)
        }
    }

    private func carryOut(_ decision: SMTPServerDecision) {
        guard let context = self.context, !self.isClosing else { return }
        if decision.isPostponed {
            self.isWaiting = true
            return self.flush()
        }
        if let bytes = decision.dropsAfterContentBytes { self.dropsAfterContentBytes = max(1, bytes) }
        if let pace = decision.readPace { self.set(pace) }
        if decision.delay > .zero {
            self.isWaiting = true
            self.flush()
            let rest = decision.withoutDelay
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: TimeAmount(decision.delay)) { bound.value.resume(with: rest) }
        } else if decision.tarpit > .zero {
            self.drip(decision, in: context)
        } else {
            self.perform(self.machine.decided(decision))
        }
    }

    /// Writes the reply byte by byte.
    private func drip(_ decision: SMTPServerDecision, in context: ChannelHandlerContext) {
        self.flush()
        let action = self.machine.decided(decision)
        self.writeReply(of: action)
        var bytes = self.output
        self.output.clear()
        self.isWaiting = true
        let interval = TimeAmount(decision.tarpit)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        func step() {
            let handler = bound.value
            guard !handler.isClosing, let context = handler.context else { return }
            guard let byte = bytes.readSlice(length: 1) else {
                handler.isWaiting = false
                handler.performAfterReply(action)
                return handler.goOn()
            }
            context.writeAndFlush(handler.wrapOutboundOut(byte), promise: nil)
            context.eventLoop.assumeIsolated().scheduleTask(in: interval) { step() }
        }
        context.eventLoop.assumeIsolated().scheduleTask(in: interval) { step() }
    }

    /// Puts only the reply of `action` into the output.
    private func writeReply(of action: SMTPServerStateMachine.Action) {
        switch action {
        case .reply(let reply), .replyThenReadContent(let reply), .replyThenStartTLS(let reply),
            .replyThenClose(let reply):
            reply.write(into: &self.output)
        case .ask, .close: break
        }
    }

    /// Does what remains of `action` once its reply has been written.
    private func performAfterReply(_ action: SMTPServerStateMachine.Action) {
        switch action {
        case .replyThenReadContent: self.isReadingContent = true
        case .replyThenStartTLS: self.startTLS()
        case .replyThenClose, .close: self.close()
        case .reply, .ask: break
        }
    }

    /// Continues with the input that waited.
    private func goOn() {
        self.process()
        self.flush()
        guard self.isReadHeldBack, !self.isWaiting else { return }
        self.isReadHeldBack = false
        self.context?.read()
    }

    private func set(_ pace: SMTPServerDecision.ReadPace) {
        self.pace = pace
        guard let channel = self.context?.channel else { return }
        let allocator = FixedSizeRecvByteBufferAllocator(capacity: max(1, pace.bytes))
        channel.setOption(.recvAllocator, value: allocator).whenFailure { _ in channel.close(promise: nil) }
        channel.setOption(.maxMessagesPerRead, value: 1).whenFailure { _ in channel.close(promise: nil) }
    }

    private func startTLS() {
        guard let tls = self.configuration.tls, let context = self.context else { return self.close() }
        self.input = ByteBuffer()
        self.isWaiting = true  // until the handshake is done
        self.isHandshaking = true
        do {
            let handler = NIOSSLServerHandler(context: tls.context)
            try context.channel.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            self.close()
        }
    }

    private func flush() {
        guard self.output.readableBytes > 0, let context = self.context else { return }
        context.writeAndFlush(self.wrapOutboundOut(self.output), promise: nil)
        self.output.clear()
    }

    // MARK: End

    private func close() {
        guard !self.isClosing else { return }
        self.isClosing = true
        self.context?.close(promise: nil)
    }

    private func finish() {
        self.isClosing = true
        self.idleTimer?.cancel()
        self.idleTimer = nil
        let delegate = self.delegate
        self.delegate = nil
        delegate?.closed(self.session)
        self.session.handler = nil
    }

    private func armIdleTimer(in amount: TimeAmount) {
        self.idleTimer = self.context?.eventLoop.assumeIsolated().scheduleTask(in: amount) { [weak self] in
            self?.idleTimerFired()
        }
    }

    private func idleTimerFired() {
        guard let context = self.context, !self.isClosing else { return }
        let limit = TimeAmount(self.configuration.idleTimeout)
        let silent = context.eventLoop.now - self.lastInput
        if silent < limit || (self.isWaiting && !self.isHandshaking) {
            return self.armIdleTimer(in: max(limit - silent, .seconds(1)))
        }
        if !self.isReadingContent, !self.isHandshaking {
            SMTPServerReply(421, "4.4.2 Idle too long").write(into: &self.output)
        }
        self.flush()
        self.close()
    }
}
