// SPDX-License-Identifier: Apache-2.0

// What a satellite has accepted, is sending, and has not yet had acknowledged.
//
// The order of its writes is the satellite's half of the promise that a recipient is never sent to twice in silence: a lease
// and the entries started are synced before they are acknowledged or sent; the dot's record is handed to the operating system
// before the dot; an outcome is written before it is reported. So the death of the process leaves a dot without outcome
// uncertain, and a power cut every started entry without one. Segments are preallocated with room for all the bookkeeping of
// what they accept: a full disk refuses leases and nothing else.

public import MailingModel
import Synchronization

/// The append-only journal of one satellite.
///
/// Thread-safe. ``recordDot(_:entry:)`` and ``recordDone(_:entry:_:endedAt:)`` are short and meant for event loops; the other
/// operations may wait for the disk and belong on threads that may block.
public final class Journal: Sendable {
    /// The bounds of the journal.
    public struct Configuration: Sendable {
        /// The size of one file, in bytes; a grant must fit into one.
        ///
        /// Default 16 MiB.
        public var segmentSize: Int
        /// How many files there may be; leases are refused beyond.
        ///
        /// Default 16.
        public var maximumSegments: Int
        /// The number of files past which what is left in the oldest is written anew.
        ///
        /// Default 4.
        public var compactionThreshold: Int
        /// How much of a reply's text is kept, in bytes.
        ///
        /// Default 2,048.
        public var replyTextLimit: Int

        /// Bounds with their defaults.
        public init(
            segmentSize: Int = 16 << 20,
            maximumSegments: Int = 16,
            compactionThreshold: Int = 4,
            replyTextLimit: Int = 2048
        ) {
            self.segmentSize = segmentSize
            self.maximumSegments = maximumSegments
            self.compactionThreshold = compactionThreshold
            self.replyTextLimit = replyTextLimit
        }
    }

    /// What became of grants.
    public struct Acceptance: Sendable {
        /// Journaled and synced: they may be acknowledged.
        public var accepted: [LeaseSerial] = []
        /// Not taken; nothing of them is kept.
        public var refused: [LeaseSerial] = []
        /// Why the last of ``refused`` was not taken.
        public var reason: JournalError?

        /// Nothing taken, nothing refused.
        public init() {}
    }

    /// The journal's random name; another one after the journal was lost or damaged.
    public let journalID: String
    /// The present boot's identifier.
    public let bootID: String
    /// This process's number.
    public let incarnation: UInt64
    /// How many processes have opened the journal, this one included.
    public let session: UInt64
    /// The incarnations of the processes before this one, the last one first; 8 at most.
    public let earlierIncarnations: [UInt64]
    /// Where the journal ended when this process opened it; 0 if it was new.
    public let found: UInt64
    /// Whether the files that this process opened were a copy.
    public let isCopy: Bool

    private let directory: any JournalDirectory
    private let configuration: Configuration
    private let writer: Mutex<SegmentWriter>
    /// Held by whoever creates or removes segments.
    private let housekeeping = Mutex(())

    init(
        directory: any JournalDirectory,
        configuration: Configuration,
        writer: SegmentWriter,
        found: UInt64,
        isCopy: Bool
    ) {
        self.session = writer.session.number
        self.earlierIncarnations = writer.session.earlier
        self.found = found
        self.isCopy = isCopy
        self.directory = directory
        self.configuration = configuration
        self.journalID = writer.session.journalID
        self.bootID = writer.session.bootID
        self.incarnation = writer.session.incarnation
        self.writer = Mutex(writer)
    }

    /// Lets another process have the journal; nothing may be written to it from then on.
    public func release() { self.directory.release() }

    /// The highest term and lease serial in any grant accepted, this one or by an earlier process.
    public var highest: (term: Term, lease: LeaseSerial) {
        self.writer.withLock { ($0.state.highestTerm, $0.state.highestLease) }
    }

    /// Every lease with an entry that is neither returned nor acknowledged, ascending.
    public var heldLeases: [LeaseSerial] { self.writer.withLock { $0.state.leases.keys.sorted() } }

    /// What is held of every lease that is held, ascending.
    public var journaledLeases: [JournaledLease] {
        self.writer.withLock { writer in
            writer.state.leases.values.map {
                JournaledLease($0.grant.serial, started: $0.started, closed: $0.forgotten.union($0.returned))
            }
        }.sorted { $0.lease < $1.lease }
    }

