// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOSSL
import NIOTLS

/// Drives a client's state machine on the connection's event loop.
///
/// Bytes are read to the end of what is at hand, then the actions are carried out into one buffer, then it is flushed:
/// one write for each flight. One timer task serves all waits; it is only re-armed when it fires or must fire earlier,
/// because on a busy connection the wait changes with every reply.
final class SMTPClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var machine: SMTPClientStateMachine
    private let configuration: SMTPClientConfiguration
    private let connection: SMTPConnection
    private var delegate: (any SMTPConnectionDelegate)?

    private var context: ChannelHandlerContext?
    private var parser = SMTPReplyParser()
    private var stuffer = DotStuffer()
    private var output: ByteBuffer
    private var isDriving = false
    private var awaitsBlock = false

    private var timer: Scheduled<Void>?
    private var timerFires = NIODeadline.distantFuture
    private var waitDeadline = NIODeadline.distantFuture
    private var transactionDeadline = NIODeadline.distantFuture
    private var waitSerial = -1
    private var transactionSerial = 0

    init(
        connection: SMTPConnection,
        configuration: SMTPClientConfiguration,
        delegate: any SMTPConnectionDelegate,
        allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) {
        self.machine = SMTPClientStateMachine(configuration)
        self.configuration = configuration
        self.connection = connection
        self.delegate = delegate
        self.output = allocator.buffer(capacity: 4_096)
        connection.handler = self
    }

    // MARK: Public API

    func wake() {
        self.machine.wake()
        self.drive()
    }

    func quit() {
        self.machine.quit(.requested)
        self.drive()
    }

    func abort() {
        self.machine.connectionLost(.finished(.aborted))
        self.drive()
    }

    func connectFailed(_ reason: SMTPConnectionEnd) {
        self.machine.connectionLost(reason)
        self.drive()
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { self.channelBecameActive() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        defer { self.context = nil }
        guard self.machine.wait != .connect else { return }  // `connectFailed` follows, with the reason
        self.machine.connectionLost(.closedByPeer(self.machine.stage))
        self.drive()
    }

    func channelActive(context: ChannelHandlerContext) {
        self.channelBecameActive()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.machine.connectionLost(.closedByPeer(self.machine.stage))
        self.drive()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = self.unwrapInboundIn(data)
        while !self.machine.discardsInput {
            switch self.parser.next(&input, skippingEmptyLines: self.machine.skipsEmptyLines) {
            case .reply:
                let parser = self.parser
                self.machine.received(code: parser.code, text: parser.text) { parser.makeReply() }
            case .needsMore: return
            case .violation(let text): self.machine.connectionLost(.outOfStep(text))
            }
        }
        self.parser = SMTPReplyParser()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.machine.inputDrained(partialReply: self.parser.hasPartialReply)
        self.drive()
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            self.machine.tlsEstablished()
            self.drive()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.machine.wait == .tls {
            self.machine.connectionLost(.tlsFailed(String(describing: error)))
        } else if case .uncleanShutdown? = error as? NIOSSLError {
            self.machine.connectionLost(.closedByPeer(self.machine.stage))
        } else {
            self.machine.connectionLost(.transport(String(describing: error)))
        }
        self.drive()
    }

    private func channelBecameActive() {
        self.machine.connected()
        self.drive()
    }

    // MARK: Actions

    private func drive() {
        guard !self.isDriving else { return }  // called from within a delegate call: the outer loop goes on
        self.isDriving = true
        defer { self.isDriving = false }
        while let action = self.machine.nextAction() { self.perform(action) }
        if self.machine.isClosed { return }
        self.flush()
        self.updateTimer()
    }

    private func perform(_ action: SMTPClientStateMachine.Action) {
        switch action {
        case .send(let command): command.write(heloName: self.heloName, into: &self.output)
        case .startTLS: self.startTLS()
        case .announceReady: self.delegate?.connectionReady(self.connection)
        case .pull:
            let transaction = self.machine.mayTake ? self.delegate?.nextTransaction(self.connection) : nil
            self.machine.offer(transaction)
        case .writeContent(let transaction, let offset, let length, let isLast):
            self.write(transaction.message, offset: offset, length: length, isLast: isLast)
        case .clearFinalDot(let id):
            self.delegate?.willSendFinalDot(self.connection, id)
            self.machine.finalDotCleared()
        case .report(let id, let end): self.delegate?.transactionEnded(self.connection, id, end)
        case .close(let reason): self.close(reason)
        }
    }

    /// The configured name, else the address literal of this end of the connection.
    private var heloName: String {
        guard self.configuration.heloName.isEmpty else { return self.configuration.heloName }
        return SMTPHostName.literal(of: self.context?.channel.localAddress) ?? ""
    }

    private func write(_ message: ByteBuffer, offset: Int, length: Int, isLast: Bool) {
        message.withUnsafeReadableBytes { bytes in
            self.stuffer.write(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + length)]), into: &self.output)
        }
        if isLast {
            self.stuffer.finish(into: &self.output)
        } else {
            self.awaitsBlock = true
        }
    }

    private func flush() {
        guard self.output.readableBytes > 0, let context = self.context else { return }
        if self.awaitsBlock {
            self.awaitsBlock = false
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenSuccess { [weak self] in
                // Never from within the write itself: the call may come while `drive` runs.
                guard let self else { return }
                self.context?.eventLoop.assumeIsolated().execute {
                    self.machine.contentBlockWritten()
                    self.drive()
                }
            }
            context.writeAndFlush(self.wrapOutboundOut(self.output), promise: written)
        } else {
            context.writeAndFlush(self.wrapOutboundOut(self.output), promise: nil)
        }
        self.output.clear()
    }

    private func startTLS() {
        self.parser = SMTPReplyParser()
        do {
            guard let context = self.context else { return }
            let tls = try self.configuration.tlsContext.get()
            let handler: NIOSSLClientHandler
            do {
                handler = try NIOSSLClientHandler(context: tls, serverHostname: self.connection.host)
            } catch {  // not a name that can be asked for, for example a numeric address
                handler = try NIOSSLClientHandler(context: tls, serverHostname: nil)
            }
            try context.channel.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            // Nothing was sent to the server yet: what failed is on this side.
            self.machine.connectionLost(.lacksResources("setting TLS up: \(error)"))
        }
    }

    private func close(_ reason: SMTPConnectionEnd) {
        self.timer?.cancel()
        self.timer = nil
        switch reason {
        case .greetingRefused, .helloRefused, .tlsRefused:
            self.output.clear()
            SMTPCommand.quit.write(heloName: "", into: &self.output)
            self.flush()
        default: break
        }
        self.context?.close(promise: nil)
        let delegate = self.delegate
        self.delegate = nil
        delegate?.connectionClosed(self.connection, reason)
        self.connection.handler = nil
    }

    // MARK: Time

    private func updateTimer() {
        let loop = self.connection.eventLoop
        guard self.machine.waitSerial != self.waitSerial || self.machine.transactionSerial != self.transactionSerial
        else { return }
        let now = loop.now
        self.waitSerial = self.machine.waitSerial
        self.waitDeadline = self.timeout(self.machine.wait).map { now + $0 } ?? .distantFuture
        if self.machine.transactionSerial != self.transactionSerial {
            self.transactionSerial = self.machine.transactionSerial
            self.transactionDeadline = now + TimeAmount(self.configuration.transactionDeadline)
        }
        self.arm(at: self.nextDeadline)
    }

    private var nextDeadline: NIODeadline {
        self.machine.hasTransaction ? min(self.waitDeadline, self.transactionDeadline) : self.waitDeadline
    }

    private func arm(at deadline: NIODeadline) {
        guard deadline < self.timerFires || self.timer == nil, deadline != .distantFuture else { return }
        self.timer?.cancel()
        self.timerFires = deadline
        self.timer = self.connection.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            self?.timerFired()
        }
    }

    private func timerFired() {
        self.timer = nil
        self.timerFires = .distantFuture
        let now = self.connection.eventLoop.now
        if self.machine.hasTransaction, now >= self.transactionDeadline {
            self.machine.transactionDeadlinePassed()
        } else if now >= self.waitDeadline {
            self.machine.timedOut()
        } else {
            return self.arm(at: self.nextDeadline)
        }
        self.drive()
    }

    private func timeout(_ wait: SMTPClientStateMachine.Wait?) -> TimeAmount? {
        let timeouts = self.configuration.timeouts
        let duration: Duration? =
            switch wait {
            case .connect, nil: nil  // the bootstrap's own
            case .greeting: timeouts.greeting
            case .hello: timeouts.hello
            case .tls: timeouts.tlsHandshake
            case .mail: timeouts.mail
            case .recipient: timeouts.recipient
            case .data: timeouts.data
            case .dataBlock: timeouts.dataBlock
            case .finalDot: timeouts.finalDot
            case .quit: timeouts.quit
            case .idle: self.configuration.idleTimeout
            }
        return duration.map { TimeAmount($0) }
    }
}
