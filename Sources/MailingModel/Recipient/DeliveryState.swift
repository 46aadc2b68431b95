// SPDX-License-Identifier: Apache-2.0

/// What the master remembers of a recipient's delivery, and how an attempt's outcome changes it.
///
/// The rule: delivered if any attempt was; else what the latest attempt came to. A bounce that arrives later by mail
/// overrides both. That an outcome was ever unknown stays visible as a flag, whatever follows.
public struct DeliveryState: Sendable, Hashable {
    /// Waiting, deferred, or how it ended.
    public var state: RecipientState
    /// Whether an attempt's outcome was ever unknown.
    public var uncertain: Bool
    /// Whether a server took responsibility in any attempt.
    public var accepted: Bool
    /// Attempts made, from 0.
    public var tryCount: Int
    /// When the first attempt was granted.
    public var firstTry: Timestamp?
    /// When the next attempt is due; only while ``RecipientState/deferred``.
    public var nextTry: Timestamp?

    /// Composes a delivery state; by default that of a recipient never tried.
    public init(
        state: RecipientState = .waiting,
        uncertain: Bool = false,
        accepted: Bool = false,
        tryCount: Int = 0,
        firstTry: Timestamp? = nil,
        nextTry: Timestamp? = nil
    ) {
        self.state = state
        self.uncertain = uncertain
        self.accepted = accepted
        self.tryCount = tryCount
        self.firstTry = firstTry
        self.nextTry = nextTry
    }
}

/// The steps by which a ``DeliveryState`` changes.
public struct RecipientStateMerge: Sendable, Hashable {
    /// When deferred recipients are tried again.
    public var schedule: RetrySchedule
    /// What an uncertain outcome leads to.
    public var policy: UncertainPolicy
    /// Whether another attempt may still be made; not once the mailing is ending or has finished.
    public var mayRetry: Bool

    /// Composes the rules that hold for one mailing.
    public init(schedule: RetrySchedule, policy: UncertainPolicy, mayRetry: Bool) {
        self.schedule = schedule
        self.policy = policy
        self.mayRetry = mayRetry
    }

    /// What an attempt's outcome leads to.
    ///
    /// - Parameters:
    ///   - outcome: How the attempt ended.
    ///   - old: The delivery state before.
    ///   - isLatest: Whether no later attempt was granted; an earlier one counts only if it delivered.
    ///   - isCounted: Whether the attempt is already in ``DeliveryState/tryCount``: it was resolved as uncertain.
    ///   - granted: When the attempt was granted.
    ///   - now: The master's clock.
    /// - Returns: The delivery state after.
    public func applying(
        _ outcome: DeliveryOutcome,
        to old: DeliveryState,
        isLatest: Bool,
        isCounted: Bool = false,
        granted: Timestamp,
        at now: Timestamp
    ) -> DeliveryState {
        var new = old
        if !isCounted {
            let (sum, overflow) = old.tryCount.addingReportingOverflow(1)
            new.tryCount = overflow ? old.tryCount : sum
        }
        new.firstTry = old.firstTry.map { min($0, granted) } ?? granted
        if case .uncertain = outcome { new.uncertain = true }
        if case .delivered = outcome {
            new.accepted = true
            return Self.resolved(new, as: .delivered)
        }
        guard isLatest, !old.accepted else { return new }
        switch outcome {
        case .delivered, .failed: return Self.resolved(new, as: .failed)
        case .unrenderable: return Self.resolved(new, as: .unrenderable)
        case .deferred: return self.deferring(new, otherwise: self.mayRetry ? .failed : .expired, at: now)
        case .uncertain:
            switch self.policy {
            case .hold: return Self.resolved(new, as: .uncertain)
            case .assumeDelivered: return Self.resolved(new, as: .delivered)
            case .resend: return self.deferring(new, otherwise: .uncertain, at: now)
            }
        }
    }

    /// A bounce (DSN) came for a recipient: failed, even if a server had accepted the message.
    public static func bounced(_ old: DeliveryState) -> DeliveryState {
        var new = old
        new.accepted = false
        return Self.resolved(new, as: .failed)
    }

    /// The mailing ended before the recipient was finished; a terminal state stays.
    public static func expiring(_ old: DeliveryState) -> DeliveryState {
        old.state.isTerminal ? old : Self.resolved(old, as: .expired)
    }

    /// The recipient is to be sent again from the beginning; what is not terminal stays.
    public static func reset(_ old: DeliveryState) -> DeliveryState {
        guard old.state.isTerminal else { return old }
        return DeliveryState(state: .waiting, uncertain: old.uncertain)
    }

    private func deferring(
        _ old: DeliveryState,
        otherwise: RecipientState,
        at now: Timestamp
    ) -> DeliveryState {
        let next = self.schedule.nextTry(
            afterTries: old.tryCount,
            firstTry: old.firstTry ?? now,
            now: now
        )
        guard self.mayRetry, let next else { return Self.resolved(old, as: otherwise) }
        var new = old
        new.state = .deferred
        new.nextTry = next
        return new
    }

    private static func resolved(_ old: DeliveryState, as state: RecipientState) -> DeliveryState {
        var new = old
        new.state = state
        new.nextTry = nil
        return new
    }
}
