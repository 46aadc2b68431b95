// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Deletes mailings: at once for every reader, row by row afterwards.
///
/// The first transaction removes the mailing's own row and its leases and leaves a tombstone; from then on nothing of
/// it can be seen. Its recipients, deliveries and events go in small steps between other verbs.
enum Deletion {
    /// How many rows of a table one step removes.
    static let purgeStep = 1_000

    static func delete(
        _ id: MailingID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> [RevokedLease] {
        let mailing = try transaction.requireMailing(id).mailing
        let leases = try transaction.leases(of: id).map { RevokedLease(serial: $0.serial, satellite: $0.satellite) }
        let number = Int(id.rawValue)
        for table in ["lease", "bucket", "revision", "cohort", "domain_count"] {
            try transaction.prepare("DELETE FROM \(table) WHERE mailing = ?").bind(1, number).run()
        }
        try transaction.prepare("DELETE FROM mailing WHERE id = ?").bind(1, number).run()
        try transaction.prepare("INSERT INTO tombstone(mailing, account, deleted) VALUES (?, ?, ?)")
            .bind(1, number).bind(2, Int(mailing.account.rawValue)).bind(3, now).run()
        return leases
    }

    /// Removes some rows of deleted mailings.
    ///
    /// - Returns: Whether something is left.
    static func purge(_ transaction: StoreTransaction) throws -> Bool {
        let next = try transaction.prepare(
            "SELECT mailing, account FROM tombstone WHERE purged IS NULL ORDER BY mailing LIMIT 1"
        ).first { (mailing: $0.int64(0), account: $0.int64(1)) }
        guard let next else { return false }
        let first = next.mailing << 32
        let end = (next.mailing + 1) << 32
        var removed = 0
        try Self.forgetTrackingIDs(account: next.account, from: first, before: end, transaction)
        removed += try Self.remove("recipient", "id", from: first, before: end, transaction)
        removed += try Self.remove("delivery", "id", from: first, before: end, transaction)
        try transaction.prepare(
            "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE mailing = ? ORDER BY seq LIMIT ?)"
        ).bind(1, next.mailing).bind(2, Self.purgeStep).run()
        removed += transaction.changedRows
        try transaction.prepare(
            """
            DELETE FROM import_block WHERE mailing = ? AND (import, block) IN
            (SELECT import, block FROM import_block WHERE mailing = ? LIMIT ?)
            """
        ).bind(1, next.mailing).bind(2, next.mailing).bind(3, Self.purgeStep / 10).run()
        removed += transaction.changedRows
        removed += try BlobUse.end(of: MailingID(rawValue: Int32(truncatingIfNeeded: next.mailing)), transaction)
        if removed == 0 {
            try transaction.prepare("UPDATE tombstone SET purged = 1 WHERE mailing = ?").bind(1, next.mailing).run()
        }
        return true
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
                if let tracking = row.optionalText(0) { own.append(tracking) }
            }
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
