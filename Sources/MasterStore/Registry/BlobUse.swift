// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Which mailings need a blob; one that none needs is removed.
///
/// Mailings share blobs: the same attachment, the same content. A blob is stored before the mailing or the recipient that
/// needs it, in a transaction of its own, so at first it is kept for nobody in particular, for a time.
enum BlobUse {
    /// How many uses one step ends, and about how many bytes of blobs it removes.
    static let step = (uses: 100, bytes: 4 << 20)
    /// The id that stands for no mailing; mailings are numbered from 1.
    private static let nobody = MailingID(rawValue: 0)

    /// Finds the uses of what a store of an earlier version holds; part of a step of both schemas, so never edited.
    static let firstUses = """
        INSERT INTO blob_use(mailing, hash, since) SELECT DISTINCT mailing, content, 0 FROM revision;
        INSERT INTO blob_use(mailing, hash, since)
        WITH RECURSIVE place(n) AS (
            SELECT 0
            UNION ALL SELECT n + 1 FROM place WHERE (n + 2) * 32 <= (SELECT max(length(attachments)) FROM recipient))
        SELECT DISTINCT id >> 32, substr(attachments, n * 32 + 1, 32), 0
        FROM recipient, place WHERE length(attachments) >= (n + 1) * 32
        ON CONFLICT DO NOTHING;
        INSERT INTO blob_use(mailing, hash, since)
        SELECT 0, hash, 0 FROM blob WHERE NOT EXISTS (SELECT 1 FROM blob_use u WHERE u.hash = blob.hash);
        """

    /// Keeps blobs that were just stored.
    static func reserve(_ hashes: Set<BlobHash>, at now: Timestamp, _ transaction: StoreTransaction) throws {
        try self.note(hashes, of: self.nobody, at: now, transaction)
    }

    /// Keeps blobs for as long as a mailing is there.
    static func note(
        _ hashes: Set<BlobHash>,
        of mailing: MailingID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        guard !hashes.isEmpty else { return }
        var rows = RowBatch("blob_use", replacingBy: "mailing, hash", count: hashes.count)
        rows.add("mailing", numbers: hashes.map { _ in Int64(mailing.rawValue) })
        rows.add("hash", bytes: hashes.map(\.bytes))
        rows.add("since", numbers: hashes.map { _ in now.milliseconds })
        try transaction.connection.write(rows)
    }

    /// Ends uses of a deleted mailing, a step of them.
    ///
    /// - Returns: How many.
    static func end(of mailing: MailingID, _ transaction: StoreTransaction) throws -> Int {
        try self.end(of: mailing, before: Timestamp(milliseconds: .max), transaction).ended
    }

    /// Removes blobs that were stored before `timestamp` and that no mailing has come to use, a step of them.
    ///
    /// - Returns: How many were looked at, and whether more may be old enough.
    static func purge(
        before timestamp: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> (purged: Int, isMoreLeft: Bool) {
        let (ended, isMoreLeft) = try self.end(of: self.nobody, before: timestamp, transaction)
        return (ended, isMoreLeft)
    }

    private static func end(
        of mailing: MailingID,
        before timestamp: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> (ended: Int, isMoreLeft: Bool) {
        var hashes: [[UInt8]] = []
        var bytes: Int64 = 0
        try transaction.prepare(
            """
            SELECT hash, (SELECT length(bytes) FROM blob WHERE blob.hash = blob_use.hash) FROM blob_use
            WHERE mailing = ? AND since < ? ORDER BY since LIMIT ?
            """
        ).bind(1, Int(mailing.rawValue)).bind(2, timestamp).bind(3, Self.step.uses).rowsWhile { row in
            hashes.append(try row.blob(0))
            bytes += try row.optionalInt64(1) ?? 0
            return bytes < Self.step.bytes
        }
        for hash in hashes {
            try transaction.prepare("DELETE FROM blob_use WHERE mailing = ? AND hash = ?")
                .bind(1, Int(mailing.rawValue)).bind(2, hash).run()
            try transaction.prepare(
                "DELETE FROM blob WHERE hash = ? AND NOT EXISTS (SELECT 1 FROM blob_use WHERE hash = ?)"
            ).bind(1, hash).bind(2, hash).run()
        }
        return (hashes.count, hashes.count == Self.step.uses || bytes >= Self.step.bytes)
    }
}
