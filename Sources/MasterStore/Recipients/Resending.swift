// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Resolves held recipients and requeues finished ones, on request.
enum Resending {
    /// How many recipients change in one transaction.
    static let step = 5_000

    /// One step of resolving held recipients.
    ///
    /// - Returns: How many changed; less than ``step`` once none is left.
    static func resolve(
        _ id: MailingID,
        in scope: AccountScope,
        as resolution: UncertainResolution,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let mailing = try transaction.requireMailing(id, in: scope).mailing
        // A finished mailing has no waiting recipients, so nothing in it can be sent again.
        if resolution == .resend, mailing.status == .finished || mailing.ending != nil { return 0 }
        let held = try DeliveryRow.fetchUncertain(id, limit: Self.step, transaction)
        try transaction.readAhead(held.map(\.id))
        for old in held {
            var new = old
            switch resolution {
            case .delivered:
                new.deliveryState.state = .delivered
                new.deliveryState.accepted = true
            case .failed: new.deliveryState.state = .failed
            case .resend: Self.requeue(&new, at: now)
            }
            new.modified = now
            try transaction.save(new, replacing: old)
            try transaction.recipient(old.id)?.appendEvent(new, account: mailing.account, transaction)
        }
        return held.count
    }

    /// Requeues terminal recipients, unless their mailing has ended.
    static func reset(
        _ ids: [RecipientID],
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        var changed = 0
        try transaction.readAhead(ids)
        for id in ids {
            guard let mailing = try transaction.mailing(id.mailing)?.mailing, mailing.status != .finished,
                mailing.ending == nil, let old = try transaction.delivery(id),
                old.deliveryState.state.isTerminal, old.lease == nil
            else { continue }
            var new = old
            Self.requeue(&new, at: now)
            new.modified = now
            try transaction.save(new, replacing: old)
            try transaction.recipient(id)?.appendEvent(new, account: mailing.account, transaction)
            changed += 1
        }
        return changed
    }

    private static func requeue(_ row: inout DeliveryRow, at now: Timestamp) {
        row.deliveryState = RecipientStateMerge.reset(row.deliveryState)
        row.due = now
        // What the last attempt met says nothing of the next.
        row.trace = nil
    }
}
