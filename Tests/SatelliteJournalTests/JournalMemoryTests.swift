// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import SatelliteJournal

@Suite("What a journal remembers of its store and of itself")
struct JournalMemoryTests {
    private let lease = LeaseSerial(rawValue: 1)

    private func position(_ number: Int64, term: Int64 = 1, opening: String = "a", store: String = "s") -> StorePosition
    {
        StorePosition(storeID: store, term: Term(rawValue: term), opening: opening, number: number)
    }

    @Test("the newest commit that was reported survives the process with the next record, and a power cut with a start")
    func store() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        #expect(journal.store == nil)
        journal.noteStore(self.position(5))
        journal.noteStore(self.position(3))
        #expect(journal.store == self.position(5))
        _ = try journal.accept([sampleGrant(1)])
        journal.noteStore(self.position(7))
        try journal.recordStarted([self.lease: EntryBitmap([0])])
        journal.noteStore(self.position(9))
        let (next, _) = try openJournal(directory.afterPowerCut(), boot: "boot-2", incarnation: 2)
        #expect(next.store == self.position(7))
        // What another opening reports counts, whatever its numbers: an operator has gone on with a restored store.
        next.noteStore(self.position(2, opening: "b"))
        #expect(next.store == self.position(2, opening: "b"))
    }

    @Test("the newest commit survives the segments that it was written to")
    func storeAndSegments() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        journal.noteStore(self.position(5))
        for serial in Int64(1)...12 {
            _ = try journal.accept([sampleGrant(serial, recipients: 20, payload: 800)])
            if serial > 1 { try journal.recordReturned(LeaseSerial(rawValue: serial - 1), EntryBitmap(0..<20)) }
        }
        #expect(directory.files[1] == nil)
        let (next, _) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
        #expect(next.store == self.position(5))
    }

    @Test("processes are counted, and the last eight are named")
    func sessions() throws {
        let directory = RecordingDirectory()
        for number in UInt64(1)...10 {
            let (journal, _) = try openJournal(directory, incarnation: number * 10)
            #expect(journal.session == number)
            #expect(journal.earlierIncarnations == (1..<number).reversed().prefix(8).map { $0 * 10 })
        }
    }

    @Test("the end only grows, through segments and processes, and what a process finds is what the last one wrote")
    func ends() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        #expect(journal.found == 0)
        var last = journal.position
        #expect(last.written > 0 && last.synced == last.written)
        for serial in Int64(1)...6 {
            _ = try journal.accept([sampleGrant(serial, recipients: 20, payload: 800)])
            #expect(journal.position.written > last.written && journal.position.synced == journal.position.written)
            try journal.recordDot(LeaseSerial(rawValue: serial), entry: 0)
            #expect(journal.position.synced < journal.position.written)
            last = journal.position
        }
        #expect(last.written >> 32 > 1)
        let (next, _) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
        #expect(next.found == last.written && next.position.written > last.written)
        let (cut, _) = try openJournal(directory.afterPowerCut(), boot: "boot-2", incarnation: 3)
        #expect(cut.found >= last.synced && cut.found < last.written)
    }

    @Test("a copy of the files: every started entry without an outcome is uncertain")
    func copy() throws {
        let directory = RecordingDirectory(name: "one")
        let (journal, first) = try openJournal(directory)
        #expect(!first.isCopy)
        _ = try journal.accept([sampleGrant(1)])
        try journal.recordStarted([self.lease: EntryBitmap(0..<3)])
        try journal.recordDot(self.lease, entry: 0)
        let copied = directory.copied(name: "two")
        let (second, recovery) = try openJournal(copied, incarnation: 2)
        #expect(second.isCopy && recovery.isCopy)
        #expect(recovery.uncertain.map(\.recipient.ordinal) == [0, 1, 2])
        #expect(recovery.heldLeases.first?.neverStarted.indices == [3])
        // The copy is the journal from now on.
        let (third, again) = try openJournal(copied.afterProcessDeath(), incarnation: 3)
        #expect(!third.isCopy && again.uncertain.isEmpty && again.unacknowledged.count == 3)
        // The original, to which nothing has happened, goes on.
        let (_, intact) = try openJournal(directory.afterProcessDeath(), incarnation: 4)
        #expect(intact.uncertain.map(\.recipient.ordinal) == [0])
        #expect(intact.heldLeases.first?.started.indices == [1, 2])
    }

    @Test("a session that did not fit into its segment any more names the file in which it stands")
    func rotatedSession() throws {
        let directory = RecordingDirectory(name: "one")
        var (journal, _) = try openJournal(directory)
        _ = try journal.accept([sampleGrant(1, recipients: 40, payload: 100)])
        _ = try journal.accept([sampleGrant(2, recipients: 40, payload: 600)])
        for incarnation in UInt64(2)...400 where journal.position.written >> 32 < 2 {
            (journal, _) = try openJournal(directory, incarnation: incarnation)
            #expect(!journal.isCopy)
        }
        let (last, recovery) = try openJournal(directory, incarnation: 1_000)
        #expect(!last.isCopy && recovery.uncertain.isEmpty)
    }

    @Test("a journal that a program before these records wrote is read")
    func firstForm() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        _ = try journal.accept([sampleGrant(1)])
        let bytes = try #require(directory.files[1])
        guard case .record(.session(let session), let next) = RecordFrame().read(bytes, at: 0) else {
            throw DecodingFailure(reason: "no session comes first")
        }
        let old = Self.firstForm(of: session) + bytes[next...]
        let (reader, recovery) = try openJournal(
            RecordingDirectory(files: [1: Array((old + [UInt8](repeating: 0, count: 1024)).prefix(bytes.count))]),
            incarnation: 2
        )
        #expect(recovery.damage == nil && recovery.heldLeases.map(\.grant) == [sampleGrant(1)])
        #expect(reader.journalID == session.journalID && reader.session == 2 && !reader.isCopy)
        #expect(reader.earlierIncarnations == [1])
    }

    private static func firstForm(of session: JournalSession) -> [UInt8] {
        var encoder = ByteEncoder()
        encoder.fixed32(0)
        encoder.fixed32(0)
        encoder.byte(1)
        encoder.byte(1)
        encoder.string(session.journalID)
        encoder.string(session.bootID)
        encoder.unsigned(session.incarnation)
        encoder.signed(session.highestTerm.rawValue)
        encoder.signed(session.highestLease.rawValue)
        encoder.patch32(UInt32(encoder.bytes.count - 8), at: 0)
        let crc = CRC32C()
        let checksum =
            crc.checksum(of: encoder.bytes, in: 0..<4) ^ crc.checksum(of: encoder.bytes, in: 8..<encoder.bytes.count)
        encoder.patch32(checksum, at: 4)
        return encoder.bytes
    }
}
