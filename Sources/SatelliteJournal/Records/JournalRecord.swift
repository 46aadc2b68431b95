// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// One entry of the journal.
enum JournalRecord: Hashable, Sendable {
    /// First in each segment, and written again by each process that opens the journal.
    case session(JournalSession)
    /// A grant accepted; synced before it is acknowledged.
    case lease(LeaseGrant)
    /// Entries that the master has committed as started; synced before any of them is sent.
    case started(LeaseSerial, EntryBitmap)
    /// The final dot of an entry is about to be written; written before it, not synced.
    case dot(LeaseSerial, entry: Int)
    /// An entry's attempt ended; written before it is reported.
    case done(LeaseSerial, entry: Int, DeliveryOutcome, endedAt: Timestamp)
    /// Reports that the master has acknowledged.
    case forget(LeaseSerial, EntryBitmap)
    /// Entries returned without an attempt.
    case returned(LeaseSerial, EntryBitmap)
    /// All that is known of a lease, so that the segment with its earlier records may go.
    case checkpoint(LeaseProgress)
    /// The newest commit of its store that the master has reported.
    case store(StorePosition)
}

/// Whose journal it is and which process writes it.
struct JournalSession: Hashable, Sendable {
    /// Form 2 added what follows the highest lease.
    static let formVersion: UInt8 = 2
    /// How many earlier incarnations are kept.
    static let rememberedIncarnations = 8

    /// The journal's random name, 32 hexadecimal digits; a new journal has a new one.
    var journalID: String
    /// The kernel's boot identifier.
    var bootID: String
    /// The process's random number.
    var incarnation: UInt64
    /// The highest term seen in grants.
    var highestTerm: Term
    /// The highest lease serial seen in grants.
    var highestLease: LeaseSerial
    /// How many processes have opened the journal, this one included; those before form 2 were not counted.
    var number: UInt64 = 1
    /// The incarnations of the processes before this one, the last one first.
    var earlier: [UInt64] = []
    /// Identifies the file that holds this record; empty if unknown.
    ///
    /// Another identity means that the file was copied.
    var file = ""

    /// The session of the process that opens the journal after this one.
    func next(bootID: String, incarnation: UInt64) -> JournalSession {
        var next = self
        next.bootID = bootID
        next.incarnation = incarnation
        next.number += 1
        next.earlier = Array(([self.incarnation] + self.earlier).prefix(Self.rememberedIncarnations))
        return next
    }
}

extension JournalRecord {
    private enum Kind: UInt8 {
        case session = 1
        case lease = 2
        case started = 3
        case dot = 4
        case done = 5
        case forget = 6
        case returned = 7
        case checkpoint = 8
        case store = 9
    }

    /// Writes the record's kind and contents, with at most `textLimit` bytes of a reply's text.
    func encode(into encoder: inout ByteEncoder, textLimit: Int) {
        switch self {
        case .session(let session):
            encoder.byte(Kind.session.rawValue)
            encoder.byte(JournalSession.formVersion)
            encoder.string(session.journalID)
            encoder.string(session.bootID)
            encoder.unsigned(session.incarnation)
            encoder.signed(session.highestTerm.rawValue)
            encoder.signed(session.highestLease.rawValue)
            encoder.unsigned(session.number)
            encoder.count(session.earlier.count)
            for incarnation in session.earlier { encoder.unsigned(incarnation) }
            encoder.string(session.file)
        case .lease(let grant):
            encoder.byte(Kind.lease.rawValue)
            grant.encode(into: &encoder)
        case .started(let lease, let entries):
            encoder.byte(Kind.started.rawValue)
            encoder.signed(lease.rawValue)
            encoder.entries(entries)
        case .dot(let lease, let index):
            encoder.byte(Kind.dot.rawValue)
            encoder.signed(lease.rawValue)
            encoder.count(index)
        case .done(let lease, let index, let outcome, let endedAt):
            encoder.byte(Kind.done.rawValue)
            encoder.signed(lease.rawValue)
            encoder.count(index)
            encoder.signed(endedAt.milliseconds)
            outcome.encode(into: &encoder, textLimit: textLimit)
        case .forget(let lease, let entries):
            encoder.byte(Kind.forget.rawValue)
            encoder.signed(lease.rawValue)
            encoder.entries(entries)
        case .returned(let lease, let entries):
            encoder.byte(Kind.returned.rawValue)
            encoder.signed(lease.rawValue)
            encoder.entries(entries)
        case .checkpoint(let progress):
            encoder.byte(Kind.checkpoint.rawValue)
            progress.encode(into: &encoder, textLimit: textLimit)
        case .store(let position):
            encoder.byte(Kind.store.rawValue)
            encoder.string(position.storeID)
            encoder.signed(position.term.rawValue)
            encoder.string(position.opening)
            encoder.signed(position.number)
        }
    }

