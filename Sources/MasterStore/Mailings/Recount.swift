// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Counts a mailing's rows and compares them with its counters, which nothing but a fault can make differ.
///
/// It reads every row of the mailing, so it belongs on a snapshot; the writer recounts only what differed there.
enum Recount {
    /// The result of counting the rows.
    private struct Finding {
        /// The mailing with its counters as counted.
        var row: MailingRow
        /// Buckets whose number of retry entries differs, with the right one.
        var waiting: [(bucket: Bucket, count: Int)]
        /// How many counters differ.
        var differences: Int
    }

    /// How many counters differ from the rows; 0 if the mailing is gone.
    static func differences(_ id: MailingID, _ transaction: StoreTransaction) throws -> Int {
        try Self.find(id, transaction)?.differences ?? 0
    }

    /// Corrects the counters.
    ///
    /// - Returns: How many differed.
    static func repair(_ id: MailingID, _ transaction: StoreTransaction) throws -> Int {
        guard let finding = try Self.find(id, transaction) else { return 0 }
        if finding.differences > finding.waiting.count {
            try transaction.update(id) {
                $0.mailing.counters = finding.row.mailing.counters
                $0.unrenderable = finding.row.unrenderable
            }
        }
        for (bucket, count) in finding.waiting {
            try transaction.prepare("UPDATE bucket SET waiting = ? WHERE mailing = ? AND bucket = ?")
                .bind(1, count).bind(2, Int(id.rawValue)).bind(3, Int(bucket.rawValue)).run()
        }
        return finding.differences
    }

    private static func find(_ id: MailingID, _ transaction: StoreTransaction) throws -> Finding? {
        guard let stored = try transaction.mailing(id) else { return nil }
        let buckets = try BucketRow.fetch(of: id, transaction)
        var counted = stored
        counted.mailing.counters = MailingCounters()
        counted.unrenderable = 0
        // In parts, cut where a bucket begins, so that no statement takes long; together they cover the whole mailing.
        let cuts = buckets.map { Self.first(of: $0.bucket, in: id) } + [(Int64(id.rawValue) + 1) << 32]
        var first = RecipientID(mailing: id, bucket: Bucket(rawValue: 0), ordinal: 0)
        for cut in cuts where cut > first.packed {
            try Self.count(from: first, before: cut, into: &counted, transaction)
            first = RecipientID(packed: cut)
        }
        let before = stored.mailing.counters
        let after = counted.mailing.counters
        let differences = [
            before.total != after.total, before.delivered != after.delivered, before.failed != after.failed,
            before.expired != after.expired, before.deferred != after.deferred, before.uncertain != after.uncertain,
            stored.unrenderable != counted.unrenderable,
        ].count { $0 }
        let waiting = try buckets.compactMap { bucket -> (bucket: Bucket, count: Int)? in
            let count = try Self.countWaiting(bucket.bucket, of: stored, transaction)
            return count == bucket.waiting ? nil : (bucket.bucket, count)
        }
        return Finding(row: counted, waiting: waiting, differences: differences + waiting.count)
    }

    private static func first(of bucket: Bucket, in id: MailingID) -> Int64 {
        RecipientID(mailing: id, bucket: bucket, ordinal: 0).packed
    }

    private static func count(
        from first: RecipientID,
        before end: Int64,
        into row: inout MailingRow,
        _ transaction: StoreTransaction
    ) throws {
        let partition = row.partition(of: first.bucket)
        row.mailing.counters.total +=
            try transaction.prepare("SELECT count(*) FROM \(partition.recipients) WHERE id >= ? AND id < ?")
            .bind(1, first.packed).bind(2, end).first { try $0.int(0) } ?? 0
        // SQLite would sort every row of the part to group them, in memory.
        let states = RecipientState.allCases
        let counts = states.map { "count(*) FILTER (WHERE state = \($0.rawValue))" }.joined(separator: ", ")
        try transaction.prepare("SELECT \(counts) FROM \(partition.deliveries) WHERE id >= ? AND id < ?")
            .bind(1, first.packed).bind(2, end).rows { found in
                for (column, state) in states.enumerated() { row.count(state, by: try found.int(Int32(column))) }
            }
    }

    private static func countWaiting(
        _ bucket: Bucket,
        of row: MailingRow,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let table = row.partition(of: bucket).deliveries
        return try transaction.prepare("SELECT count(*) FROM \(table) WHERE (id >> 22) = ? AND due IS NOT NULL")
            .bind(1, Self.first(of: bucket, in: row.mailing.id) >> 22).first { try $0.int(0) } ?? 0
    }
}
