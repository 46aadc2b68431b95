// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Reads the backlog and the store's counts, without reading recipients.
enum Overview {
    /// Retry entries of a bucket are counted up to here; more makes no difference to who gets them.
    static let mostCounted = 10_000

    // MARK: Work

    static func backlog(at now: Timestamp, _ transaction: StoreTransaction) throws -> [Backlog] {
        var rows: [Backlog] = []
        for row in try Self.active(transaction) where row.mailing.counters.pending > 0 {
            let mailing = row.mailing
            for bucket in try BucketRow.fetch(of: mailing.id, transaction)
            where MailingLifecycle.mayLease(mailing, bucket.deliveryClass, at: now) {
                let unleased = Int(bucket.fill - bucket.watermark)
                let due = bucket.waiting == 0 ? 0 : try Self.countDue(row, bucket.bucket, at: now, transaction)
                for (isRetry, count) in [(false, unleased), (true, due)] where count > 0 {
                    rows.append(
                        Backlog(
                            mailing: mailing.id,
                            bucket: bucket.bucket,
                            home: row.home(of: bucket),
                            deliveryClass: bucket.deliveryClass,
                            isRetry: isRetry,
                            count: count,
                            satelliteGroup: mailing.properties.satelliteGroup,
                            domain: bucket.domain.flatMap { $0.isEmpty ? nil : $0 },
                            started: mailing.started
                        )
                    )
                }
            }
        }
        return rows
    }

    static func nextDue(
        after now: Timestamp,
        finishGrace: Duration,
        _ transaction: StoreTransaction
    ) throws -> Timestamp? {
        var next: Timestamp?
        func consider(_ timestamp: Timestamp?) {
            guard let timestamp, timestamp > now else { return }
            next = next.map { min($0, timestamp) } ?? timestamp
        }
        for row in try Self.active(transaction, includingPaused: true) {
            let mailing = row.mailing
            if let ending = mailing.ending {
                consider(ending.advanced(by: MailingLifecycle.resolutionDelay))
                continue
            }
            consider(MailingLifecycle.end(of: mailing))
            if mailing.counters.pending == 0 {
                consider(MailingLifecycle.closing(of: mailing, grace: finishGrace))
            } else if mailing.status != .paused {
                if mailing.status == .ready || mailing.status == .running {
                    consider(mailing.properties.scheduledStart)
                }
                for bucket in try BucketRow.fetch(of: mailing.id, transaction) where bucket.waiting > 0 {
                    consider(try Self.firstDue(row, bucket.bucket, after: now, transaction))
                }
            }
        }
        return next
    }

    private static func active(
        _ transaction: StoreTransaction,
        includingPaused: Bool = false
    ) throws -> [MailingRow] {
        var filter = MailingFilter()
        filter.statuses = [.filling, .ready, .running] + (includingPaused ? [.paused] : [])
        return try MailingRow.fetch(filter, in: .everything, transaction)
    }

    private static func countDue(
        _ row: MailingRow,
        _ bucket: Bucket,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let table = row.partition(of: bucket).deliveries
        return try transaction.prepare(
            "SELECT count(*) FROM (SELECT 1 FROM \(table) WHERE (id >> 22) = ? AND due <= ? LIMIT ?) AS due"
        ).bind(1, RecipientID(mailing: row.mailing.id, bucket: bucket, ordinal: 0).packed >> 22).bind(2, now)
            .bind(3, Self.mostCounted).first { try $0.int(0) } ?? 0
    }

    private static func firstDue(
        _ row: MailingRow,
        _ bucket: Bucket,
        after now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Timestamp? {
        let table = row.partition(of: bucket).deliveries
        return try transaction.prepare(
            "SELECT due FROM \(table) WHERE (id >> 22) = ? AND due > ? ORDER BY due LIMIT 1"
        ).bind(1, RecipientID(mailing: row.mailing.id, bucket: bucket, ordinal: 0).packed >> 22).bind(2, now)
            .first { try $0.timestamp(0) }
    }

    // MARK: Status

    static func summary(_ transaction: StoreTransaction) throws -> StoreSummary {
        var summary = StoreSummary()
        try transaction.prepare(
            """
            SELECT status, count(*), CAST(sum(total - delivered - failed - expired) AS BIGINT),
            CAST(sum(uncertain) AS BIGINT) FROM mailing GROUP BY status
            """
        ).rows { row in
            summary.mailings[try row.value(0), default: 0] = try row.int(1)
            summary.pending += try row.int(2)
            summary.uncertain += try row.int(3)
        }
        try transaction.prepare("SELECT CAST(coalesce(sum(open), 0) AS BIGINT), min(granted) FROM lease").rows { row in
            summary.leased = try row.int(0)
            summary.oldestLease = try row.optionalTimestamp(1)
        }
        summary.pending -= summary.leased
        summary.feedHead = try transaction.stored(.feed)
        return summary
    }
}
