// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A row of `mailing`.
struct MailingRow {
    var mailing: Mailing
    /// The number of its newest content revision, from 1.
    var revision: Int64
    /// How many recipients are ``RecipientState/unrenderable``; a part of `failed`.
    var unrenderable: Int
    /// The first bucket of its own partition; `nil` while all its recipients are shared ones.
    ///
    /// The partition's first ``Bucket/hashedCount`` buckets are hashed ones, the others are of single domains.
    var partitionStart: UInt16?
    /// Whether clients chose ids for recipients of its own partition.
    var isPartitionTracked = false

    private static let columns = """
        id, account, status, properties, content, revision, subject, created, submitted, started, ended, last_added, \
        ending, no_grace, total, delivered, failed, expired, deferred, uncertain, unrenderable, segment, segment_tracked
        """

    static func fetch(_ id: MailingID, _ transaction: StoreTransaction) throws -> MailingRow? {
        try transaction.prepare("SELECT \(Self.columns) FROM mailing WHERE id = ?").bind(1, Int(id.rawValue))
            .first { try MailingRow(row: $0) }
    }

    /// The mailings that a filter matches, in ascending order of number.
    static func fetch(
        _ filter: MailingFilter,
        in scope: AccountScope,
        _ transaction: StoreTransaction
    ) throws -> [MailingRow] {
        let (condition, values) = Self.condition(filter, scope)
        var rows: [MailingRow] = []
        let sql = "SELECT \(Self.columns) FROM mailing WHERE \(condition) ORDER BY id LIMIT ?"
        try Self.bind(values, transaction.prepare(sql)).rows { rows.append(try MailingRow(row: $0)) }
        return rows
    }

    static func count(
        _ filter: MailingFilter,
        in scope: AccountScope,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let (condition, values) = Self.condition(filter, scope)
        let sql = "SELECT count(*) FROM (SELECT 1 FROM mailing WHERE \(condition) LIMIT ?) AS found"
        return try Self.bind(values, transaction.prepare(sql)).first { try $0.int(0) } ?? 0
    }

    /// Numbers and counters of the mailings that a recipient filter may reach.
    static func fetch(
        _ filter: RecipientFilter,
        in scope: AccountScope,
        _ transaction: StoreTransaction
    ) throws -> [MailingRow] {
        var mailings = MailingFilter()
        mailings.ids = filter.mailings
        return try self.fetch(mailings, in: scope, transaction)
    }

    // MARK: Writing

