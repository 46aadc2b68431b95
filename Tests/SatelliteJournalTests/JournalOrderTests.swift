// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal
import Testing

@Suite("The order of the journal's writes")
struct JournalOrderTests {
    /// Whether everything written to `segment` before the note was synced before it.
    private func isSynced(_ events: [RecordingDirectory.Event], before note: String) -> Bool {
        var unsynced: Set<UInt64> = []
        for event in events {
            switch event {
            case .write(let segment, _): unsynced.insert(segment)
            case .sync(let segment): unsynced.remove(segment)
            case .note(note): return unsynced.isEmpty
            default: break
            }
        }
        return false
    }

    @Test("a lease is synced before it can be acknowledged")
    func leaseIsSynced() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        let acceptance = try journal.accept([sampleGrant(1), sampleGrant(2)])
        directory.note("acknowledged")
        #expect(acceptance.accepted.map(\.rawValue) == [1, 2])
        #expect(self.isSynced(directory.events, before: "acknowledged"))
        let (_, recovery) = try openJournal(directory.afterPowerCut(), boot: "boot-2", incarnation: 2)
        #expect(recovery.summary == #"held ["1:4/0/0", "2:4/0/0"] unacknowledged 0 uncertain 0"#)
    }

    @Test("one sync serves all the leases accepted together")
    func groupCommit() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        let before = directory.events.count
        _ = try journal.accept((1...20).map { sampleGrant($0) })
        #expect(directory.events.dropFirst(before).filter { $0 == .sync(1) }.count == 1)
    }

    @Test("entries started are synced before any of them can be sent")
    func startedIsSynced() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        _ = try journal.accept([sampleGrant(1)])
        try journal.recordStarted([LeaseSerial(rawValue: 1): EntryBitmap([0, 2])])
        directory.note("sent")
        #expect(self.isSynced(directory.events, before: "sent"))
        let (_, recovery) = try openJournal(directory.afterPowerCut(), boot: "boot-2", incarnation: 2)
        #expect(recovery.uncertain.map(\.recipient.ordinal) == [0, 2])
    }

    @Test("the dot's record is written, not synced, when recordDot returns")
    func dotIsWritten() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        _ = try journal.accept([sampleGrant(1)])
        try journal.recordStarted([LeaseSerial(rawValue: 1): EntryBitmap(0..<4)])
        let before = directory.events.count
        try journal.recordDot(LeaseSerial(rawValue: 1), entry: 1)
        let after = directory.events.dropFirst(before)
        #expect(after.count == 1)
        guard case .write(1, let size)? = after.first else { return #expect(Bool(false), "nothing was written") }
        #expect(size < 40)
    }

    @Test("outcomes travel with the next dot, and with flush before a report")
    func doneIsBatched() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        let lease = LeaseSerial(rawValue: 1)
        _ = try journal.accept([sampleGrant(1)])
        try journal.recordStarted([lease: EntryBitmap(0..<4)])
        try journal.recordDot(lease, entry: 0)
        let before = directory.events.count
        try journal.recordDone(lease, entry: 0, sampleOutcome(), endedAt: sampleNow)
        #expect(directory.events.count == before)
        try journal.recordDot(lease, entry: 1)
        #expect(directory.events.count == before + 1)
        try journal.recordDone(lease, entry: 1, sampleOutcome(), endedAt: sampleNow)
        try journal.flush()
        #expect(directory.events.count == before + 2)
        let (_, recovery) = try openJournal(directory.afterProcessDeath(), incarnation: 2)
        #expect(recovery.summary == #"held ["1:0/2/0"] unacknowledged 2 uncertain 0"#)
    }

    @Test("after a failed sync the journal takes nothing more")
    func failedSync() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        _ = try journal.accept([sampleGrant(1)])
        directory.change { $0.syncFails = true }
        #expect(throws: JournalError.self) { try journal.accept([sampleGrant(2)]) }
        directory.change { $0.syncFails = false }
        #expect(throws: JournalError.self) { try journal.recordDot(LeaseSerial(rawValue: 1), entry: 0) }
    }

    @Test("a dot whose record cannot be written must not be sent")
    func failedWrite() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory)
        _ = try journal.accept([sampleGrant(1)])
        directory.change { $0.writeFails = true }
        #expect(throws: JournalError.self) { try journal.recordDot(LeaseSerial(rawValue: 1), entry: 0) }
    }
}