    /// Reads a record back.
    init(from decoder: inout ByteDecoder) throws(DecodingFailure) {
        let byte = try decoder.byte()
        guard let kind = Kind(rawValue: byte) else { throw DecodingFailure(reason: "unknown kind of record \(byte)") }
        switch kind {
        case .session:
            self = .session(try JournalSession(from: &decoder))
        case .lease:
            self = .lease(try LeaseGrant(from: &decoder))
        case .started:
            self = .started(LeaseSerial(rawValue: try decoder.signed()), try decoder.entries())
        case .dot:
            self = .dot(LeaseSerial(rawValue: try decoder.signed()), entry: try decoder.entryIndex())
        case .done:
            let lease = LeaseSerial(rawValue: try decoder.signed())
            let index = try decoder.entryIndex()
            let endedAt = Timestamp(milliseconds: try decoder.signed())
            self = .done(lease, entry: index, try DeliveryOutcome(from: &decoder), endedAt: endedAt)
        case .forget:
            self = .forget(LeaseSerial(rawValue: try decoder.signed()), try decoder.entries())
        case .returned:
            self = .returned(LeaseSerial(rawValue: try decoder.signed()), try decoder.entries())
        case .checkpoint:
            self = .checkpoint(try LeaseProgress(from: &decoder))
        case .store:
            self = .store(
                StorePosition(
                    storeID: try decoder.string(),
                    term: Term(rawValue: try decoder.signed()),
                    opening: try decoder.string(),
                    number: try decoder.signed()
                )
            )
        }
        try decoder.finish()
    }
}

extension JournalSession {
    fileprivate init(from decoder: inout ByteDecoder) throws(DecodingFailure) {
        let version = try decoder.byte()
        guard (1...Self.formVersion).contains(version) else {
            throw DecodingFailure(reason: "unknown form \(version)")
        }
        self.init(
            journalID: try decoder.string(),
            bootID: try decoder.string(),
            incarnation: try decoder.unsigned(),
            highestTerm: Term(rawValue: try decoder.signed()),
            highestLease: LeaseSerial(rawValue: try decoder.signed())
        )
        guard version >= 2 else { return }
        self.number = try decoder.unsigned()
        for _ in 0..<(try decoder.count(ofAtLeast: 1)) { self.earlier.append(try decoder.unsigned()) }
        self.file = try decoder.string()
    }
}

extension ByteEncoder {
    /// A set of entries, as a list or as bits, whichever is shorter.
    mutating func entries(_ entries: EntryBitmap) {
        let count = entries.count
        if count * 2 < entries.bytes.count {
            self.byte(0)
            self.count(count)
            for index in entries.indices { self.count(index) }
        } else {
            self.byte(1)
            self.data(entries.bytes)
        }
    }
}

extension ByteDecoder {
    /// The greatest entry index that a record may name: a lease holds about 1,000 recipients.
    static let greatestEntryIndex: UInt64 = 1 << 20

    mutating func entryIndex() throws(DecodingFailure) -> Int {
        let index = try self.unsigned()
        guard index <= Self.greatestEntryIndex else {
            throw DecodingFailure(reason: "entry index \(index) is out of range")
        }
        return Int(index)
    }

    mutating func entries() throws(DecodingFailure) -> EntryBitmap {
        switch try self.byte() {
        case 0:
            var entries = EntryBitmap()
            for _ in 0..<(try self.count()) { entries.insert(try self.entryIndex()) }
            return entries
        case 1:
            let bytes = try self.data()
            guard bytes.count <= Self.greatestEntryIndex / 8 else {
                throw DecodingFailure(reason: "a set is too large")
            }
            return EntryBitmap(bytes: bytes)
        default: throw DecodingFailure(reason: "unknown form of a set")
        }
    }
}