    /// Adds a mailing whose content is not known yet.
    static func insert(
        _ properties: MailingProperties,
        account: AccountID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> MailingID {
        let number = try transaction.insert(
            transaction.prepare(
                """
                INSERT INTO mailing(account, status, domain, properties, content, revision, subject, created)
                VALUES (?, 0, '', ?, ?, 0, '', ?) RETURNING id
                """
            ).bind(1, Int(account.rawValue)).bind(2, [UInt8]()).bind(3, [UInt8]()).bind(4, now)
        )
        guard let id = Int32(exactly: number) else {
            throw StoreError(.full, "all mailing numbers are used up")
        }
        return MailingID(rawValue: id)
    }

    /// Writes everything but the counters' rows: what its owner sets, then the steering columns.
    func write(_ transaction: StoreTransaction) throws {
        let properties = self.mailing.properties
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try transaction.prepare(
            """
            UPDATE mailing SET domain = ?, owner = ?, satellite_group = ?, properties = ?, content = ?, revision = ?,
            subject = ? WHERE id = ?
            """
        ).bind(1, Self.domain(of: properties.mailFrom)).bind(2, properties.ownerGUID)
            .bind(3, properties.satelliteGroup).bind(4, [UInt8](try encoder.encode(properties)))
            .bind(5, self.mailing.content.bytes).bind(6, self.revision).bind(7, self.mailing.subject)
            .bind(8, Int(self.mailing.id.rawValue)).run()
        try self.writeSteering(transaction)
    }

    /// Writes status, times and counters.
    func writeSteering(_ transaction: StoreTransaction) throws {
        let counters = self.mailing.counters
        try transaction.prepare(
            """
            UPDATE mailing SET status = ?, submitted = ?, started = ?, ended = ?, last_added = ?, ending = ?,
            no_grace = ?, total = ?, delivered = ?, failed = ?, expired = ?, deferred = ?, uncertain = ?,
            unrenderable = ? WHERE id = ?
            """
        ).bind(1, Int(self.mailing.status.rawValue)).bind(2, self.mailing.submitted).bind(3, self.mailing.started)
            .bind(4, self.mailing.ended).bind(5, self.mailing.lastAdded).bind(6, self.mailing.ending)
            .bind(7, self.mailing.closesWithoutGrace ? 1 : 0).bind(8, counters.total).bind(9, counters.delivered)
            .bind(10, counters.failed).bind(11, counters.expired).bind(12, counters.deferred)
            .bind(13, counters.uncertain).bind(14, self.unrenderable).bind(15, Int(self.mailing.id.rawValue)).run()
    }

    /// Restores the fields that only the store may change.
    mutating func keepWhatTheStoreOwns(of old: Mailing) {
        self.mailing.id = old.id
        self.mailing.account = old.account
        self.mailing.counters = old.counters
        self.mailing.created = old.created
        self.mailing.lastAdded = old.lastAdded
        self.mailing.ending = old.ending
        self.mailing.content = old.content
    }

    // MARK: Counters

    /// Moves the counters of a state; `waiting` has none of its own.
    mutating func count(_ state: RecipientState, by change: Int) {
        switch state {
        case .waiting: break
        case .deferred: self.mailing.counters.deferred += change
        case .delivered: self.mailing.counters.delivered += change
        case .expired: self.mailing.counters.expired += change
        case .failed: self.mailing.counters.failed += change
        case .unrenderable:
            self.mailing.counters.failed += change
            self.unrenderable += change
        case .uncertain:
            self.mailing.counters.failed += change
            self.mailing.counters.uncertain += change
        }
    }

    /// How many recipients are in a state.
    func count(of state: RecipientState) -> Int {
        let counters = self.mailing.counters
        return switch state {
        case .waiting: counters.pending - counters.deferred
        case .deferred: counters.deferred
        case .delivered: counters.delivered
        case .expired: counters.expired
        case .failed: counters.failed - counters.uncertain - self.unrenderable
        case .unrenderable: self.unrenderable
        case .uncertain: counters.uncertain
        }
    }

    // MARK: Partitions

    /// Where the recipients of a bucket lie.
    func partition(of bucket: Bucket) -> Partition {
        guard let start = self.partitionStart, bucket.rawValue >= start else { return .shared }
        return Partition(owner: self.mailing.id)
    }

    /// All partitions that hold recipients of this mailing, in their order.
    var partitions: [Partition] {
        self.partitionStart == nil ? [.shared] : [.shared, Partition(owner: self.mailing.id)]
    }

    /// The bucket whose owner takes this one as well: a hashed bucket of the partition has the domains of a shared one.
    func home(of row: BucketRow) -> Bucket {
        guard let start = self.partitionStart, row.domain == nil, row.bucket.rawValue >= start else {
            return row.bucket
        }
        return Bucket(rawValue: row.bucket.rawValue - start)
    }

    // MARK: Reading

    private init(row: any StoreRow) throws {
        var counters = MailingCounters()
        counters.total = try row.int(14)
        counters.delivered = try row.int(15)
        counters.failed = try row.int(16)
        counters.expired = try row.int(17)
        counters.deferred = try row.int(18)
        counters.uncertain = try row.int(19)
        let bytes = try row.blob(3)
        let properties =
            bytes.isEmpty
            ? MailingProperties(mailFrom: "", senderName: "")
            : try JSONDecoder().decode(MailingProperties.self, from: Data(bytes))
        self.mailing = Mailing(
            id: MailingID(rawValue: try row.integer(0)),
            account: AccountID(rawValue: try row.integer(1)),
            status: try row.value(2),
            properties: properties,
            content: try row.hash(4),
            subject: try row.text(6),
            counters: counters,
            created: try row.timestamp(7),
            submitted: try row.optionalTimestamp(8),
            started: try row.optionalTimestamp(9),
            ended: try row.optionalTimestamp(10)
        )
        self.mailing.lastAdded = try row.optionalTimestamp(11)
        self.mailing.ending = try row.optionalTimestamp(12)
        self.mailing.closesWithoutGrace = try row.bool(13)
        self.revision = try row.int64(5)
        self.unrenderable = try row.int(20)
        let start: UInt16 = try row.integer(21)
        self.partitionStart = start == 0 ? nil : start
        self.isPartitionTracked = try row.bool(22)
    }

    init(new mailing: Mailing) {
        self.mailing = mailing
        self.revision = 1
        self.unrenderable = 0
    }

    /// The part after the last `@`, in lower case.
    private static func domain(of address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return "" }
        return address[address.index(after: at)...].lowercased()
    }

    private enum Value {
        case number(Int64)
        case numbers([Int64])
        case texts([String])
    }

    private static func bind(_ values: [Value], _ statement: any StoreStatement) -> any StoreStatement {
        for (index, value) in values.enumerated() {
            switch value {
            case .number(let number): statement.bind(Int32(index + 1), number)
            case .numbers(let numbers): statement.bind(Int32(index + 1), list: numbers)
            case .texts(let texts): statement.bind(Int32(index + 1), list: texts)
            }
        }
        return statement
    }

    /// The condition of a filter and what to bind to it, the limit last; each list is one parameter, so that a filter's
    /// length does not make a new statement.
    private static func condition(_ filter: MailingFilter, _ scope: AccountScope) -> (sql: String, values: [Value]) {
        var terms = ["TRUE"]
        var values: [Value] = []
        func anyOf(_ column: String, _ list: Value?) {
            guard let list else { return }
            terms.append("\(column) IN (SELECT value FROM json_each(?))")
            values.append(list)
        }
        anyOf("id", filter.ids.map { .numbers($0.map { Int64($0.rawValue) }) })
        anyOf("status", filter.statuses.map { .numbers($0.map { Int64($0.rawValue) }) })
        anyOf("domain", filter.domains.map { .texts($0.map { $0.lowercased() }) })
        anyOf("owner", filter.owners.map { .texts($0) })
        anyOf("satellite_group", filter.satelliteGroups.map { .texts($0) })
        if case .account(let account) = scope {
            terms.append("account = ?")
            values.append(.number(Int64(account.rawValue)))
        }
        if let timestamp = filter.endedBefore {
            terms.append("ended < ?")
            values.append(.number(timestamp.milliseconds))
        }
        if let after = filter.after {
            terms.append("id > ?")
            values.append(.number(Int64(after.rawValue)))
        }
        values.append(.number(filter.limit.map { Int64(max(0, $0)) } ?? .max))
        return (terms.joined(separator: " AND "), values)
    }
}
