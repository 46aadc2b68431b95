// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Dates waiting recipients anew that wait longer than any retry may: the clock was wrong when they were dated.
enum Redating {
    /// How many recipients are dated in one transaction.
    static let step = 1_000

    /// One step for a mailing.
    ///
    /// - Returns: How many were dated anew; fewer than ``step`` if nothing is left.
    static func dateAnew(_ mailing: MailingID, at now: Timestamp, _ transaction: StoreTransaction) throws -> Int {
        try transaction.flush()  // The buckets are asked for what waits.
        let schedule = transaction.context.retry
        let found = try Self.find(mailing, limit: Self.step, at: now, transaction)
        for old in found {
            var new = old
            new.due = now.advanced(by: schedule.delay(afterTries: max(1, old.deliveryState.tryCount)))
            try transaction.save(new, replacing: old)
        }
        return found.count
    }

    /// Whether something is to be dated anew; writes nothing.
    static func isNeeded(of mailing: MailingID, at now: Timestamp, _ transaction: StoreTransaction) throws -> Bool {
        try !Self.find(mailing, limit: 1, at: now, transaction).isEmpty
    }

    private static func find(
        _ mailing: MailingID,
        limit: Int,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> [DeliveryRow] {
        guard try transaction.mailing(mailing) != nil else { return [] }
        let schedule = transaction.context.retry
        let longest = schedule.steps.map(\.delay).reduce(schedule.finalDelay) { max($0, $1) }
        let latest = now.advanced(by: longest + .seconds(60))
        var found: [DeliveryRow] = []
        for bucket in try BucketRow.fetch(of: mailing, transaction) where bucket.waiting > 0 && found.count < limit {
            try DeliveryRow.fetchDue(
                mailing: mailing,
                bucket: bucket.bucket,
                at: Timestamp(milliseconds: .max),
                after: latest,
                page: limit,
                transaction
            ) { delivery, _ in
                found.append(delivery)
                return found.count < limit
            }
        }
        return found
    }
}
