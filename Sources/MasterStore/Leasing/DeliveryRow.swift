// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A row of `delivery`: what is known of a recipient that was reported, requeued, skipped or ended.
///
/// A recipient without a row is unleased if its ordinal is not below its bucket's watermark, else in its first
/// attempt under the lease of a range.
struct DeliveryRow {
    var id: RecipientID
    /// State, attempts made and flags; `nextTry` is not used, ``due`` holds it.
    var deliveryState = DeliveryState()
    /// The latest attempt that was granted; 0 if none.
    var attempt: Int32 = 0
    /// The latest attempt that was reported; 0 if none.
    var reported: Int32 = 0
    /// Attempts below ``reported`` that were not reported: requeued, or resolved and perhaps reported late.
    var missing: [Int32] = []
    /// The latest attempt that was resolved as uncertain without a report; 0 if none.
    var resolved: Int32 = 0
    /// The message's Date.
    var messageDate: Timestamp?
    /// When it may be leased; exactly the recipients that wait for a lease have one.
    var due: Timestamp?
    /// The lease that holds it.
    var lease: LeaseSerial?
    /// The content revision of its first started attempt.
    var revision: Int64?
    /// The last attempt's trace.
    var trace: AttemptTrace?
    /// The satellite that leased it last.
    var satellite: SatelliteID?
    /// When it was last leased.
    var leasedAt: Timestamp?
    /// When its state last changed.
    var modified: Timestamp

    init(id: RecipientID, modified: Timestamp) {
        self.id = id
        self.modified = modified
    }

    /// A recipient of a range without a row, as if its first attempt had had a row all along.
    init(id: RecipientID, firstAttemptOf lease: LeaseRow) {
        self.init(id: id, modified: lease.granted)
        self.attempt = 1
        self.messageDate = lease.granted
        self.lease = lease.serial
        self.satellite = lease.satellite
        self.leasedAt = lease.granted
    }

    // MARK: Idempotence

    /// Notes the report of an attempt.
    ///
    /// - Returns: `false` if it was noted before.
    mutating func noteReport(of attempt: Int32) -> Bool {
        if attempt > self.reported {
            for skipped in (self.reported + 1)..<max(attempt, self.reported + 1) { self.missing.append(skipped) }
            if self.missing.count > Self.mostMissing { self.missing.removeFirst(self.missing.count - Self.mostMissing) }
            self.reported = attempt
            return true
        }
        guard let index = self.missing.firstIndex(of: attempt) else { return false }
        self.missing.remove(at: index)
        return true
    }

    /// Unreported attempts that are remembered; the oldest are forgotten, and their reports then count as repeated.
    private static let mostMissing = 64

    // MARK: Database

    private static let columns = """
        id, state, attempt, reported, missing, settled, flags, try_count, first_try, message_date, due, lease, \
        revision, stage, code, enhanced, text, mx, satellite, leased_at, modified
        """

    /// What is known of these recipients, in no order; those not yet reported or requeued have no row.
    static func fetch(_ ids: [RecipientID], _ transaction: StoreTransaction) throws -> [DeliveryRow] {
        guard !ids.isEmpty else { return [] }
        var found: [DeliveryRow] = []
        for part in try transaction.byPartition(ids, { $0 }) {
            let table = part.partition.deliveries
            try transaction
                .prepare("SELECT \(Self.columns) FROM \(table) WHERE id IN (SELECT value FROM json_each(?))")
                .bind(1, list: part.items.map(\.packed)).rows { found.append(try DeliveryRow(row: $0)) }
        }
        return found
    }

    /// Rows from one recipient up to, not including, another of the same bucket.
    static func fetch(
        from first: RecipientID,
        before end: Int64,
        _ transaction: StoreTransaction
    ) throws -> [DeliveryRow] {
        try transaction.writeRows()
        let table = try transaction.partition(of: first.mailing, first.bucket).deliveries
        var found: [DeliveryRow] = []
        try transaction.prepare("SELECT \(Self.columns) FROM \(table) WHERE id >= ? AND id < ? ORDER BY id")
            .bind(1, first.packed).bind(2, end).rows { found.append(try DeliveryRow(row: $0)) }
        return found
    }

    /// Waiting recipients of a bucket that are due and their domains, the longest due first, until `read` returns `false`.
    ///
    /// They are read in pages, so that what `read` skips is never more than a page ahead.
    static func fetchDue(
        mailing: MailingID,
        bucket: Bucket,
        at now: Timestamp,
        after first: Timestamp = Timestamp(milliseconds: .min),
        page: Int,
        _ transaction: StoreTransaction,
        _ read: (DeliveryRow, _ domain: String) throws -> Bool
    ) throws {
        let key = RecipientID(mailing: mailing, bucket: bucket, ordinal: 0).packed >> 22
        try transaction.writeRows()
        let partition = try transaction.partition(of: mailing, bucket)
        let sql = """
            SELECT \(Self.columns), (SELECT domain FROM \(partition.recipients) AS whom WHERE whom.id = known.id)
            FROM \(partition.deliveries) AS known
            WHERE (id >> 22) = ? AND due <= ? AND (due, id) > (?, ?) ORDER BY due, id LIMIT ?
            """
        var last = (due: first.milliseconds, id: Int64.min)
        var wantsMore = true
        while wantsMore {
            var count = 0
            try transaction.prepare(sql).bind(1, key).bind(2, now.milliseconds).bind(3, last.due)
                .bind(4, last.id).bind(5, page)
                .rowsWhile { row in
                    count += 1
                    let delivery = try DeliveryRow(row: row)
                    last = (delivery.due?.milliseconds ?? last.due, delivery.id.packed)
                    // Without a recipient there is nobody to lease; the caller finds that when it reads recipients.
                    wantsMore = try read(delivery, try row.optionalText(21) ?? "")
                    return wantsMore
                }
            if count < page { return }
        }
    }

