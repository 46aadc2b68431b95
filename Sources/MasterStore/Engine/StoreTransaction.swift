// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// What the operations need beside the database.
struct StoreContext: Sendable {
    var secrets: StoreSecrets
    var retry: RetrySchedule
    var term: Term
    /// How many recipients a mailing may have before further ones go to a partition of its own.
    var partitionThreshold: Int
}

/// One operation's view of the database: rows it has read and may change, written back together by ``flush()``.
///
/// It lives within one transaction of one connection and never leaves that connection's thread or queue. Rows are read
/// ahead and written in batches, so that an operation's cost is in its rows and not in its round trips. Counters move only
/// here, in ``save(_:replacing:)``, from the change of a recipient's state.
final class StoreTransaction {
    /// A number that only grows, kept in `meta`.
    enum Counter: String {
        /// The position of the newest event.
        case feed
        /// The number of the newest lease.
        case lease
        /// The newest position up to which events may have been purged.
        case horizon
    }

    let connection: any StoreConnection
    let context: StoreContext

    private var mailings: [MailingID: MailingRow?] = [:]
    private var changedMailings: Set<MailingID> = []
    private var leases: [LeaseSerial: LeaseRow?] = [:]
    private var changedLeases: Set<LeaseSerial> = []
    private var recipients: [RecipientID: RecipientRow?] = [:]
    private var deliveries: [RecipientID: DeliveryRow?] = [:]
    private var changedDeliveries: Set<RecipientID> = []
    private var newRecipients: [NewRecipient] = []
    private var newEvents: [NewEvent] = []
    private var waitingChanges: [Int64: Int] = [:]
    private var satelliteNames: [SatelliteID: String?] = [:]
    private var counters: [Counter: Int64] = [:]
    private var changedCounters: Set<Counter> = []
    /// Leases of which this transaction closed the last entry.
    private(set) var closedLeases: [LeaseSerial] = []

    init(_ connection: any StoreConnection, _ context: StoreContext) {
        self.connection = connection
        self.context = context
    }

    /// Runs a writing operation within the open transaction.
    static func run<Answer>(
        _ operation: (StoreTransaction) throws -> Answer,
        on connection: any StoreConnection,
        _ context: StoreContext
    ) throws -> Answer {
        let transaction = StoreTransaction(connection, context)
        connection.noteChange()
        let answer = try operation(transaction)
        try transaction.flush()
        return answer
    }

    /// A compiled statement from the connection's cache.
    ///
    /// Of recipients, deliveries and events it sees what ``writeRows()`` has written.
    func prepare(_ sql: String) throws -> any StoreStatement { try self.connection.prepare(sql) }

    /// Runs an INSERT that ends in `RETURNING` and a number; that number.
    func insert(_ statement: any StoreStatement) throws -> Int64 {
        guard let id = try statement.first({ try $0.int64(0) }) else {
            throw StoreError(.database, "a new row has no number")
        }
        return id
    }

    /// How many rows the last statement changed.
    var changedRows: Int { self.connection.changedRows }

    // MARK: Mailings

    /// The mailing as this transaction sees it; `nil` if there is none or it was deleted.
    func mailing(_ id: MailingID) throws -> MailingRow? {
        if let known = self.mailings[id] { return known }
        let row = try MailingRow.fetch(id, self)
        self.mailings[id] = .some(row)
        return row
    }

    /// The mailing, which must exist in the scope.
    func requireMailing(_ id: MailingID, in scope: AccountScope) throws -> MailingRow {
        guard let row = try self.mailing(id), scope.contains(row.mailing.account) else {
            throw StoreError(.unknownMailing, "there is no mailing \(id)")
        }
        return row
    }

    /// Changes a mailing's steering columns: status, times and counters.
    func update(_ id: MailingID, _ change: (inout MailingRow) throws -> Void) throws {
        var row = try self.requireMailing(id, in: .everything)
        try change(&row)
        self.mailings[id] = .some(row)
        self.changedMailings.insert(id)
    }

    // MARK: Partitions

    /// Gives a mailing a partition of its own, from a bucket on.
    func openPartition(of id: MailingID, from start: UInt16) throws {
        try self.connection.makePartition(Partition(owner: id))
        try self.prepare("UPDATE mailing SET segment = ? WHERE id = ?").bind(1, Int(start)).bind(2, Int(id.rawValue))
            .run()
        try self.update(id) { $0.partitionStart = start }
    }

    /// Notes that clients have chosen ids for recipients of a mailing's own partition.
    func noteTrackedPartition(of id: MailingID) throws {
        try self.prepare("UPDATE mailing SET segment_tracked = 1 WHERE id = ?").bind(1, Int(id.rawValue)).run()
        try self.update(id) { $0.isPartitionTracked = true }
    }

