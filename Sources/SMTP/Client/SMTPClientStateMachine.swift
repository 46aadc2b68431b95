// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore

/// The client's side of an SMTP dialogue: events go in, actions come out of `nextAction()`.
///
/// Every command sent puts a tag into `expected`, and a reply is always the answer to the oldest tag; that is what keeps
/// the reply to message n from being read as the reply to n+1. A reply without a tag means that the two sides have lost
/// step, and the connection ends. Nothing is sent in answer to a reply before all input at hand has been read
/// (`inputDrained()`), so that a surplus reply cannot pass for the answer to a command which was not yet written when
/// it arrived. Two transactions can be alive: `current`, and `following`, whose envelope rides behind the content of
/// the first; all replies to the second's envelope come after the reply to the first's final dot.
struct SMTPClientStateMachine {
    /// What the driver is to do, in order.
    enum Action {
        case send(SMTPCommand)
        case startTLS
        case announceReady
        /// Ask for a transaction and answer with `offer(_:)`.
        case pull
        /// Write this part of the message; if it is not the last one, flush and call `contentBlockWritten()` when done.
        case writeContent(SMTPTransaction, offset: Int, length: Int, isLast: Bool)
        /// Call the delegate, then `finalDotCleared()`.
        case clearFinalDot(UInt64)
        case report(UInt64, SMTPTransactionEnd)
        /// Flush what is written and close. No action follows.
        case close(SMTPConnectionEnd)
    }

    /// What is being waited for, to choose the timeout.
    enum Wait: Hashable {
        case connect, greeting, hello, tls, mail, recipient, data, dataBlock, finalDot, quit, idle
    }

    private enum Phase {
        case connecting, greeting, hello(SMTPCommand), startTLS, handshake, ready, quitting, closed
    }

    private enum Expected {
        case greeting, hello, startTLS, mail, recipient, data, finalDot, emptyDot, reset, quit
    }

    private enum Step {
        case sendMail, sendRecipient, sendData
        case awaitReplies
        case content, awaitBlock, awaitClearance
        case emptyDot
    }

    private struct Slot {
        let transaction: SMTPTransaction
        var step: Step
        var offset = 0
        var mailAnswered = false
        var mailAccepted = false
        var recipientAccepted = false
        var dotSent = false
        var isReported = false
    }

    /// What the server offered.
    private(set) var extensions = SMTPExtensions()
    /// Transactions begun on this connection.
    private(set) var messageCount = 0
    /// Changes whenever the wait begins anew.
    private(set) var waitSerial = 0
    /// Changes whenever another transaction becomes the current one.
    private(set) var transactionSerial = 0
    /// Whether the connection is encrypted.
    private(set) var isTLS = false

    private let usesTLS: Bool
    private let usesPipelining: Bool
    private let rides: Bool
    private let messageLimit: Int
    private let blockBytes: Int

    private var phase = Phase.connecting
    private var expected: [Expected] = []
    private var actions: [Action] = []
    private var actionIndex = 0
    private var current: Slot?
    private var following: Slot?
    private var needsReset = false
    private var isIdle = false
    private var isPulling = false
    private var quitReason: SMTPConnectionEnd.Reason?

    init(_ configuration: SMTPClientConfiguration) {
        self.usesTLS = configuration.tls == .opportunistic
        self.usesPipelining = configuration.usesPipelining
        self.rides = configuration.ridesBehindContent
        self.messageLimit = max(1, configuration.maxMessagesPerConnection)
        self.blockBytes = max(1, configuration.contentBlockBytes)
    }

    /// Whether the connection is over.
    var isClosed: Bool { if case .closed = self.phase { true } else { false } }

    /// Whether input is to be thrown away because it came in plaintext before the TLS handshake.
    var discardsInput: Bool { if case .handshake = self.phase { true } else { self.isClosed } }

    /// Whether an empty line may stand before or within a reply: some servers write one behind the greeting or in EHLO's
    /// answer.
    ///
    /// Nothing is grouped before pipelining is agreed, so that no answer can be taken for another's.
    var skipsEmptyLines: Bool { !self.mayPipeline }

    /// Whether a transaction is under way.
    var hasTransaction: Bool { self.current != nil }

    /// Whether a transaction that is supplied now would be begun.
    var mayTake: Bool {
        guard case .ready = self.phase else { return false }
        return self.following == nil && self.mayBeginAnother
    }

    /// Whether nothing is under way and nothing was to be had at the last pull.
    var isAtRest: Bool { self.isIdle && self.current == nil && self.expected.isEmpty }