    /// Held recipients of a mailing.
    static func fetchUncertain(
        _ mailing: MailingID,
        limit: Int,
        _ transaction: StoreTransaction
    ) throws -> [DeliveryRow] {
        try transaction.writeRows()
        var found: [DeliveryRow] = []
        for partition in try transaction.requireMailing(mailing, in: .everything).partitions where found.count < limit {
            let table = partition.deliveries
            try transaction.prepare(
                "SELECT \(Self.columns) FROM \(table) WHERE state = 5 AND id >= ? AND id < ? ORDER BY id LIMIT ?"
            ).bind(1, Int64(mailing.rawValue) << 32).bind(2, (Int64(mailing.rawValue) + 1) << 32)
                .bind(3, limit - found.count).rows { found.append(try DeliveryRow(row: $0)) }
        }
        return found
    }

    /// Writes rows; only ``StoreTransaction/writeRows()`` calls it, so that counters follow.
    static func write(_ rows: [DeliveryRow], to partition: Partition, _ connection: any StoreConnection) throws {
        var batch = RowBatch(partition.deliveries, replacingBy: "id", count: rows.count)
        batch.add("id", numbers: rows.map(\.id.packed))
        batch.add("state", numbers: rows.map { Int64($0.deliveryState.state.rawValue) })
        batch.add("attempt", numbers: rows.map { Int64($0.attempt) })
        batch.add("reported", numbers: rows.map { Int64($0.reported) })
        batch.add("missing", bytes: rows.map { $0.missing.isEmpty ? nil : $0.encodedMissing() })
        batch.add("settled", numbers: rows.map { Int64($0.resolved) })
        batch.add(
            "flags",
            numbers: rows.map { ($0.deliveryState.uncertain ? 1 : 0) | ($0.deliveryState.accepted ? 2 : 0) }
        )
        batch.add("try_count", numbers: rows.map { Int64($0.deliveryState.tryCount) })
        batch.add("first_try", numbers: rows.map { $0.deliveryState.firstTry?.milliseconds })
        batch.add("message_date", numbers: rows.map { $0.messageDate?.milliseconds })
        batch.add("due", numbers: rows.map { $0.due?.milliseconds })
        batch.add("lease", numbers: rows.map { $0.lease?.rawValue })
        batch.add("revision", numbers: rows.map(\.revision))
        batch.add("stage", numbers: rows.map { row in row.trace.map { Int64(StageCode.number(of: $0.stage)) } })
        batch.add("code", numbers: rows.map { row in row.trace?.replyCode.map { Int64($0) } })
        batch.add("enhanced", texts: rows.map { $0.trace?.enhancedStatus })
        batch.add("text", texts: rows.map { $0.trace?.text })
        batch.add("mx", texts: rows.map { $0.trace?.mxHost })
        batch.add("satellite", numbers: rows.map { row in row.satellite.map { Int64($0.rawValue) } })
        batch.add("leased_at", numbers: rows.map { $0.leasedAt?.milliseconds })
        batch.add("modified", numbers: rows.map(\.modified.milliseconds))
        try connection.write(batch)
    }

    private init(row: any StoreRow) throws {
        self.id = RecipientID(packed: try row.int64(0))
        self.attempt = try row.integer(2)
        self.reported = try row.integer(3)
        self.missing = []
        self.resolved = try row.integer(5)
        let flags = try row.int(6)
        self.deliveryState = DeliveryState(
            state: try row.value(1),
            uncertain: flags & 1 != 0,
            accepted: flags & 2 != 0,
            tryCount: try row.int(7),
            firstTry: try row.optionalTimestamp(8)
        )
        self.messageDate = try row.optionalTimestamp(9)
        self.due = try row.optionalTimestamp(10)
        self.lease = try row.optionalInt64(11).map { LeaseSerial(rawValue: $0) }
        self.revision = try row.optionalInt64(12)
        if let stage = try row.optionalInt64(13) {
            self.trace = AttemptTrace(
                stage: try StageCode.stage(of: Int(stage)),
                replyCode: try row.optionalInt64(14).map { Int($0) },
                enhancedStatus: try row.optionalText(15),
                text: try row.text(16),
                mxHost: try row.optionalText(17)
            )
        }
        self.satellite = try row.optionalInt64(18) == nil ? nil : SatelliteID(rawValue: try row.integer(18))
        self.leasedAt = try row.optionalTimestamp(19)
        self.modified = try row.timestamp(20)
        if let bytes = try row.optionalBlob(4) {
            var reader = ByteReader(bytes)
            while !reader.isAtEnd { self.missing.append(Int32(truncatingIfNeeded: try reader.unsigned())) }
        }
    }

    private func encodedMissing() -> [UInt8] {
        var writer = ByteWriter()
        for attempt in self.missing { writer.unsigned(UInt64(attempt)) }
        return writer.bytes
    }
}