    /// How far the journal is written.
    public var position: JournalPosition {
        self.writer.withLock { JournalPosition(written: $0.written, synced: $0.synced) }
    }

    /// The newest commit of its store that the master has reported, to this process or to an earlier one.
    public var store: StorePosition? { self.writer.withLock { $0.store } }

    /// Notes the newest commit that the master has reported; it is journaled with the next grants, starts or
    /// acknowledgements.
    public func noteStore(_ position: StorePosition) {
        self.writer.withLock { writer in
            // Of one opening the later number counts, in whichever order they come; another opening always does.
            if let known = writer.store, known.storeID == position.storeID, known.term == position.term,
                known.opening == position.opening, known.number >= position.number
            {
                return
            }
            writer.store = position
        }
    }

    /// The returned entries of every lease held, ascending; a return may have to be sent again.
    public var returnedEntries: [(lease: LeaseSerial, entries: EntryBitmap)] {
        self.writer.withLock { writer in
            writer.state.leases.values.filter { $0.returned.count > 0 }.map { ($0.grant.serial, $0.returned) }
        }.sorted { $0.lease < $1.lease }
    }

    /// Bytes in files, bytes that can still be written, and bytes of these that are promised to open entries.
    public var room: (size: Int, available: Int, reserved: Int) {
        self.writer.withLock { ($0.segmentCount * self.configuration.segmentSize, $0.available, $0.reserved) }
    }

