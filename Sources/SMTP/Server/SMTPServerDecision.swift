// SPDX-License-Identifier: Apache-2.0

/// What the server does at one step of the dialogue.
///
/// The default value is the ordinary positive answer at once.
public struct SMTPServerDecision: Hashable, Sendable {
    /// What becomes of the connection.
    public enum Closing: Hashable, Sendable {
        /// It stays.
        case no
        /// It is closed after the reply.
        case afterReply
        /// It is closed without a reply.
        case withoutReply
    }

    /// How fast the server reads from now on.
    public struct ReadPace: Hashable, Sendable {
        /// The most to read at once, in bytes.
        public var bytes: Int
        /// The pause before each reading; `nil` to read no more at all.
        public var pause: Duration?

        /// Composes a pace.
        public init(bytes: Int, pause: Duration?) {
            self.bytes = bytes
            self.pause = pause
        }
    }

    /// The reply; `nil` is the ordinary positive one of the step.
    public var reply: SMTPServerReply?
    /// The wait before the reply or the closing.
    public var delay: Duration = .zero
    /// The wait before each byte of the reply; zero writes it whole.
    public var tarpit: Duration = .zero
    /// What becomes of the connection.
    public var closing = Closing.no
    /// How fast to read from now on; `nil` leaves it.
    public var readPace: ReadPace?
    /// At DATA: close once so many bytes of content have come; `nil` does not.
    public var dropsAfterContentBytes: Int?
    /// The answer comes later by `SMTPServerSession.resume(with:)`; everything else here is ignored.
    public var isPostponed = false

    /// The ordinary positive answer, or the one given.
    public init(reply: SMTPServerReply? = nil) { self.reply = reply }

    /// The ordinary positive answer of the step.
    public static let accept = SMTPServerDecision()

    /// Closes without a reply.
    public static var drop: SMTPServerDecision {
        var decision = SMTPServerDecision()
        decision.closing = .withoutReply
        return decision
    }

    /// The answer comes later.
    public static var postpone: SMTPServerDecision {
        var decision = SMTPServerDecision()
        decision.isPostponed = true
        return decision
    }

    /// The same at once.
    var withoutDelay: SMTPServerDecision {
        var decision = self
        decision.delay = .zero
        return decision
    }
}