    /// The partition of a bucket; the mailing must exist.
    func partition(of mailing: MailingID, _ bucket: Bucket) throws -> Partition {
        try self.requireMailing(mailing, in: .everything).partition(of: bucket)
    }

    /// Splits what belongs to recipients by where they lie, in no order of partitions; what is of a mailing that is gone lies
    /// nowhere.
    ///
    /// It is quick where neighbours lie together, as in the order of their numbers.
    func byPartition<Item>(
        _ items: [Item],
        _ id: (Item) -> RecipientID
    ) throws -> [(partition: Partition, items: [Item])] {
        var parts: [(partition: Partition, items: [Item])] = []
        var first = 0
        var current: Partition?
        func close(before end: Int) {
            guard let current, first < end else { return }
            if let index = parts.firstIndex(where: { $0.partition == current }) {
                parts[index].items += items[first..<end]
            } else {
                parts.append((current, first == 0 && end == items.count ? items : Array(items[first..<end])))
            }
        }
        var mailing: MailingID?
        var row: (exists: Bool, partitionStart: UInt16?) = (false, nil)
        for (index, item) in items.enumerated() {
            let id = id(item)
            if id.mailing != mailing {
                mailing = id.mailing
                row = try self.mailing(id.mailing).map { (true, $0.partitionStart) } ?? (false, nil)
            }
            let isOwn = row.partitionStart.map { id.bucket.rawValue >= $0 } ?? false
            let partition = row.exists ? Partition(owner: isOwn ? id.mailing : nil) : nil
            guard partition != current else { continue }
            close(before: index)
            (first, current) = (index, partition)
        }
        close(before: items.count)
        return parts
    }

    // MARK: Leases

    /// The lease as this transaction sees it.
    func lease(_ serial: LeaseSerial) throws -> LeaseRow? {
        if let known = self.leases[serial] { return known }
        let row = try LeaseRow.fetch(serial, self)
        self.leases[serial] = .some(row)
        return row
    }

    /// Leases of a bucket, or of a mailing, that are not closed, in order of grant.
    func leases(of mailing: MailingID, bucket: Bucket? = nil) throws -> [LeaseRow] {
        let serials = try LeaseRow.serials(of: mailing, bucket: bucket, self)
        return try serials.compactMap { try self.lease($0) }.filter { $0.open > 0 }
    }

    /// Changes a lease; one without open entries is removed at the end.
    func update(_ lease: LeaseRow) {
        if lease.open == 0, let old = self.leases[lease.serial] ?? nil, old.open > 0 {
            self.closedLeases.append(lease.serial)
        }
        self.leases[lease.serial] = .some(lease)
        self.changedLeases.insert(lease.serial)
    }

    // MARK: Recipients

    /// Reads recipients and what is known of their deliveries ahead, in two statements.
    func readAhead(_ ids: some Collection<RecipientID>, withRecipients: Bool = true) throws {
        if withRecipients {
            let unknown = Set(ids.filter { self.recipients[$0] == nil })
            for id in unknown { self.recipients[id] = .some(nil) }
            for row in try RecipientRow.fetch(unknown.sorted(), self) { self.recipients[row.id] = row }
        }
        let unknown = Set(ids.filter { self.deliveries[$0] == nil })
        for id in unknown { self.deliveries[id] = .some(nil) }
        for row in try DeliveryRow.fetch(unknown.sorted(), self) { self.deliveries[row.id] = row }
    }

    /// A recipient; `nil` if there is none.
    func recipient(_ id: RecipientID) throws -> RecipientRow? {
        if let known = self.recipients[id] { return known }
        let row = try RecipientRow.fetch([id], self).first
        self.recipients[id] = .some(row)
        return row
    }

    /// The recipients that have these ids chosen by clients; some may be of a deleted mailing.
    func owners(of chosen: [String], account: AccountID) throws -> [String: RecipientID] {
        guard !chosen.isEmpty else { return [:] }
        var owners: [String: RecipientID] = [:]
        try self.prepare(
            """
            SELECT tracking, recipient FROM tracking
            WHERE account = ? AND tracking IN (SELECT value FROM json_each(?))
            """
        ).bind(1, Int(account.rawValue)).bind(2, list: chosen)
            .rows { owners[try $0.text(0)] = RecipientID(packed: try $0.int64(1)) }
        return owners
    }

    /// What is known of a recipient's delivery; `nil` if it is unleased, or in its first lease.
    func delivery(_ id: RecipientID) throws -> DeliveryRow? {
        if let known = self.deliveries[id] { return known }
        let row = try DeliveryRow.fetch([id], self).first
        self.deliveries[id] = .some(row)
        return row
    }

