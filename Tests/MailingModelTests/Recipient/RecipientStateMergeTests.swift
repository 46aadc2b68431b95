// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@Suite("How outcomes change a recipient's delivery state")
struct RecipientStateMergeTests {
    private static let trace = AttemptTrace(stage: .recipient, text: "t")
    private let now = Timestamp(seconds: 100_000)
    private let granted = Timestamp(seconds: 99_000)

    private func merge(_ policy: UncertainPolicy = .hold, mayRetry: Bool = true) -> RecipientStateMerge {
        RecipientStateMerge(schedule: RetrySchedule(), policy: policy, mayRetry: mayRetry)
    }

    private func apply(
        _ outcome: DeliveryOutcome,
        to old: DeliveryState = DeliveryState(),
        isLatest: Bool = true,
        isCounted: Bool = false,
        _ merge: RecipientStateMerge? = nil
    ) -> DeliveryState {
        (merge ?? self.merge()).applying(
            outcome,
            to: old,
            isLatest: isLatest,
            isCounted: isCounted,
            granted: self.granted,
            at: self.now
        )
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let old: RecipientState
        var accepted = false
        let outcome: DeliveryOutcome
        var isLatest = true
        var policy = UncertainPolicy.hold
        var mayRetry = true
        let new: RecipientState

        var testDescription: String { self.name }
    }

    static let rows: [Row] = [
        Row(name: "first attempt delivered", old: .waiting, outcome: .delivered(trace), new: .delivered),
        Row(name: "first attempt deferred", old: .waiting, outcome: .deferred(trace), new: .deferred),
        Row(name: "first attempt failed", old: .waiting, outcome: .failed(trace), new: .failed),
        Row(name: "not personalised", old: .waiting, outcome: .unrenderable(trace), new: .unrenderable),
        Row(name: "uncertain, held", old: .waiting, outcome: .uncertain(trace), new: .uncertain),
        Row(name: "uncertain, sent again", old: .waiting, outcome: .uncertain(trace), policy: .resend, new: .deferred),
        Row(
            name: "uncertain, taken for delivered",
            old: .waiting,
            outcome: .uncertain(trace),
            policy: .assumeDelivered,
            new: .delivered
        ),
        Row(
            name: "uncertain, would be sent again but the mailing ends",
            old: .waiting,
            outcome: .uncertain(trace),
            policy: .resend,
            mayRetry: false,
            new: .uncertain
        ),
        Row(
            name: "deferred while the mailing ends",
            old: .waiting,
            outcome: .deferred(trace),
            mayRetry: false,
            new: .expired
        ),
        Row(name: "late 250 after uncertain", old: .uncertain, outcome: .delivered(trace), new: .delivered),
        Row(name: "late 550 after uncertain", old: .uncertain, outcome: .failed(trace), new: .failed),
        Row(name: "late 450 after uncertain", old: .uncertain, outcome: .deferred(trace), new: .deferred),
        Row(name: "late 250 after expiry", old: .expired, outcome: .delivered(trace), new: .delivered),
        Row(
            name: "an earlier attempt's 550 after a later deferral",
            old: .deferred,
            outcome: .failed(trace),
            isLatest: false,
            new: .deferred
        ),
        Row(
            name: "an earlier attempt's 250 after a later failure",
            old: .failed,
            outcome: .delivered(trace),
            isLatest: false,
            new: .delivered
        ),
        Row(
            name: "a failure after a delivery",
            old: .delivered,
            accepted: true,
            outcome: .failed(trace),
            new: .delivered
        ),
        Row(
            name: "uncertain after a delivery",
            old: .delivered,
            accepted: true,
            outcome: .uncertain(trace),
            new: .delivered
        ),
        Row(name: "a failure after an assumed delivery", old: .delivered, outcome: .failed(trace), new: .failed),
    ]

    @Test("leads to the state of the rule", arguments: rows)
    func table(row: Row) {
        let old = DeliveryState(state: row.old, accepted: row.accepted)
        let new = self.apply(
            row.outcome,
            to: old,
            isLatest: row.isLatest,
            self.merge(row.policy, mayRetry: row.mayRetry)
        )
        #expect(new.state == row.new)
        #expect((new.nextTry != nil) == (new.state == .deferred && old.state != .deferred))
    }

    @Test("counts attempts, one that was resolved only once, and keeps the first time")
    func counting() {
        let first = self.apply(.deferred(Self.trace))
        #expect(first.tryCount == 1 && first.firstTry == self.granted)
        #expect(first.nextTry == self.now.advanced(by: .seconds(600)))
        let second = self.apply(.failed(Self.trace), to: first, isCounted: true)
        #expect(second.tryCount == 1)
        let third = self.apply(.failed(Self.trace), to: DeliveryState(tryCount: .max))
        #expect(third.tryCount == .max)
    }

    @Test("keeps the uncertain flag whatever follows")
    func flag() {
        let held = self.apply(.uncertain(Self.trace))
        #expect(held.uncertain)
        #expect(self.apply(.delivered(Self.trace), to: held).uncertain)
        #expect(RecipientStateMerge.reset(held).uncertain)
    }

    @Test("fails a recipient whose age has passed")
    func givesUp() {
        let old = DeliveryState(
            state: .deferred,
            tryCount: 30,
            firstTry: self.now.advanced(by: .seconds(-6 * 86_400))
        )
        #expect(self.apply(.deferred(Self.trace), to: old).state == .failed)
    }

    @Test("fails a delivered recipient when a DSN says so")
    func bounced() {
        let delivered = self.apply(.delivered(Self.trace))
        let bounced = RecipientStateMerge.bounced(delivered)
        #expect(bounced.state == .failed && !bounced.accepted)
    }

    @Test("expires what is not terminal and resets what is")
    func expiryAndReset() {
        for state in RecipientState.allCases {
            let old = DeliveryState(state: state, tryCount: 4)
            #expect(RecipientStateMerge.expiring(old).state == (state.isTerminal ? state : .expired))
            let reset = RecipientStateMerge.reset(old)
            #expect(reset.state == (state.isTerminal ? .waiting : state))
            #expect(reset.tryCount == (state.isTerminal ? 0 : 4))
        }
    }
}
