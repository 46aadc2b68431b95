// SPDX-License-Identifier: Apache-2.0

/// How far an attempt had come when its outcome was decided.
public enum DeliveryStage: String, Codable, Sendable, CaseIterable {
    /// Looking up the destination's MX hosts.
    case lookup
    /// Opening the TCP connection.
    case connect
    /// Waiting for the 220 greeting.
    case greeting
    /// EHLO or HELO.
    case hello
    /// STARTTLS and the handshake.
    case tls
    /// MAIL FROM.
    case mail
    /// RCPT TO.
    case recipient
    /// DATA, up to the 354.
    case data
    /// Between the 354 and the final dot.
    case content
    /// After the final dot was written.
    case finalDot
    /// Personalising the message, before any connection.
    case render
    /// Decided by the master: the mailing ended, the satellite was removed.
    case master

    /// Whether a mail server had been connected to.
    public var hasReachedServer: Bool {
        switch self {
        case .lookup, .connect, .render, .master: false
        case .greeting, .hello, .tls, .mail, .recipient, .data, .content, .finalDot: true
        }
    }
}

/// What is known about an attempt beside its outcome.
public struct AttemptTrace: Hashable, Sendable, Codable {
    /// Where the outcome was decided.
    public var stage: DeliveryStage
    /// The SMTP reply code, 200…599, or `nil` if no server answered.
    public var replyCode: Int?
    /// The enhanced status as `class.subject.detail`, RFC 3463, if the reply carried one.
    public var enhancedStatus: String?
    /// The reply's or the local error's text; at most 2,048 bytes of UTF-8, no NUL.
    public var text: String
    /// The MX host that answered, or was tried last.
    public var mxHost: String?

    /// Composes a trace.
    public init(
        stage: DeliveryStage,
        replyCode: Int? = nil,
        enhancedStatus: String? = nil,
        text: String,
        mxHost: String? = nil
    ) {
        self.stage = stage
        self.replyCode = replyCode
        self.enhancedStatus = enhancedStatus
        self.text = text
        self.mxHost = mxHost
    }
}

/// How one attempt ended: a result, never an error.
public enum DeliveryOutcome: Hashable, Sendable {
    /// The server took responsibility: 2xx after the final dot.
    case delivered(AttemptTrace)
    /// Not now: the master schedules the next attempt.
    case deferred(AttemptTrace)
    /// Never: the server, or the DNS, refused for good.
    case failed(AttemptTrace)
    /// The message could not be personalised; no server was asked.
    case unrenderable(AttemptTrace)
    /// The final dot was sent and no reply came; the recipient may or may not have the message.
    case uncertain(AttemptTrace)

    /// What is known beside the outcome.
    public var trace: AttemptTrace {
        switch self {
        case .delivered(let trace), .deferred(let trace), .failed(let trace), .unrenderable(let trace),
            .uncertain(let trace):
            trace
        }
    }
}

/// A satellite's report of one attempt; applied once per (recipient, attempt), however often it arrives.
public struct DeliveryReport: Hashable, Sendable {
    /// The recipient.
    public var recipient: RecipientID
    /// The attempt, as granted.
    public var attempt: AttemptSerial
    /// The lease under which it was granted.
    public var lease: LeaseSerial
    /// How it ended.
    public var outcome: DeliveryOutcome
    /// When it ended, by the satellite's civil clock; shown to people, never used to decide.
    public var endedAt: Timestamp

    /// Composes a report.
    public init(
        recipient: RecipientID,
        attempt: AttemptSerial,
        lease: LeaseSerial,
        outcome: DeliveryOutcome,
        endedAt: Timestamp
    ) {
        self.recipient = recipient
        self.attempt = attempt
        self.lease = lease
        self.outcome = outcome
        self.endedAt = endedAt
    }
}