    /// What is being waited for.
    var wait: Wait? {
        if let first = self.expected.first {
            return switch first {
            case .greeting: .greeting
            case .hello, .startTLS: .hello
            case .mail, .reset: .mail
            case .recipient: .recipient
            case .data: .data
            case .finalDot, .emptyDot: .finalDot
            case .quit: .quit
            }
        }
        switch self.phase {
        case .closed: return nil
        case .connecting: return .connect
        case .handshake: return .tls
        case .quitting: return .quit
        case .hello, .startTLS, .greeting: return .hello
        case .ready: return self.current == nil ? .idle : .dataBlock
        }
    }

    /// The oldest action not yet done.
    mutating func nextAction() -> Action? {
        guard self.actionIndex < self.actions.count else {
            self.actions.removeAll(keepingCapacity: true)
            self.actionIndex = 0
            return nil
        }
        defer { self.actionIndex += 1 }
        return self.actions[self.actionIndex]
    }

    // MARK: Events

    /// The TCP connection stands.
    mutating func connected() {
        guard case .connecting = self.phase else { return }
        self.phase = .greeting
        self.expect(.greeting)
    }

    /// The TLS handshake is done.
    mutating func tlsEstablished() {
        guard case .handshake = self.phase else { return }
        self.isTLS = true
        self.extensions = SMTPExtensions()
        self.phase = .hello(.ehlo)
        self.proceed()
    }

    /// All input at hand has been read; with `partialReply`, the end of a reply is still missing.
    mutating func inputDrained(partialReply: Bool) {
        guard !partialReply else { return }
        self.proceed()
    }

    /// A block of content that was not the last has left.
    mutating func contentBlockWritten() {
        guard self.current?.step == .awaitBlock else { return }
        self.current?.step = .content
        self.waitSerial += 1
        self.proceed()
    }

    /// The delegate has been notified of the final dot and it may leave.
    mutating func finalDotCleared() {
        guard var slot = self.current, slot.step == .awaitClearance else { return }
        let length = slot.transaction.message.readableBytes - slot.offset
        self.act(.writeContent(slot.transaction, offset: slot.offset, length: length, isLast: true))
        slot.dotSent = true
        slot.step = .awaitReplies
        self.current = slot
        self.expect(.finalDot)
        if self.rides, self.mayPipeline, self.mayBeginAnother { self.pull() }
    }

    /// The answer to `pull`.
    mutating func offer(_ transaction: SMTPTransaction?) {
        self.isPulling = false
        guard let transaction else {
            if self.current == nil {
                self.isIdle = true
                self.waitSerial += 1
            }
            return
        }
        guard self.mayTake else {
            self.act(.report(transaction.id, .notStarted(.finished(self.quitReason ?? .aborted))))
            return
        }
        if let refusal = self.extensions.refusal(of: transaction) {
            self.act(.report(transaction.id, .reply(.mail, refusal)))
            return self.pull()
        }
        self.messageCount += 1
        let isFirst = self.current == nil
        var slot = Slot(transaction: transaction, step: .sendMail)
        if self.mayPipeline {
            slot.step = .awaitReplies
            if self.needsReset { self.send(.reset, expecting: .reset) }
            self.needsReset = false
            self.send(self.mailCommand(transaction), expecting: .mail)
            self.send(.recipient(transaction.recipient), expecting: .recipient)
            self.send(.data, expecting: .data)
        }
        if isFirst {
            self.current = slot
            self.transactionSerial += 1
            self.proceed()
        } else {
            self.following = slot
        }
    }

    /// There may be work again.
    mutating func wake() {
        guard self.isIdle else { return }
        self.isIdle = false
        self.proceed()
    }

    /// Ends the connection once the transactions under way are over.
    mutating func quit(_ reason: SMTPConnectionEnd.Reason) {
        if self.quitReason == nil { self.quitReason = reason }
        self.proceed()
    }

    /// What was waited for did not come in time.
    mutating func timedOut() {
        switch self.wait {
        case .idle where self.isAtRest: self.quit(.idle)
        case .quit: self.end(.finished(self.quitReason ?? .requested))
        case .tls: self.end(.tlsFailed("the handshake timed out"))
        default: self.end(.timedOut(self.stage))
        }
    }

    /// The current transaction has taken longer than any may.
    mutating func transactionDeadlinePassed() {
        guard self.current != nil else { return }
        self.end(.timedOut(self.stage))
    }

    /// The connection is gone, or must go.
    mutating func connectionLost(_ reason: SMTPConnectionEnd) {
        if case .quitting = self.phase {
            self.end(.finished(self.quitReason ?? .requested))
        } else if case .handshake = self.phase, case .closedByPeer = reason {
            self.end(.tlsFailed("the server closed during the handshake"))
        } else {
            self.end(reason)
        }
    }

