// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Deletes mailings: at once for every reader, the rest of it afterwards.
///
/// The first transaction removes the mailing's own row and its leases and leaves a tombstone; from then on nothing of
/// it can be seen. The tables of its own partition, if it has one, are removed as a whole as far as the engine can; before
/// that the ids are freed that clients chose for recipients in it. Its shared recipients and deliveries, and its events,
/// go in small steps between other operations.
enum Deletion {
    /// How many rows of a table one step removes.
    static let purgeStep = 1_000

    /// The result of one purge step.
    enum Step: Sendable {
        /// Nothing was left.
        case finished
        /// Something was removed, and there may be more.
        case goesOn
        /// Nothing is left of a deleted mailing but tables that somebody has in use.
        case isBusy(MailingID)
    }

    static func delete(
        _ id: MailingID,
        in scope: AccountScope,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> [RevokedLease] {
        let row = try transaction.requireMailing(id, in: scope)
        let mailing = row.mailing
        let leases = try transaction.leases(of: id).map { RevokedLease(serial: $0.serial, satellite: $0.satellite) }
        let number = Int(id.rawValue)
        for table in ["lease", "bucket", "revision", "cohort", "domain_count"] {
            try transaction.prepare("DELETE FROM \(table) WHERE mailing = ?").bind(1, number).run()
        }
        try transaction.prepare("DELETE FROM mailing WHERE id = ?").bind(1, number).run()
        try transaction.prepare(
            "INSERT INTO tombstone(mailing, account, deleted, segment, tracked) VALUES (?, ?, ?, ?, ?)"
        ).bind(1, number).bind(2, Int(mailing.account.rawValue)).bind(3, now)
            .bind(4, row.partitionStart == nil ? 0 : 1).bind(5, row.isPartitionTracked ? Int64(0) : nil).run()
        return leases
    }

    /// Removes some of what deleted mailings left, apart from those that are to be skipped.
    static func purge(skipping busy: [MailingID], _ transaction: StoreTransaction) throws -> Step {
        let next = try transaction.prepare(
            """
            SELECT mailing, account, segment, tracked FROM tombstone
            WHERE purged IS NULL AND NOT (mailing IN (SELECT value FROM json_each(?))) ORDER BY mailing LIMIT 1
            """
        ).bind(1, list: busy.map { Int64($0.rawValue) })
            .first {
                (
                    mailing: MailingID(rawValue: try $0.integer(0)), account: try $0.int64(1),
                    partition: try $0.bool(2),
                    tracked: try $0.optionalInt64(3)
                )
            }
        guard let next else { return .finished }
        let id = next.mailing
        let number = Int64(id.rawValue)
        var isBusy = false
        if next.partition {
            if let position = next.tracked {
                try Self.forgetTrackingIDs(account: next.account, ofPartitionOf: id, after: position, transaction)
                return .goesOn
            }
            switch try transaction.connection.removePartition(Partition(owner: id)) {
            case .goesOn: return .goesOn
            case .done:
                try transaction.prepare("UPDATE tombstone SET segment = 0 WHERE mailing = ?").bind(1, number)
                    .run()
                return .goesOn
            case .busy: isBusy = true
            }
        }
        let first = number << 32
        let end = (number + 1) << 32
        var removed = 0
        try Self.forgetTrackingIDs(account: next.account, from: first, before: end, transaction)
        removed += try Self.remove("recipient", "id", from: first, before: end, transaction)
        removed += try Self.remove("delivery", "id", from: first, before: end, transaction)
        try transaction.prepare(
            "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE mailing = ? ORDER BY seq LIMIT ?)"
        ).bind(1, number).bind(2, Self.purgeStep).run()
        removed += transaction.changedRows
        try transaction.prepare(
            """
            DELETE FROM import_block WHERE mailing = ? AND (import, block) IN
            (SELECT import, block FROM import_block WHERE mailing = ? LIMIT ?)
            """
        ).bind(1, number).bind(2, number).bind(3, Self.purgeStep / 10).run()
        removed += transaction.changedRows
        removed += try BlobUse.end(of: id, transaction)
        if removed > 0 { return .goesOn }
        if isBusy { return .isBusy(id) }
        try transaction.prepare("UPDATE tombstone SET purged = 1 WHERE mailing = ?").bind(1, number).run()
        return .goesOn
    }

    /// Frees some of the clients' own ids of a partition's recipients, and notes how far it came.
    private static func forgetTrackingIDs(
        account: Int64,
        ofPartitionOf id: MailingID,
        after position: Int64,
        _ transaction: StoreTransaction
    ) throws {
        var own: [String] = []
        var last: Int64?
        let table = Partition(owner: id).recipients
        try transaction.prepare("SELECT id, tracking FROM \(table) WHERE id > ? ORDER BY id LIMIT ?")
            .bind(1, position).bind(2, Self.purgeStep).rows { row in
                last = try row.int64(0)
                if let tracking = try row.optionalText(1) { own.append(tracking) }
            }
        let range = (first: Int64(id.rawValue) << 32, end: (Int64(id.rawValue) + 1) << 32)
        try Self.forget(own, account: account, from: range.first, before: range.end, transaction)
        try transaction.prepare("UPDATE tombstone SET tracked = ? WHERE mailing = ?")
            .bind(1, last).bind(2, Int(id.rawValue)).run()
    }

    /// Frees the clients' own ids of the recipients that the step removes, unless a newer recipient has them.
    private static func forgetTrackingIDs(
        account: Int64,
        from first: Int64,
        before end: Int64,
        _ transaction: StoreTransaction
    ) throws {
        var own: [String] = []
        try transaction.prepare("SELECT tracking FROM recipient WHERE id >= ? AND id < ? ORDER BY id LIMIT ?")
            .bind(1, first).bind(2, end).bind(3, Self.purgeStep).rows { row in
                if let tracking = try row.optionalText(0) { own.append(tracking) }
            }
        try Self.forget(own, account: account, from: first, before: end, transaction)
    }

    /// Frees ids that clients chose for recipients of a range.
    private static func forget(
        _ own: [String],
        account: Int64,
        from first: Int64,
        before end: Int64,
        _ transaction: StoreTransaction
    ) throws {
        guard !own.isEmpty else { return }
        try transaction.prepare(
            """
            DELETE FROM tracking WHERE account = ? AND tracking IN (SELECT value FROM json_each(?))
            AND recipient >= ? AND recipient < ?
            """
        ).bind(1, account).bind(2, list: own).bind(3, first).bind(4, end).run()
    }

    private static func remove(
        _ table: String,
        _ key: String,
        from first: Int64,
        before end: Int64,
        _ transaction: StoreTransaction
    ) throws -> Int {
        try transaction.prepare(
            """
            DELETE FROM \(table) WHERE \(key) IN
            (SELECT \(key) FROM \(table) WHERE \(key) >= ? AND \(key) < ? ORDER BY \(key) LIMIT ?)
            """
        ).bind(1, first).bind(2, end).bind(3, Self.purgeStep).run()
        return transaction.changedRows
    }
}
