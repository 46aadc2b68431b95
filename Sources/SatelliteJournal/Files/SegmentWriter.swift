// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// Appends records to preallocated segments and keeps the sum of what they say.
///
/// Room is reserved for the bookkeeping of every entry that is open, so that a lease is refused before a dot, an outcome or
/// an acknowledgement could find the disk full. Not thread-safe; its owner holds a lock.
struct SegmentWriter {
    struct Segment {
        var number: UInt64
        var file: any JournalFile
        var offset = 0
    }

    /// Bytes reserved for all records of one entry beside its lease: started, dot, done with a short text, forget.
    static let reservePerEntry = 768
    /// The text kept of a reply when only reserved room is left.
    static let shortText = 256
    /// Bytes lost at the end of a segment, and its first record.
    static let slackPerSegment = 1024
    /// Bytes for the session records of later processes.
    static let slackForSessions = 8192
    /// Bytes of unreserved room without which the master's commits are not noted.
    static let slackForStores = 4096

    private(set) var state: JournalState
    private(set) var session: JournalSession
    private(set) var current: Segment
    private(set) var ahead: [Segment]
    private(set) var older: [UInt64]
    /// The first write or sync that failed; nothing is written after it.
    private(set) var failure: JournalError?
    /// Up to where everything is on disk.
    private(set) var synced: UInt64 = 0
    /// Segments that were filled since the last sync.
    private var unsynced: [UInt64: any JournalFile] = [:]
    /// The newest commit of its store that the master has reported; ``state`` has what is written of it.
    var store: StorePosition?

    private var home: [LeaseSerial: UInt64]
    private var openEntries: Int
    private var pending = ByteEncoder()
    private var scratch = ByteEncoder()
    private let frame = RecordFrame()
    private let segmentSize: Int
    private let textLimit: Int

    init(
        state: JournalState,
        home: [LeaseSerial: UInt64],
        session: JournalSession,
        current: Segment,
        ahead: [Segment],
        older: [UInt64],
        segmentSize: Int,
        textLimit: Int
    ) {
        self.state = state
        self.home = home
        self.session = session
        self.current = current
        self.ahead = ahead
        self.older = older
        self.segmentSize = segmentSize
        self.textLimit = textLimit
        self.openEntries = state.leases.values.reduce(0) { $0 + $1.openCount }
        self.store = state.store
    }

    /// The end of what is written.
    var written: UInt64 { Self.end(self.current.number, self.current.offset) }

    /// An end of the journal as one number, which only grows.
    static func end(_ segment: UInt64, _ offset: Int) -> UInt64 { segment << 32 | UInt64(offset) }

    /// What has to be synced so that everything written up to now is on disk, and where that ends.
    mutating func beginSync() -> (files: [UInt64: any JournalFile], end: UInt64) {
        defer { self.unsynced = [:] }
        var files = self.unsynced
        files[self.current.number] = self.current.file
        return (files, self.written)
    }

    /// Everything up to `end` is on disk.
    mutating func endSync(_ end: UInt64) { self.synced = max(self.synced, end) }

    /// Keeps the newest commit that the master has reported for the next write, if there is room to spare.
    mutating func appendStore() throws(JournalError) {
        guard let store, store != self.state.store, self.available - self.reserved >= Self.slackForStores else {
            return
        }
        try self.append(.store(store))
    }

    /// All segments that exist.
    var segmentCount: Int { self.older.count + 1 + self.ahead.count }
    /// The number for the next segment to be created.
    var nextNumber: UInt64 { (self.ahead.last?.number ?? self.current.number) + 1 }
    /// Bytes promised to entries that are open.
    var reserved: Int { self.openEntries * Self.reservePerEntry + Self.slackForSessions }
    /// Bytes that records can still be written to.
    var available: Int {
        let room = self.segmentSize - self.current.offset - self.pending.bytes.count
        return room + self.ahead.count * self.segmentSize - (self.ahead.count + 1) * Self.slackPerSegment
    }

    /// Whether a record of `size` bytes leaves what is reserved, and `entries` more, alone.
    func hasRoom(for size: Int, entries: Int) -> Bool {
        let room = self.segmentSize - self.current.offset - self.pending.bytes.count
        let waste = size > room ? room : 0
        return self.available - waste - size >= self.reserved + entries * Self.reservePerEntry
    }

