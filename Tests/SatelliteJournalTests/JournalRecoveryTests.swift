// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal
import Testing

@Suite("What a journal knows after a crash")
struct JournalRecoveryTests {
    private let lease = LeaseSerial(rawValue: 1)

    /// Entries 0 done, 1 dotted, 2 started, 3 never started.
    private func writeOneOfEach(_ journal: Journal) throws {
        _ = try journal.accept([sampleGrant(1)])
        try journal.recordStarted([self.lease: EntryBitmap(0..<3)])
        try journal.recordDot(self.lease, entry: 0)
        try journal.recordDone(self.lease, entry: 0, sampleOutcome(), endedAt: sampleNow)
        try journal.recordDot(self.lease, entry: 1)
    }

    @Test("death of the process: a dot without an outcome is uncertain, what was started and unsent may be sent")
    func processDeath() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        let (next, recovery) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
        #expect(recovery.uncertain.map(\.recipient.ordinal) == [1])
        #expect(recovery.unacknowledged.map(\.recipient.ordinal) == [0])
        #expect(recovery.unacknowledged.first?.outcome == sampleOutcome())
        #expect(recovery.unacknowledged.first?.attempt.rawValue == 2)
        #expect(recovery.heldLeases.first?.started.indices == [2])
        #expect(recovery.heldLeases.first?.neverStarted.indices == [3])
        #expect(recovery.heldLeases.first?.grant == sampleGrant(1))
        #expect(next.journalID == journal.journalID)
        #expect(next.highest.term.rawValue == 3)
    }

    @Test("a changed boot: every started entry without an outcome is uncertain")
    func changedBoot() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        let (_, recovery) = try openJournal(directory.afterProcessDeath(), boot: "boot-2", incarnation: 2)
        #expect(recovery.uncertain.map(\.recipient.ordinal) == [1, 2])
        #expect(recovery.heldLeases.first?.started.count == 0)
        #expect(recovery.heldLeases.first?.neverStarted.indices == [3])
    }

    @Test("a power cut loses dots and outcomes that were not synced, and makes them uncertain instead")
    func powerCut() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        let (_, recovery) = try openJournal(directory.afterPowerCut(), boot: "boot-2", incarnation: 2)
        #expect(recovery.uncertain.map(\.recipient.ordinal) == [0, 1, 2])
        #expect(recovery.unacknowledged.isEmpty)
    }

    @Test("what was found uncertain once stays so, and comes as an ordinary report the next time")
    func uncertainIsJournaled() throws {
        let directory = RecordingDirectory()
        try self.writeOneOfEach(try openJournal(directory).journal)
        _ = try openJournal(directory, boot: "boot-2", incarnation: 2)
        let (_, recovery) = try openJournal(directory, boot: "boot-2", incarnation: 3)
        #expect(recovery.uncertain.isEmpty)
        #expect(recovery.unacknowledged.map(\.recipient.ordinal) == [0, 1, 2])
        #expect(recovery.heldLeases.first?.neverStarted.indices == [3])
    }

    @Test("acknowledged reports and returned entries close a lease")
    func closing() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        try journal.recordReturned(self.lease, EntryBitmap([3]))
        try journal.recordDone(self.lease, entry: 1, sampleOutcome(), endedAt: sampleNow)
        try journal.recordDone(self.lease, entry: 2, sampleOutcome(), endedAt: sampleNow)
        try journal.flush()
        #expect(journal.heldLeases == [self.lease])
        let (_, recovery) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
        #expect(recovery.summary == #"held ["1:0/0/1"] unacknowledged 3 uncertain 0"#)
        try journal.forget(recovery.unacknowledged)
        #expect(journal.heldLeases.isEmpty)
        let (last, nothing) = try openJournal(directory.afterProcessDeath(), incarnation: 3)
        #expect(nothing.summary == "held [] unacknowledged 0 uncertain 0")
        #expect(last.highest.lease == self.lease)
    }

    @Test("the first outcome of an entry stands")
    func firstOutcomeStands() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        try journal.recordDone(
            self.lease,
            entry: 0,
            .deferred(AttemptTrace(stage: .mail, text: "late")),
            endedAt: sampleNow
        )
        try journal.flush()
        let (_, recovery) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
        #expect(recovery.unacknowledged.map(\.outcome) == [sampleOutcome()])
    }

    @Test("a torn tail of any length is tolerated and repaired", arguments: [1, 3, 7, 8, 9, 20, 200])
    func tornTail(kept: Int) throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        let whole = directory.files[1]!
        let used = whole.lastIndex { $0 != 0 }! + 1
        _ = try journal.accept([sampleGrant(2)])
        var torn = directory.files[1]!
        for index in (used + kept)..<torn.count { torn[index] = 0 }
        let cut = RecordingDirectory(files: [1: torn])
        let (next, recovery) = try openJournal(cut, incarnation: 2)
        #expect(recovery.damage == nil)
        #expect(recovery.summary == #"held ["1:1/1/0"] unacknowledged 1 uncertain 1"#)
        _ = try next.accept([sampleGrant(3)])
        let (_, again) = try openJournal(cut.afterProcessDeath(), incarnation: 3)
        #expect(again.heldLeases.map(\.grant.serial.rawValue) == [1, 3])
    }

    @Test("damage in the middle gives the journal a new name and makes started entries uncertain")
    func damage() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        try self.writeOneOfEach(journal)
        var bytes = directory.files[1]!
        let used = bytes.lastIndex { $0 != 0 }! + 1
        _ = try journal.accept([sampleGrant(2)])
        bytes = directory.files[1]!
        bytes[used - 3] ^= 0x40
        let damaged = RecordingDirectory(files: [1: bytes])
        let (next, recovery) = try openJournal(damaged, incarnation: 2)
        #expect(recovery.damage != nil)
        #expect(next.journalID != journal.journalID)
        #expect(recovery.uncertain.map(\.recipient.ordinal) == [1, 2])
        #expect(recovery.unacknowledged.map(\.recipient.ordinal) == [0])
        #expect(damaged.events.contains(.setAside(1)))
        let (_, again) = try openJournal(damaged.afterProcessDeath(), incarnation: 3)
        #expect(again.damage == nil)
        #expect(again.summary == #"held ["1:1/0/0"] unacknowledged 3 uncertain 0"#)
    }

    @Test("a missing journal begins anew with another name")
    func missing() throws {
        let first = try openJournal(RecordingDirectory()).journal
        let second = try openJournal(RecordingDirectory()).journal
        #expect(first.journalID != second.journalID)
    }
}