    /// Adds a recipient.
    func add(_ recipient: NewRecipient) { self.newRecipients.append(recipient) }

    /// Notes what is known of a recipient's delivery; counters follow the change of its state.
    func save(_ row: DeliveryRow, replacing old: DeliveryRow?) throws {
        self.deliveries[row.id] = row
        self.changedDeliveries.insert(row.id)
        let before = old?.deliveryState.state ?? .waiting
        let after = row.deliveryState.state
        if before != after {
            try self.update(row.id.mailing) {
                $0.count(before, by: -1)
                $0.count(after, by: 1)
            }
        }
        let wait = (row.due == nil ? 0 : 1) - (old?.due == nil ? 0 : 1)
        if wait != 0 { self.waitingChanges[row.id.packed >> 22, default: 0] += wait }
    }

    // MARK: Feed

    /// Appends an event with the recipient as it stands; the position is the next of the store's only counter.
    func appendEvent(_ report: RecipientReport, generatedID: Bool, account: AccountID) throws {
        self.newEvents.append(
            NewEvent(
                position: try self.next(.feed),
                account: account,
                mailing: report.recipient.mailing,
                state: report.state,
                snapshot: ReportSnapshot.encode(report, generatedID: generatedID)
            )
        )
    }

    // MARK: Counters

    /// A counter as stored.
    func stored(_ counter: Counter) throws -> Int64 {
        let value = try self.prepare("SELECT value FROM meta WHERE name = ?").bind(1, counter.rawValue)
            .first { try $0.int64(0) }
        // To number from the start again would give the numbers of older leases and events a second time.
        guard let value else { throw StoreError(.corrupt, "the store has no counter \(counter.rawValue)") }
        return value
    }

    /// The next unused number of a counter.
    func next(_ counter: Counter) throws -> Int64 {
        let number = try (self.counters[counter] ?? self.stored(counter)) + 1
        self.counters[counter] = number
        self.changedCounters.insert(counter)
        return number
    }

    /// Skips numbers up to and including this one.
    func raise(_ counter: Counter, to number: Int64) throws {
        self.counters[counter] = max(try self.counters[counter] ?? self.stored(counter), number)
        self.changedCounters.insert(counter)
    }

    // MARK: Satellites

    /// A satellite's name, kept after its removal.
    func satelliteName(_ id: SatelliteID) throws -> String? {
        if let known = self.satelliteNames[id] { return known }
        let name = try self.prepare("SELECT serial FROM satellite WHERE id = ?").bind(1, Int(id.rawValue))
            .first { try $0.text(0) }
        self.satelliteNames[id] = .some(name)
        return name
    }

    // MARK: The end

    /// Writes recipients, deliveries and events, so that statements see them.
    func writeRows() throws {
        if !self.newRecipients.isEmpty {
            // In order of id: what one lease reads together lies together, some rows to a page and not one.
            let order = self.newRecipients.indices.sorted {
                self.newRecipients[$0].id.packed < self.newRecipients[$1].id.packed
            }
            let recipients = order.map { self.newRecipients[$0] }
            for part in try self.byPartition(recipients, { $0.id }) {
                try NewRecipient.write(part.items, to: part.partition, self.connection)
            }
            self.newRecipients = []
        }
        if !self.changedDeliveries.isEmpty {
            let rows = self.changedDeliveries.sorted().compactMap { self.deliveries[$0] ?? nil }
            for part in try self.byPartition(rows, { $0.id }) {
                try DeliveryRow.write(part.items, to: part.partition, self.connection)
            }
            self.changedDeliveries = []
        }
        if !self.newEvents.isEmpty {
            try NewEvent.write(self.newEvents, self.connection)
            self.newEvents = []
        }
    }

    /// Writes back what was changed; the last step of every writing operation.
    func flush() throws {
        try self.writeRows()
        for id in self.changedMailings.sorted() {
            if let row = self.mailings[id] ?? nil { try row.writeSteering(self) }
        }
        for serial in self.changedLeases.sorted() {
            if let row = self.leases[serial] ?? nil { try row.write(self) }
        }
        for (key, change) in self.waitingChanges.sorted(by: { $0.key < $1.key }) where change != 0 {
            try self.prepare("UPDATE bucket SET waiting = waiting + ? WHERE mailing = ? AND bucket = ?")
                .bind(1, change).bind(2, key >> 10).bind(3, key & 0x3FF).run()
        }
        for counter in self.changedCounters {
            try self.prepare("UPDATE meta SET value = ? WHERE name = ?").bind(1, self.counters[counter])
                .bind(2, counter.rawValue).run()
        }
        self.changedMailings = []
        self.changedLeases = []
        self.waitingChanges = [:]
        self.changedCounters = []
    }
}