    /// The bytes a record would take.
    mutating func size(of record: JournalRecord) -> Int {
        self.scratch.removeAll()
        self.frame.append(record, to: &self.scratch, textLimit: self.textLimit)
        return self.scratch.bytes.count
    }

    /// Takes a new segment over.
    mutating func add(_ segment: Segment) { self.ahead.append(segment) }

    /// Keeps a record for the next write.
    mutating func append(_ record: JournalRecord) throws(JournalError) {
        if let failure { throw JournalError(.broken, failure.description) }
        let isTight = self.available - self.reserved < 64 * 1024
        self.scratch.removeAll()
        self.frame.append(record, to: &self.scratch, textLimit: isTight ? Self.shortText : self.textLimit)
        if self.current.offset + self.pending.bytes.count + self.scratch.bytes.count > self.segmentSize {
            try self.flush()
            try self.rotate()
            // It stands at the head of the new segment already, with that file's identity.
            if case .session = record { return self.account(record) }
        }
        self.pending.raw(self.scratch.bytes)
        self.account(record)
    }

    /// Writes what was kept.
    mutating func flush() throws(JournalError) {
        guard !self.pending.bytes.isEmpty else { return }
        if let failure { throw JournalError(.broken, failure.description) }
        do {
            try self.current.file.write(self.pending.bytes, at: self.current.offset)
        } catch {
            self.failure = error
            throw error
        }
        self.current.offset += self.pending.bytes.count
        self.pending.removeAll()
    }

    /// Notes that a sync failed: what was written may be lost, and nothing more is.
    mutating func fail(_ error: JournalError) { self.failure = self.failure ?? error }

    /// Takes the segments out that come before the first with a lease still held.
    mutating func dropFinishedSegments() -> [UInt64] {
        let live = Set(self.home.values)
        let finished = self.older.prefix { !live.contains($0) }
        self.older.removeFirst(finished.count)
        return Array(finished)
    }

    /// The leases whose records begin in the oldest segment, in order of serial.
    var leasesOfOldest: [LeaseSerial] {
        guard let oldest = self.older.first else { return [] }
        return self.home.filter { $0.value == oldest }.keys.sorted()
    }

    private mutating func account(_ record: JournalRecord) {
        let before: Int
        switch record {
        case .session, .started, .dot, .done, .store:
            _ = self.state.apply(record)
            return
        case .lease(let grant): before = self.state.leases[grant.serial]?.openCount ?? 0
        case .checkpoint(let progress): before = self.state.leases[progress.grant.serial]?.openCount ?? 0
        case .forget(let lease, _), .returned(let lease, _): before = self.state.leases[lease]?.openCount ?? 0
        }
        let effect = self.state.apply(record)
        switch (effect, record) {
        case (.held(let lease), _):
            self.home[lease] = self.current.number
            self.openEntries += (self.state.leases[lease]?.openCount ?? 0) - before
        case (.released(let lease), _):
            self.home[lease] = nil
            self.openEntries -= before
        case (.none, .forget(let lease, _)), (.none, .returned(let lease, _)):
            self.openEntries += (self.state.leases[lease]?.openCount ?? 0) - before
        case (.none, _): break
        }
    }

    private mutating func rotate() throws(JournalError) {
        guard !self.ahead.isEmpty else {
            let error = JournalError(.full, "there is no segment after segment \(self.current.number)")
            self.failure = error
            throw error
        }
        self.older.append(self.current.number)
        self.unsynced[self.current.number] = self.current.file
        self.current = self.ahead.removeFirst()
        self.session.highestTerm = self.state.highestTerm
        self.session.highestLease = self.state.highestLease
        self.session.file = self.current.file.identity
        var header = ByteEncoder()
        self.frame.append(.session(self.session), to: &header, textLimit: 0)
        if let store = self.state.store { self.frame.append(.store(store), to: &header, textLimit: 0) }
        do {
            try self.current.file.write(header.bytes, at: 0)
        } catch {
            self.failure = error
            throw error
        }
        self.current.offset = header.bytes.count
    }
}