    /// Journals grants; those accepted survive the death of the machine when it returns.
    ///
    /// One sync for all. A grant that is held already is accepted again and changes nothing.
    ///
    /// - Throws: ``JournalError/Code/broken`` or ``JournalError/Code/inputOutput``: the journal is unusable.
    public func accept(_ grants: [LeaseGrant]) throws(JournalError) -> Acceptance {
        var acceptance = Acceptance()
        var touched: [UInt64: any JournalFile] = [:]
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in try writer.appendStore() }
        for grant in grants {
            do {
                try self.write(grant, touching: &touched)
                acceptance.accepted.append(grant.serial)
            } catch  where error.code == .noSpace || error.code == .full {
                acceptance.refused.append(grant.serial)
                acceptance.reason = error
            }
        }
        try self.synchronize(touched)
        return acceptance
    }

    /// Journals entries that the master has committed as started; they may be sent when it returns.
    ///
    /// One sync for all.
    public func recordStarted(_ entries: [LeaseSerial: EntryBitmap]) throws(JournalError) {
        var touched: [UInt64: any JournalFile] = [:]
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in try writer.appendStore() }
        for (lease, entries) in entries.sorted(by: { $0.key < $1.key }) {
            try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
                try writer.append(.started(lease, entries))
                try writer.flush()
                touched[writer.current.number] = writer.current.file
            }
        }
        try self.synchronize(touched)
    }

    /// Hands the record of an imminent final dot to the operating system; the dot may be sent when it returns.
    ///
    /// - Throws: The dot must not be sent then.
    public func recordDot(_ lease: LeaseSerial, entry index: Int) throws(JournalError) {
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
            try writer.append(.dot(lease, entry: index))
            try writer.flush()
        }
    }

    /// Keeps the end of an attempt for the next write; ``flush()`` must return before it is reported.
    public func recordDone(
        _ lease: LeaseSerial,
        entry index: Int,
        _ outcome: DeliveryOutcome,
        endedAt: Timestamp
    ) throws(JournalError) {
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
            try writer.append(.done(lease, entry: index, outcome, endedAt: endedAt))
        }
    }

    /// Writes every record kept back.
    public func flush() throws(JournalError) {
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in try writer.flush() }
    }

    /// Journals that reports have been acknowledged, and removes files that nothing needs any more.
    ///
    /// Not synced: a report that comes back is acknowledged again.
    public func forget(_ reports: [DeliveryReport]) throws(JournalError) {
        let byLease = Dictionary(grouping: reports, by: \.lease)
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in try writer.appendStore() }
        for (lease, reports) in byLease.sorted(by: { $0.key < $1.key }) {
            try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
                guard let grant = writer.state.leases[lease]?.grant else { return }
                let entries = EntryBitmap(reports.compactMap { grant.index(of: $0.recipient) })
                try writer.append(.forget(lease, entries))
            }
        }
        try self.flush()
        try self.removeFinishedSegments()
    }

    /// Journals entries that are returned without an attempt.
    ///
    /// Not synced: they come back as never started.
    public func recordReturned(_ lease: LeaseSerial, _ entries: EntryBitmap) throws(JournalError) {
        try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
            try writer.append(.returned(lease, entries))
            try writer.flush()
        }
        try self.removeFinishedSegments()
    }

    // MARK: Inner steps

    private func withWriter<Result: Sendable>(
        _ body: (inout SegmentWriter) throws(JournalError) -> Result
    ) throws(JournalError) -> Result {
        try self.writer.withLock { (writer) throws(JournalError) in try body(&writer) }
    }

    private func write(_ grant: LeaseGrant, touching touched: inout [UInt64: any JournalFile]) throws(JournalError) {
        let limit = self.configuration.segmentSize - SegmentWriter.slackPerSegment
        while true {
            let isWritten = try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
                guard writer.state.leases[grant.serial] == nil else { return true }
                let size = writer.size(of: .lease(grant))
                guard size <= limit else { throw JournalError(.full, "lease \(grant.serial) exceeds a segment") }
                guard writer.hasRoom(for: size, entries: grant.entries.count) else { return false }
                try writer.append(.lease(grant))
                try writer.flush()
                touched[writer.current.number] = writer.current.file
                return true
            }
            if isWritten { return }
            try self.makeRoom()
        }
    }

    /// Adds a segment, after making the oldest superfluous if there are many.
    private func makeRoom() throws(JournalError) {
        try self.housekeeping.withLock { (_) throws(JournalError) in
            try self.compact()
            let (count, number) = self.writer.withLock { ($0.segmentCount, $0.nextNumber) }
            guard count < self.configuration.maximumSegments else {
                throw JournalError(.full, "the journal has reached its bound of \(count) segments")
            }
            let file = try self.directory.create(number, size: self.configuration.segmentSize)
            self.writer.withLock { $0.add(SegmentWriter.Segment(number: number, file: file)) }
        }
    }

    /// Writes what the oldest segment still holds anew and removes it.
    private func compact() throws(JournalError) {
        try self.remove(self.writer.withLock { $0.dropFinishedSegments() })
        guard self.writer.withLock({ $0.segmentCount }) >= self.configuration.compactionThreshold else { return }
        var touched: [UInt64: any JournalFile] = [:]
        for lease in self.writer.withLock({ $0.leasesOfOldest }) {
            try self.withWriter { (writer: inout SegmentWriter) throws(JournalError) in
                guard let progress = writer.state.leases[lease] else { return }
                let record = JournalRecord.checkpoint(progress)
                let size = writer.size(of: record)
                guard size < self.configuration.segmentSize / 2, writer.hasRoom(for: size, entries: 0) else { return }
                try writer.append(record)
                try writer.flush()
                touched[writer.current.number] = writer.current.file
            }
        }
        try self.synchronize(touched)
        try self.remove(self.writer.withLock { $0.dropFinishedSegments() })
    }

    private func removeFinishedSegments() throws(JournalError) {
        try self.housekeeping.withLock { (_) throws(JournalError) in
            try self.remove(self.writer.withLock { $0.dropFinishedSegments() })
        }
    }

    private func remove(_ segments: [UInt64]) throws(JournalError) {
        for segment in segments { try self.directory.remove(segment) }
    }

    private func synchronize(_ files: [UInt64: any JournalFile]) throws(JournalError) {
        guard !files.isEmpty else { return }
        // What was filled meanwhile is synced as well, so that everything up to here is on disk.
        let (unsynced, end) = self.writer.withLock { $0.beginSync() }
        for (_, file) in files.merging(unsynced, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            do {
                try file.synchronize()
            } catch {
                self.writer.withLock { $0.fail(error) }
                throw error
            }
        }
        self.writer.withLock { $0.endSync(end) }
    }
}

extension LeaseGrant {
    /// Where a recipient stands in the lease.
    fileprivate func index(of recipient: RecipientID) -> Int? {
        var low = 0
        var high = self.entries.count
        while low < high {
            let middle = (low + high) / 2
            if self.entries[middle].recipient < recipient { low = middle + 1 } else { high = middle }
        }
        if low < self.entries.count, self.entries[low].recipient == recipient { return low }
        return self.entries.firstIndex { $0.recipient == recipient }
    }
}
