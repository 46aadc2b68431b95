// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import MailingModel

/// What the verbs need beside the database.
struct StoreContext: Sendable {
    var secrets: StoreSecrets
    var retry: RetrySchedule
    var term: Term
}

/// One verb's view of the database: rows it has read and may change, written back once by ``flush()``.
///
/// It lives within one transaction of one connection and never leaves that connection's queue. Counters move only here,
/// in ``save(_:replacing:)``, from the change of a recipient's state.
final class StoreTransaction {
    let database: Database
    let context: StoreContext

    private var mailings: [MailingID: MailingRow?] = [:]
    private var changedMailings: Set<MailingID> = []
    private var leases: [LeaseSerial: LeaseRow?] = [:]
    private var changedLeases: Set<LeaseSerial> = []
    private var waitingChanges: [Int64: Int] = [:]
    private var satelliteNames: [SatelliteID: String?] = [:]
    private var feedPosition: Int64?
    /// Leases of which this transaction closed the last place.
    private(set) var closedLeases: [LeaseSerial] = []

    init(_ database: Database, _ context: StoreContext) {
        self.database = database
        self.context = context
    }

    /// A compiled statement from the connection's cache.
    func prepare(_ sql: String) throws -> PreparedStatement {
        PreparedStatement(try self.database.cachedStatement(sql: sql).sqliteStatement)
    }

    /// The number of the row that was inserted last.
    var lastID: Int64 { self.database.lastInsertedRowID }

    /// How many rows the last statement changed.
    var changedRows: Int { self.database.changesCount }

    // MARK: Mailings

    /// The mailing as this transaction sees it; `nil` if there is none or it was deleted.
    func mailing(_ id: MailingID) throws -> MailingRow? {
        if let known = self.mailings[id] { return known }
        let row = try MailingRow.fetch(id, self)
        self.mailings[id] = .some(row)
        return row
    }

    /// The mailing, which must exist.
    func requireMailing(_ id: MailingID) throws -> MailingRow {
        guard let row = try self.mailing(id) else { throw StoreError(.unknownMailing, "there is no mailing \(id)") }
        return row
    }

    /// Changes a mailing's steering columns: status, times and counters.
    func update(_ id: MailingID, _ change: (inout MailingRow) throws -> Void) throws {
        var row = try self.requireMailing(id)
        try change(&row)
        self.mailings[id] = .some(row)
        self.changedMailings.insert(id)
    }

    // MARK: Leases

    /// The lease as this transaction sees it.
    func lease(_ serial: LeaseSerial) throws -> LeaseRow? {
        if let known = self.leases[serial] { return known }
        let row = try LeaseRow.fetch(serial, self)
        self.leases[serial] = .some(row)
        return row
    }

    /// Leases of a place, or of a mailing, that are not closed, in order of grant.
    func leases(of mailing: MailingID, bucket: Bucket? = nil) throws -> [LeaseRow] {
        let serials = try LeaseRow.serials(of: mailing, bucket: bucket, self)
        return try serials.compactMap { try self.lease($0) }.filter { $0.open > 0 }
    }

    /// Changes a lease; one without open places is removed at the end.
    func update(_ lease: LeaseRow) {
        if lease.open == 0, let old = self.leases[lease.serial] ?? nil, old.open > 0 {
            self.closedLeases.append(lease.serial)
        }
        self.leases[lease.serial] = .some(lease)
        self.changedLeases.insert(lease.serial)
    }

    // MARK: Deliveries

    /// Writes what is known of a recipient's delivery; counters follow the change of its state.
    func save(_ row: DeliveryRow, replacing old: DeliveryRow?) throws {
        try row.write(self)
        let before = old?.standing.state ?? .waiting
        let after = row.standing.state
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
        let position = try (self.feedPosition ?? self.storedFeedPosition()) + 1
        self.feedPosition = position
        try self.prepare("INSERT INTO event(seq, account, mailing, state, snapshot) VALUES (?, ?, ?, ?, ?)")
            .bind(1, position).bind(2, Int(account.rawValue)).bind(3, Int(report.recipient.mailing.rawValue))
            .bind(4, Int(report.state.rawValue))
            .bind(5, ReportSnapshot.encode(report, generatedID: generatedID)).run()
    }

    /// The newest position as stored.
    func storedFeedPosition() throws -> Int64 {
        try self.prepare("SELECT value FROM meta WHERE name = 'feed'").first { $0.int64(0) } ?? 0
    }

    // MARK: Satellites

    /// A satellite's name, kept after its removal.
    func satelliteName(_ id: SatelliteID) throws -> String? {
        if let known = self.satelliteNames[id] { return known }
        let name = try self.prepare("SELECT serial FROM satellite WHERE id = ?").bind(1, Int(id.rawValue))
            .first { $0.text(0) }
        self.satelliteNames[id] = .some(name)
        return name
    }

    // MARK: The end

    /// Writes back what was changed; the last step of every writing verb.
    func flush() throws {
        for id in self.changedMailings {
            if let row = self.mailings[id] ?? nil { try row.writeSteering(self) }
        }
        for serial in self.changedLeases {
            if let row = self.leases[serial] ?? nil { try row.write(self) }
        }
        for (key, change) in self.waitingChanges where change != 0 {
            try self.prepare("UPDATE bucket SET waiting = waiting + ? WHERE mailing = ? AND bucket = ?")
                .bind(1, change).bind(2, key >> 10).bind(3, key & 0x3FF).run()
        }
        if let feedPosition = self.feedPosition {
            try self.prepare("UPDATE meta SET value = ? WHERE name = 'feed'").bind(1, feedPosition).run()
        }
        self.changedMailings = []
        self.changedLeases = []
        self.waitingChanges = [:]
        self.feedPosition = nil
    }
}