    /// How far the dialogue has come.
    var stage: SMTPStage {
        switch self.wait {
        case .connect: .connect
        case .greeting: .greeting
        case .hello: .hello
        case .tls: .tls
        case .mail: self.current == nil ? .idle : .mail
        case .recipient: .recipient
        case .data: .data
        case .dataBlock: .content
        case .finalDot: .finalDot
        case .quit, .idle, nil: .idle
        }
    }

    /// A whole reply; `text` is read only where EHLO's answer is expected, and `reply` called only for what is reported.
    mutating func received(code: Int, text: [UInt8], reply: () -> SMTPReply) {
        guard !self.isClosed else { return }
        guard let tag = self.expected.first else { return self.receivedUnasked(code, reply()) }
        if code == 421 { return self.receivedUnavailable(tag, reply()) }
        self.expected.removeFirst()
        self.waitSerial += 1
        let isPositive = (200..<300).contains(code)
        switch tag {
        case .greeting:
            if isPositive { self.phase = .hello(.ehlo) } else { self.end(.greetingRefused(reply())) }
        case .hello: self.receivedHello(code, text, reply)
        case .startTLS:
            if code == 220 {
                self.phase = .handshake
                self.act(.startTLS)
            } else {
                // Whether plaintext will do is not for one dialogue to say: the server may insist on what it now refuses.
                self.end(.tlsRefused(reply()))
            }
        case .mail: self.receivedMail(code, reply)
        case .recipient: self.receivedRecipient(code, reply)
        case .data: self.receivedData(code, reply)
        case .finalDot:
            guard !(300..<400).contains(code) else { return self.end(.outOfStep("\(code) in answer to the final dot")) }
            self.reportCurrent(.reply(.finalDot, reply()))
            self.advance()
        case .emptyDot: self.advance()
        case .reset: if !isPositive { self.end(.outOfStep("\(code) in answer to RSET")) }
        case .quit: self.end(.finished(self.quitReason ?? .requested))
        }
    }

    // MARK: Replies

    private mutating func receivedHello(_ code: Int, _ text: [UInt8], _ reply: () -> SMTPReply) {
        guard case .hello(let command) = self.phase else { return }
        switch (code, command) {
        case (200..<300, .ehlo):
            self.extensions = SMTPExtensions(ehloText: text)
            if self.usesTLS, self.extensions.startTLS, !self.isTLS {
                self.phase = .startTLS
            } else {
                self.becomeReady()
            }
        case (200..<300, _): self.becomeReady()
        case (500..<600, .ehlo): self.phase = .hello(.helo)
        default: self.end(.helloRefused(reply()))
        }
    }

    private mutating func receivedMail(_ code: Int, _ reply: () -> SMTPReply) {
        guard !(300..<400).contains(code) else { return self.end(.outOfStep("\(code) in answer to MAIL")) }
        self.current?.mailAnswered = true
        if code < 300 {
            self.current?.mailAccepted = true
            if self.current?.step == .sendMail { self.current?.step = .sendRecipient }
        } else {
            self.reportCurrent(.reply(.mail, reply()))
            if !self.expected.contains(.data) { self.advance() }
        }
    }

    private mutating func receivedRecipient(_ code: Int, _ reply: () -> SMTPReply) {
        guard !(300..<400).contains(code) else { return self.end(.outOfStep("\(code) in answer to RCPT")) }
        if code < 300 {
            self.current?.recipientAccepted = true
            if self.current?.step == .sendRecipient { self.current?.step = .sendData }
        } else {
            self.reportCurrent(.reply(.recipient, reply()))
            if !self.expected.contains(.data) {
                self.needsReset = true
                self.advance()
            }
        }
    }

    private mutating func receivedData(_ code: Int, _ reply: () -> SMTPReply) {
        guard let slot = self.current else { return }
        switch code {
        case 200..<300: self.end(.outOfStep("\(code) in answer to DATA"))
        case 300..<400 where !slot.isReported: self.current?.step = .content
        case 300..<400 where slot.recipientAccepted:
            // A dot now would deliver an empty message.
            self.end(.outOfStep("\(code) in answer to DATA after MAIL was refused"))
        case 300..<400: self.current?.step = .emptyDot
        default:
            self.reportCurrent(.reply(.data, reply()))
            self.needsReset = slot.mailAccepted || slot.recipientAccepted
            self.advance()
        }
    }

    private mutating func receivedUnavailable(_ tag: Expected, _ reply: SMTPReply) {
        switch tag {
        case .greeting: return self.end(.greetingRefused(reply))
        case .hello: return self.end(.helloRefused(reply))
        case .recipient: self.reportCurrent(.reply(.recipient, reply))
        case .data: self.reportCurrent(.reply(.data, reply))
        case .finalDot: self.reportCurrent(.reply(.finalDot, reply))
        case .quit: return self.end(.finished(self.quitReason ?? .requested))
        case .startTLS, .mail, .emptyDot, .reset: break
        }
        self.end(.unavailable(reply))
    }

