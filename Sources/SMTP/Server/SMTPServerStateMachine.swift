// SPDX-License-Identifier: Apache-2.0

/// The server's side of an SMTP dialogue: commands go in, one action comes out of each event.
///
/// Order and limits are checked here; whether to accept is asked of the delegate through `Action.ask`, whose answer comes
/// back with `decided(_:)`. Until then no other command may be given.
struct SMTPServerStateMachine {
    /// A step at which the delegate decides.
    enum Question: Hashable {
        case greeting
        case hello(name: String)
        case startTLS
        case mail(reversePath: String)
        case recipient(String)
        case data
        case message
    }

    /// What the driver is to do.
    enum Action: Hashable {
        case ask(Question)
        case reply(SMTPServerReply)
        /// Reply, then read content until `contentEnded`.
        case replyThenReadContent(SMTPServerReply)
        /// Reply, flush, throw away what was read, and start the handshake.
        case replyThenStartTLS(SMTPServerReply)
        case replyThenClose(SMTPServerReply)
        case close
    }

    /// The name given by the client; `nil` before EHLO or HELO.
    private(set) var helloName: String?
    /// The envelope's sender; `nil` before MAIL.
    private(set) var reversePath: String?
    /// The accepted recipients.
    private(set) var recipients: [String] = []
    /// Whether the connection is encrypted.
    private(set) var isTLS = false

    private let configuration: SMTPServerConfiguration
    private var question: Question?
    private var isExtended = false
    private var faults = 0

    init(_ configuration: SMTPServerConfiguration) { self.configuration = configuration }

    /// A client has connected.
    mutating func opened() -> Action { self.ask(.greeting) }

    /// The TLS handshake is done; the client must begin anew, RFC 3207 §4.2.
    mutating func tlsEstablished() {
        self.isTLS = true
        self.helloName = nil
        self.resetEnvelope()
    }

    /// A command line; `moreInput` says that further bytes came with it, before it was answered.
    mutating func received(_ command: SMTPServerCommand, moreInput: Bool) -> Action {
        precondition(self.question == nil, "a command before the last one was decided: \(command)")
        switch command {
        case .hello(let name, let isExtended):
            guard !isExtended || self.configuration.knowsEHLO else { return self.refuse(502, "5.5.1 Not known") }
            self.isExtended = isExtended
            return self.ask(.hello(name: name))
        case .startTLS:
            guard self.configuration.tls != nil, !self.isTLS else { return self.refuse(502, "5.5.1 Not offered") }
            guard !moreInput else { return Self.forbiddenPipelining }
            return self.ask(.startTLS)
        case .mail(let reversePath, let size, let smtpUTF8):
            return self.receivedMail(reversePath, size: size, smtpUTF8: smtpUTF8)
        case .recipient(let address):
            guard self.reversePath != nil else { return self.refuse(503, "5.5.1 Need MAIL first") }
            guard self.recipients.count < self.configuration.recipientLimit else {
                return .reply(SMTPServerReply(452, "4.5.3 Too many recipients"))
            }
            return self.ask(.recipient(address))
        case .data:
            guard self.reversePath != nil else { return self.refuse(503, "5.5.1 Need MAIL first") }
            guard !self.recipients.isEmpty else { return self.refuse(554, "5.5.1 No valid recipients") }
            guard !moreInput else { return Self.forbiddenPipelining }
            return self.ask(.data)
        case .reset:
            self.resetEnvelope()
            return .reply(Self.ok)
        case .noop: return .reply(Self.ok)
        case .verify: return .reply(SMTPServerReply(252, "2.5.2 Send some mail and see"))
        case .quit: return .replyThenClose(SMTPServerReply(221, "2.0.0 Bye"))
        case .malformed(let reply): return self.refuse(reply)
        case .unknown: return self.refuse(500, "5.5.2 Command not recognised")
        }
    }

    /// The final dot has come.
    mutating func contentEnded(hasBareLineEnd: Bool, isTooLarge: Bool) -> Action {
        if hasBareLineEnd {
            self.resetEnvelope()
            return .reply(SMTPServerReply(550, "5.6.11 Bare CR or LF in the content"))
        }
        if isTooLarge {
            self.resetEnvelope()
            return .reply(SMTPServerReply(552, "5.3.4 Message too large"))
        }
        return self.ask(.message)
    }

