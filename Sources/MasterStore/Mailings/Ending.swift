// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Ends mailings: pause, expiry in steps, the check that nothing is left.
enum Ending {
    /// How many recipients expire in one transaction; other operations get their turn in between.
    static let expiryStep = 5_000

    // MARK: Pause

    static func pause(
        _ id: MailingID,
        in scope: AccountScope,
        at now: Timestamp,
        decide: (Mailing) throws -> Void,
        _ transaction: StoreTransaction
    ) throws -> (mailing: Mailing, revoked: [RevokedLease]) {
        try decide(try transaction.requireMailing(id, in: scope).mailing)
        try transaction.update(id) { $0.mailing.status = .paused }
        let revoked = try Revoking.revoke(transaction.leases(of: id).map(\.serial), at: now, transaction)
        return (try transaction.requireMailing(id, in: .everything).mailing, revoked)
    }

    // MARK: Expiry

    /// One step of expiry.
    ///
    /// The first revokes every lease and shuts the mailing for new ones; the last finishes it, unless
    /// started recipients are still out.
    ///
    /// - Returns: Whether nothing is left that this step could expire.
    static func expire(
        _ id: MailingID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> (isDone: Bool, mailing: Mailing, revoked: [RevokedLease]) {
        let mailing = try transaction.requireMailing(id, in: .everything).mailing
        guard mailing.status != .finished else { return (true, mailing, []) }
        var revoked: [RevokedLease] = []
        if mailing.ending == nil {
            try transaction.update(id) { $0.mailing.ending = now }
            revoked = try Revoking.revoke(transaction.leases(of: id).map(\.serial), at: now, transaction)
        }
        try transaction.flush()  // the buckets are asked for what waits
        var left = Self.expiryStep
        left -= try Self.expireWaiting(id, limit: left, at: now, transaction)
        left -= try Self.expireUnleased(id, limit: left, at: now, transaction)
        let isDone = left > 0
        if isDone { try Self.finishEnding(id, at: now, transaction) }
        return (isDone, try transaction.requireMailing(id, in: .everything).mailing, revoked)
    }

    /// Finishes an ending mailing of which nothing is left.
    static func finishEnding(_ id: MailingID, at now: Timestamp, _ transaction: StoreTransaction) throws {
        let mailing = try transaction.requireMailing(id, in: .everything).mailing
        guard mailing.ending != nil, mailing.counters.pending == 0 else { return }
        try transaction.update(id) { MailingLifecycle.finish(&$0.mailing, at: now) }
    }

    private static func expireWaiting(
        _ id: MailingID,
        limit: Int,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let account = try transaction.requireMailing(id, in: .everything).mailing.account
        var expired = 0
        for bucket in try BucketRow.fetch(of: id, transaction) where bucket.waiting > 0 && expired < limit {
            var found: [DeliveryRow] = []
            let wanted = limit - expired
            try DeliveryRow.fetchDue(
                mailing: id,
                bucket: bucket.bucket,
                at: Timestamp(milliseconds: .max),
                page: wanted,
                transaction
            ) { delivery, _ in
                found.append(delivery)
                return found.count < wanted
            }
            try transaction.readAhead(found.map(\.id))
            for old in found { try Self.expire(old.id, replacing: old, account: account, at: now, transaction) }
            expired += found.count
        }
        return expired
    }

    private static func expireUnleased(
        _ id: MailingID,
        limit: Int,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let account = try transaction.requireMailing(id, in: .everything).mailing.account
        var expired = 0
        for bucket in try BucketRow.fetch(of: id, transaction) where bucket.watermark < bucket.fill && expired < limit {
            let end = min(bucket.fill, bucket.watermark + UInt32(limit - expired))
            let recipients = (bucket.watermark..<end).map {
                RecipientID(mailing: id, bucket: bucket.bucket, ordinal: $0)
            }
            try transaction.readAhead(recipients)
            for recipient in recipients {
                let old = try transaction.delivery(recipient)
                if old.map({ !$0.deliveryState.state.isTerminal }) ?? true {
                    try Self.expire(recipient, replacing: old, account: account, at: now, transaction)
                }
            }
            expired += Int(end - bucket.watermark)
            try transaction.prepare("UPDATE bucket SET watermark = ? WHERE mailing = ? AND bucket = ?")
                .bind(1, Int(end)).bind(2, Int(id.rawValue)).bind(3, Int(bucket.bucket.rawValue)).run()
        }
        return expired
    }

    private static func expire(
        _ id: RecipientID,
        replacing old: DeliveryRow?,
        account: AccountID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        var new = old ?? DeliveryRow(id: id, modified: now)
        try Self.expire(&new, replacing: old, account: account, at: now, transaction)
    }

    /// Expires one recipient that nobody holds.
    static func expire(
        _ row: inout DeliveryRow,
        replacing old: DeliveryRow?,
        account: AccountID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        row.deliveryState = RecipientStateMerge.expiring(row.deliveryState)
        row.due = nil
        row.trace = nil
        row.modified = now
        try transaction.save(row, replacing: old)
        try transaction.recipient(row.id)?.appendEvent(row, account: account, transaction)
    }

    // MARK: Resolving and finishing

    static func resolve(_ id: MailingID, at now: Timestamp, _ transaction: StoreTransaction) throws -> Int {
        guard let mailing = try transaction.mailing(id) else { return 0 }
        let resolved = try Revoking.resolve(
            transaction.leases(of: id).map(\.serial),
            mailingEnds: true,
            at: now,
            transaction
        )
        if mailing.mailing.ending != nil { try Self.finishEnding(id, at: now, transaction) }
        return resolved
    }

    /// Finishes a mailing if nothing is left of it and its grace has passed.
    ///
    /// The counter says whether something is left; buckets and leases are asked too, so that a counter gone wrong can
    /// keep a mailing open but never close it early.
    static func finishIfComplete(
        _ id: MailingID,
        at now: Timestamp,
        grace: Duration,
        _ transaction: StoreTransaction
    ) throws -> Mailing? {
        guard let mailing = try transaction.mailing(id)?.mailing, mailing.counters.pending == 0,
            let closing = MailingLifecycle.closing(of: mailing, grace: grace), closing <= now,
            try BucketRow.fetch(of: id, transaction).allSatisfy({ $0.watermark == $0.fill && $0.waiting == 0 }),
            try transaction.leases(of: id).isEmpty
        else { return nil }
        try transaction.update(id) { MailingLifecycle.finish(&$0.mailing, at: now) }
        return try transaction.requireMailing(id, in: .everything).mailing
    }
}
