// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A row of `lease`: recipients of one bucket with one satellite, and which of them were started and closed.
///
/// An entry is closed when its attempt was reported, resolved or requeued. A lease without open entries has no row.
struct LeaseRow {
    /// One recipient of the lease.
    struct Entry: Hashable {
        var ordinal: UInt32
        var attempt: Int32
    }

    var serial: LeaseSerial
    var term: Term
    var satellite: SatelliteID
    var mailing: MailingID
    var bucket: Bucket
    var deliveryClass: DeliveryClass
    var revision: Int64
    /// Of a dense range of recipients in their first lease, the first ordinal.
    var first: UInt32
    /// How many entries it has.
    var size: Int
    /// The entries in ascending order of ordinal; `nil` for a dense range, all in their first attempt.
    var entries: [Entry]?
    var started = EntryBitmap()
    var closed = EntryBitmap()
    /// How many entries are not closed.
    private(set) var open: Int
    var granted: Timestamp
    var revoked: Timestamp?

    // MARK: Entries

    /// The recipient at an entry.
    func entry(at index: Int) -> Entry {
        self.entries?[index] ?? Entry(ordinal: self.first + UInt32(index), attempt: 1)
    }

    func recipient(at index: Int) -> RecipientID {
        RecipientID(mailing: self.mailing, bucket: self.bucket, ordinal: self.entry(at: index).ordinal)
    }

