// SPDX-License-Identifier: Apache-2.0

/// What may happen to a mailing, and when; pure steps over ``Mailing`` that the store runs inside its transactions.
///
///     filling ─start→ ready ─first lease→ running ⇄ paused,   any ─finish→ finished
public enum MailingLifecycle {
    /// What was asked of a mailing.
    public enum Step: String, Sendable, Hashable, CaseIterable {
        /// To release its recipients for delivery.
        case start
        /// To stop leasing, for now.
        case pause
        /// To change what its owner sets.
        case change
        /// To take recipients.
        case addRecipients
    }

    /// A step that the mailing's state forbids.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        /// What was asked.
        public var step: Step
        /// Where the mailing stands.
        public var status: MailingStatus

        /// Composes a refusal.
        public init(step: Step, status: MailingStatus) {
            self.step = step
            self.status = status
        }

        /// Step and state, for logs.
        public var description: String { "\(self.step) is not possible while \(self.status)" }
    }

    /// How long started recipients may still be reported after a mailing's end, before they count as uncertain.
    public static let resolutionDelay: Duration = .seconds(15 * 60)

    /// Releases a mailing: `filling` becomes `ready`; `paused` becomes what it was.
    ///
    /// - Throws: ``Refusal`` for `ready`, `running` and `finished`.
    public static func start(_ mailing: inout Mailing, at now: Timestamp) throws(Refusal) {
        switch mailing.status {
        case .filling: mailing.status = .ready
        case .paused: mailing.status = mailing.started == nil ? .ready : .running
        case .ready, .running, .finished: throw Refusal(step: .start, status: mailing.status)
        }
        mailing.submitted = now
    }

    /// Stops a mailing for now; pausing a paused one changes nothing.
    ///
    /// - Throws: ``Refusal`` for `filling` and `finished`.
    public static func pause(_ mailing: inout Mailing) throws(Refusal) {
        switch mailing.status {
        case .ready, .running, .paused: mailing.status = .paused
        case .filling, .finished: throw Refusal(step: .pause, status: mailing.status)
        }
    }

    /// Notes that recipients were leased: `ready` becomes `running`, and the first time is kept.
    ///
    /// A test send of a `filling` mailing, or before the scheduled start, leaves it as it is.
    public static func noteLease(_ mailing: inout Mailing, at now: Timestamp) {
        guard mailing.status == .ready || mailing.status == .running, self.isOpen(mailing, at: now) else { return }
        mailing.status = .running
        if mailing.started == nil { mailing.started = now }
    }

    /// Ends a mailing for good; ending it again keeps the first time.
    public static func finish(_ mailing: inout Mailing, at now: Timestamp) {
        guard mailing.status != .finished else { return }
        mailing.status = .finished
        mailing.ended = now
    }

    /// Whether a mailing's owner may still change it.
    ///
    /// - Throws: ``Refusal`` for `finished`.
    public static func checkChange(of mailing: Mailing) throws(Refusal) {
        if mailing.status == .finished { throw Refusal(step: .change, status: mailing.status) }
    }

    /// Whether recipients may be leased.
    ///
    /// Express recipients leave in every state but `paused` and `finished`, and before the scheduled start.
    public static func mayLease(_ mailing: Mailing, _ deliveryClass: DeliveryClass, at now: Timestamp) -> Bool {
        guard mailing.ending == nil, !self.hasEnded(mailing, at: now) else { return false }
        switch (mailing.status, deliveryClass) {
        case (.filling, .express), (.ready, .express), (.running, .express): return true
        case (.ready, .bulk), (.running, .bulk): return self.isOpen(mailing, at: now)
        case (.filling, .bulk), (.paused, _), (.finished, _): return false
        }
    }

    /// Whether leased recipients may be started.
    public static func mayStart(
        status: MailingStatus,
        isEnding: Bool,
        _ deliveryClass: DeliveryClass
    ) -> Bool {
        guard !isEnding else { return false }
        switch (status, deliveryClass) {
        case (.running, _), (.filling, .express), (.ready, .express): return true
        case (.filling, .bulk), (.ready, .bulk), (.paused, _), (.finished, _): return false
        }
    }

    /// When a mailing's time ends: its scheduled end, or so many minutes after its first lease, whichever is first.
    public static func end(of mailing: Mailing) -> Timestamp? {
        var end = mailing.properties.scheduledEnd
        if let minutes = mailing.properties.scheduledDurationMinutes, minutes > 0, let started = mailing.started {
            let seconds = Int64(minutes).multipliedReportingOverflow(by: 60)
            let limit = started.advanced(by: .seconds(seconds.overflow ? Int64.max / 1000 : seconds.partialValue))
            end = end.map { min($0, limit) } ?? limit
        }
        return end
    }

    /// Whether a mailing's time has ended.
    public static func hasEnded(_ mailing: Mailing, at now: Timestamp) -> Bool {
        self.end(of: mailing).map { $0 <= now } ?? false
    }

    /// Whether a mailing's scheduled start has passed.
    public static func isOpen(_ mailing: Mailing, at now: Timestamp) -> Bool {
        mailing.properties.scheduledStart.map { $0 <= now } ?? true
    }

    /// The earliest time at which a mailing without unfinished recipients closes by itself.
    ///
    /// A grace runs from the start and from the last accepted recipients, so that a fast cluster does not close a
    /// mailing between two calls of a client that is still adding; ``Mailing/closesWithoutGrace`` waives it.
    ///
    /// - Returns: `nil` if the mailing does not close by itself in its state.
    public static func closing(of mailing: Mailing, grace: Duration) -> Timestamp? {
        if let ending = mailing.ending { return mailing.status == .finished ? nil : ending }
        switch mailing.status {
        case .filling, .finished: return nil
        case .ready, .running, .paused: break
        }
        guard mailing.properties.type == .regular, !mailing.properties.dontCloseIfEmpty else { return nil }
        let submitted = mailing.submitted ?? mailing.created
        let start = max(submitted, mailing.properties.scheduledStart ?? submitted)
        guard !mailing.closesWithoutGrace else { return start }
        return max(start, max(submitted, mailing.lastAdded ?? submitted).advanced(by: grace))
    }
}