    /// The delegate has decided; delay and pace are the driver's business.
    mutating func decided(_ decision: SMTPServerDecision) -> Action {
        guard let question = self.question else { return .close }
        self.question = nil
        if decision.closing == .withoutReply { return .close }
        let reply = decision.reply ?? self.ordinaryReply(to: question)
        let isPositive = reply.isPositive
        var action = Action.reply(reply)
        switch question {
        case .greeting: if !isPositive { action = .replyThenClose(reply) }
        case .hello(let name):
            if isPositive {
                self.helloName = name
                self.resetEnvelope()
            }
        case .startTLS: if isPositive { action = .replyThenStartTLS(reply) }
        case .mail(let reversePath): if isPositive { self.reversePath = reversePath }
        case .recipient(let address): if isPositive { self.recipients.append(address) }
        case .data: if reply.code == 354 { action = .replyThenReadContent(reply) }
        case .message: self.resetEnvelope()
        }
        return decision.closing == .afterReply || reply.code == 421 ? .replyThenClose(reply) : action
    }

    private mutating func receivedMail(_ reversePath: String, size: Int?, smtpUTF8: Bool) -> Action {
        guard self.helloName != nil else { return self.refuse(503, "5.5.1 Say EHLO or HELO first") }
        guard self.reversePath == nil else { return self.refuse(503, "5.5.1 Nested MAIL") }
        if let size, size > self.configuration.sizeLimit {
            return .reply(SMTPServerReply(552, "5.3.4 Message too large"))
        }
        guard !smtpUTF8 || (self.isExtended && self.configuration.offersInternationalMail) else {
            return self.refuse(555, "5.5.4 SMTPUTF8 was not offered")
        }
        return self.ask(.mail(reversePath: reversePath))
    }

    private func ordinaryReply(to question: Question) -> SMTPServerReply {
        switch question {
        case .greeting: return SMTPServerReply(220, "\(self.configuration.hostName) ESMTP")
        case .hello: return self.helloReply
        case .startTLS: return SMTPServerReply(220, "2.0.0 Go ahead")
        case .mail: return Self.senderOK
        case .recipient: return Self.recipientOK
        case .data: return Self.goAhead
        case .message: return Self.ok
        }
    }

    private var helloReply: SMTPServerReply {
        guard self.isExtended else { return SMTPServerReply(250, self.configuration.hostName) }
        var lines = [self.configuration.hostName]
        if self.configuration.offersPipelining { lines.append("PIPELINING") }
        lines.append("SIZE \(self.configuration.sizeLimit)")
        if self.configuration.tls != nil, !self.isTLS { lines.append("STARTTLS") }
        lines.append("ENHANCEDSTATUSCODES")
        if self.configuration.offersInternationalMail { lines += ["8BITMIME", "SMTPUTF8"] }
        return SMTPServerReply(250, lines.joined(separator: "\n"))
    }

    private mutating func ask(_ question: Question) -> Action {
        self.question = question
        return .ask(question)
    }

    private mutating func refuse(_ code: Int, _ text: String) -> Action { self.refuse(SMTPServerReply(code, text)) }

    /// Refuses a client's mistake; one that makes many is let go.
    private mutating func refuse(_ reply: SMTPServerReply) -> Action {
        self.faults += 1
        return self.faults > 100 ? .replyThenClose(SMTPServerReply(421, "4.7.0 Too many errors")) : .reply(reply)
    }

    private mutating func resetEnvelope() {
        self.reversePath = nil
        self.recipients.removeAll(keepingCapacity: true)
    }

    private static let ok = SMTPServerReply(250, "2.0.0 Ok")
    private static let senderOK = SMTPServerReply(250, "2.1.0 Ok")
    private static let recipientOK = SMTPServerReply(250, "2.1.5 Ok")
    private static let goAhead = SMTPServerReply(354, "End data with <CR><LF>.<CR><LF>")
    private static let forbiddenPipelining = Action.replyThenClose(
        SMTPServerReply(554, "5.5.0 Input before the answer to the last command of a group")
    )
}