    /// The entry of a recipient, or `nil` if the lease does not hold it.
    func index(of recipient: RecipientID) -> Int? {
        guard recipient.mailing == self.mailing, recipient.bucket == self.bucket else { return nil }
        let ordinal = recipient.ordinal
        guard let entries else {
            return ordinal >= self.first && ordinal - self.first < UInt32(self.size) ? Int(ordinal - self.first) : nil
        }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].ordinal < ordinal { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low].ordinal == ordinal ? low : nil
    }

    /// Closes an entry; closing it again changes nothing.
    mutating func close(_ index: Int) {
        guard !self.closed.contains(index) else { return }
        self.closed.insert(index)
        self.open -= 1
    }

    // MARK: Database

    private static let columns = """
        serial, term, satellite, mailing, bucket, class, revision, first, size, entries, started, closed, open, \
        granted, revoked
        """

    /// Makes a lease and gives it the next number, which is never used again.
    static func insert(
        satellite: SatelliteID,
        mailing: MailingID,
        bucket: Bucket,
        deliveryClass: DeliveryClass,
        revision: Int64,
        entries: [Entry],
        granted: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> LeaseRow {
        let first = entries[0].ordinal
        let isDense = entries.enumerated().allSatisfy { index, entry in
            entry.attempt == 1 && entry.ordinal == first + UInt32(index)
        }
        let row = LeaseRow(
            serial: LeaseSerial(rawValue: try transaction.next(.lease)),
            term: transaction.context.term,
            satellite: satellite,
            mailing: mailing,
            bucket: bucket,
            deliveryClass: deliveryClass,
            revision: revision,
            first: first,
            size: entries.count,
            entries: isDense ? nil : entries,
            open: entries.count,
            granted: granted
        )
        try transaction.prepare(
            """
            INSERT INTO lease(serial, term, satellite, mailing, bucket, class, revision, first, size, entries, started,
            closed, open, granted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        ).bind(1, row.serial.rawValue).bind(2, row.term.rawValue).bind(3, Int(satellite.rawValue))
            .bind(4, Int(mailing.rawValue)).bind(5, Int(bucket.rawValue)).bind(6, Int(deliveryClass.rawValue))
            .bind(7, revision).bind(8, Int(first)).bind(9, row.size).bind(10, row.entries.map(Self.encode))
            .bind(11, [UInt8]()).bind(12, [UInt8]()).bind(13, row.open).bind(14, granted).run()
        return row
    }

    static func fetch(_ serial: LeaseSerial, _ transaction: StoreTransaction) throws -> LeaseRow? {
        try transaction.prepare("SELECT \(Self.columns) FROM lease WHERE serial = ?").bind(1, serial.rawValue)
            .first { try LeaseRow(row: $0) }
    }

    /// The open leases of a satellite, or all.
    static func fetch(of satellite: SatelliteID?, _ transaction: StoreTransaction) throws -> [LeaseRow] {
        var found: [LeaseRow] = []
        let statement =
            if let satellite {
                try transaction.prepare("SELECT \(Self.columns) FROM lease WHERE satellite = ? ORDER BY serial")
                    .bind(1, Int(satellite.rawValue))
            } else {
                try transaction.prepare("SELECT \(Self.columns) FROM lease ORDER BY serial")
            }
        try statement.rows { found.append(try LeaseRow(row: $0)) }
        return found
    }

    static func serials(
        of mailing: MailingID,
        bucket: Bucket?,
        _ transaction: StoreTransaction
    ) throws -> [LeaseSerial] {
        var found: [LeaseSerial] = []
        let statement =
            if let bucket {
                try transaction.prepare("SELECT serial FROM lease WHERE mailing = ? AND bucket = ? ORDER BY serial")
                    .bind(1, Int(mailing.rawValue)).bind(2, Int(bucket.rawValue))
            } else {
                try transaction.prepare("SELECT serial FROM lease WHERE mailing = ? ORDER BY serial")
                    .bind(1, Int(mailing.rawValue))
            }
        try statement.rows { found.append(LeaseSerial(rawValue: try $0.int64(0))) }
        return found
    }

    /// Writes what changes in a lease; only ``StoreTransaction/flush()`` calls it.
    func write(_ transaction: StoreTransaction) throws {
        guard self.open > 0 else {
            try transaction.prepare("DELETE FROM lease WHERE serial = ?").bind(1, self.serial.rawValue).run()
            return
        }
        try transaction.prepare("UPDATE lease SET started = ?, closed = ?, open = ?, revoked = ? WHERE serial = ?")
            .bind(1, self.started.bytes).bind(2, self.closed.bytes).bind(3, self.open).bind(4, self.revoked)
            .bind(5, self.serial.rawValue).run()
    }

    /// The lease as callers see it.
    var summary: LeaseSummary {
        LeaseSummary(
            serial: self.serial,
            satellite: self.satellite,
            mailing: self.mailing,
            deliveryClass: self.deliveryClass,
            granted: self.granted,
            size: self.size,
            started: self.started.count,
            open: self.open,
            isRevoked: self.revoked != nil
        )
    }

    private init(
        serial: LeaseSerial,
        term: Term,
        satellite: SatelliteID,
        mailing: MailingID,
        bucket: Bucket,
        deliveryClass: DeliveryClass,
        revision: Int64,
        first: UInt32,
        size: Int,
        entries: [Entry]?,
        open: Int,
        granted: Timestamp
    ) {
        self.serial = serial
        self.term = term
        self.satellite = satellite
        self.mailing = mailing
        self.bucket = bucket
        self.deliveryClass = deliveryClass
        self.revision = revision
        self.first = first
        self.size = size
        self.entries = entries
        self.open = open
        self.granted = granted
    }

    private init(row: any StoreRow) throws {
        self.init(
            serial: LeaseSerial(rawValue: try row.int64(0)),
            term: Term(rawValue: try row.int64(1)),
            satellite: SatelliteID(rawValue: try row.integer(2)),
            mailing: MailingID(rawValue: try row.integer(3)),
            bucket: Bucket(rawValue: try row.integer(4)),
            deliveryClass: try row.value(5),
            revision: try row.int64(6),
            first: try row.integer(7),
            size: try row.int(8),
            entries: try row.optionalBlob(9).map(Self.decode),
            open: try row.int(12),
            granted: try row.timestamp(13)
        )
        self.started = EntryBitmap(bytes: try row.blob(10))
        self.closed = EntryBitmap(bytes: try row.blob(11))
        self.revoked = try row.optionalTimestamp(14)
        guard self.entries.map({ $0.count == self.size }) ?? true else {
            throw StoreError(.corrupt, "lease \(self.serial) does not have as many entries as its size says")
        }
    }

    private static func encode(_ entries: [Entry]) -> [UInt8] {
        var writer = ByteWriter(capacity: entries.count * 2)
        var last: UInt32 = 0
        for entry in entries {
            writer.unsigned(UInt64(entry.ordinal - last))
            writer.unsigned(UInt64(entry.attempt))
            last = entry.ordinal
        }
        return writer.bytes
    }

    private static func decode(_ bytes: [UInt8]) throws -> [Entry] {
        var reader = ByteReader(bytes)
        var entries: [Entry] = []
        var last: UInt32 = 0
        while !reader.isAtEnd {
            last += UInt32(truncatingIfNeeded: try reader.unsigned())
            entries.append(Entry(ordinal: last, attempt: Int32(truncatingIfNeeded: try reader.unsigned())))
        }
        return entries
    }
}