    private mutating func receivedUnasked(_ code: Int, _ reply: SMTPReply) {
        if let slot = self.current, code >= 400, slot.offset > 0 {
            self.reportCurrent(.reply(.content, reply))  // refused in the middle of the content
            self.end(code == 421 ? .unavailable(reply) : .outOfStep("\(code) before the final dot"))
        } else if code == 421 {
            self.end(.unavailable(reply))
        } else {
            self.end(.outOfStep("\(code) that no command had asked for"))
        }
    }

    // MARK: Moving on

    /// Sends what is next, if every command has its answer.
    private mutating func proceed() {
        guard self.expected.isEmpty else { return }
        switch self.phase {
        case .hello(let command): self.send(command, expecting: .hello)
        case .startTLS: self.send(.startTLS, expecting: .startTLS)
        case .ready where self.current != nil: self.proceedWithTransaction()
        case .ready:
            if self.quitReason == nil, self.messageCount >= self.messageLimit { self.quitReason = .messageLimit }
            if self.quitReason != nil {
                self.phase = .quitting
                self.send(.quit, expecting: .quit)
            } else if !self.isIdle {
                self.pull()
            }
        case .connecting, .greeting, .handshake, .quitting, .closed: break
        }
    }

    private mutating func proceedWithTransaction() {
        guard var slot = self.current else { return }
        switch slot.step {
        case .sendMail where self.needsReset:
            self.needsReset = false
            self.send(.reset, expecting: .reset)
        case .sendMail: self.send(self.mailCommand(slot.transaction), expecting: .mail)
        case .sendRecipient: self.send(.recipient(slot.transaction.recipient), expecting: .recipient)
        case .sendData: self.send(.data, expecting: .data)
        case .content:
            if slot.transaction.message.readableBytes - slot.offset > self.blockBytes {
                let block = Action.writeContent(
                    slot.transaction,
                    offset: slot.offset,
                    length: self.blockBytes,
                    isLast: false
                )
                self.act(block)
                slot.offset += self.blockBytes
                slot.step = .awaitBlock
                self.waitSerial += 1
            } else {
                self.act(.clearFinalDot(slot.transaction.id))
                slot.step = .awaitClearance
            }
            self.current = slot
        case .emptyDot:
            self.current?.step = .awaitReplies
            self.send(.emptyDot, expecting: .emptyDot)
        case .awaitReplies, .awaitBlock, .awaitClearance: break
        }
    }

    private mutating func becomeReady() {
        self.phase = .ready
        self.act(.announceReady)
    }

    private mutating func advance() {
        self.current = self.following
        self.following = nil
        if self.current != nil { self.transactionSerial += 1 }
    }

    private mutating func reportCurrent(_ end: SMTPTransactionEnd) {
        guard let slot = self.current, !slot.isReported else { return }
        self.current?.isReported = true
        self.act(.report(slot.transaction.id, end))
    }

    private mutating func end(_ reason: SMTPConnectionEnd) {
        guard !self.isClosed else { return }
        if let slot = self.current {
            if slot.dotSent {
                self.reportCurrent(.uncertain(reason))
            } else if slot.mailAnswered {
                self.reportCurrent(.lost(self.stage, reason))
            } else {
                self.reportCurrent(.notStarted(reason))
            }
        }
        if let slot = self.following { self.act(.report(slot.transaction.id, .notStarted(reason))) }
        self.current = nil
        self.following = nil
        self.expected.removeAll()
        self.phase = .closed
        self.act(.close(reason))
    }

    // MARK: Small things

    private var mayPipeline: Bool { self.usesPipelining && self.extensions.pipelining }

    private var mayBeginAnother: Bool { self.quitReason == nil && self.messageCount < self.messageLimit }

    private mutating func pull() {
        guard !self.isPulling else { return }
        self.isPulling = true
        self.act(.pull)
    }

    private mutating func act(_ action: Action) { self.actions.append(action) }

    private mutating func expect(_ tag: Expected) {
        self.expected.append(tag)
        self.waitSerial += 1
    }

    private mutating func send(_ command: SMTPCommand, expecting tag: Expected) {
        self.act(.send(command))
        self.expect(tag)
    }

    private func mailCommand(_ transaction: SMTPTransaction) -> SMTPCommand {
        .mail(
            reversePath: transaction.reversePath,
            sizeBytes: self.extensions.size ? transaction.message.readableBytes : nil,
            smtpUTF8: transaction.needsUTF8
        )
    }
}
