// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A row of `bucket`.
struct BucketRow {
    var bucket: Bucket
    var deliveryClass: DeliveryClass
    /// The domain of a bucket of its own; empty for express ones, `nil` for hashed ones.
    var domain: String?
    /// The next ordinal.
    var fill: UInt32
    /// The first ordinal that was never leased.
    var watermark: UInt32
    /// How many retry entries it has, due or not.
    var waiting: Int

    /// The buckets of a mailing in order of number; at most 1,024.
    static func fetch(of mailing: MailingID, _ transaction: StoreTransaction) throws -> [BucketRow] {
        try Self.fetch(
            transaction.prepare("SELECT \(Self.columns) FROM bucket WHERE mailing = ? ORDER BY bucket")
                .bind(1, Int(mailing.rawValue))
        )
    }

    /// The buckets from one on, and these of those before it.
    static func fetch(
        of mailing: MailingID,
        from first: Bucket,
        and others: some Sequence<Bucket>,
        _ transaction: StoreTransaction
    ) throws -> [BucketRow] {
        try Self.fetch(
            transaction.prepare(
                """
                SELECT \(Self.columns) FROM bucket
                WHERE mailing = ? AND (bucket >= ? OR bucket IN (SELECT value FROM json_each(?))) ORDER BY bucket
                """
            ).bind(1, Int(mailing.rawValue)).bind(2, Int(first.rawValue))
                .bind(3, list: others.map { Int64($0.rawValue) })
        )
    }

    private static let columns = "bucket, class, domain, fill, watermark, waiting"

    private static func fetch(_ statement: any StoreStatement) throws -> [BucketRow] {
        var found: [BucketRow] = []
        try statement.rows { row in
            found.append(
                BucketRow(
                    bucket: Bucket(rawValue: try row.integer(0)),
                    deliveryClass: try row.value(1),
                    domain: try row.optionalText(2),
                    fill: try row.integer(3),
                    watermark: try row.integer(4),
                    waiting: try row.int(5)
                )
            )
        }
        return found
    }
}
