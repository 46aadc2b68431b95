// SPDX-License-Identifier: Apache-2.0

import Glibc
import MailingModel
import SatelliteJournal
import Testing

@Suite("The journal on disk")
struct DiskJournalTests {
    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/telstar-journal-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw JournalError(.inputOutput, "mkdtemp failed") }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["lock", "0000000000000001.segment", "0000000000000002.segment"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
        try body(path)
    }

    @Test("a file holds what was written when it is opened again, under the running kernel's boot id")
    func reopening() throws {
        try self.withDirectory { path in
            let boot = try Journal.currentBootID()
            #expect(boot.utf8.count == 36)
            let name: String
            do {
                let (journal, _) = try Journal.open(
                    DiskJournalDirectory(path: path),
                    bootID: boot,
                    incarnation: 1,
                    now: sampleNow
                )
                _ = try journal.accept([sampleGrant(1)])
                try journal.recordStarted([LeaseSerial(rawValue: 1): EntryBitmap([0])])
                try journal.recordDot(LeaseSerial(rawValue: 1), entry: 0)
                name = journal.journalID
            }
            let (journal, recovery) = try Journal.open(
                DiskJournalDirectory(path: path),
                bootID: boot,
                incarnation: 2,
                now: sampleNow
            )
            #expect(journal.journalID == name)
            #expect(recovery.summary == #"held ["1:3/0/0"] unacknowledged 0 uncertain 1"#)
        }
    }

    @Test("a second process is refused the directory")
    func lock() throws {
        try self.withDirectory { path in
            let first = try DiskJournalDirectory(path: path)
            #expect(throws: JournalError.self) { _ = try DiskJournalDirectory(path: path) }
            withExtendedLifetime(first) {}
        }
    }

    @Test("a directory that is released is another process's to have, though its object is still there")
    func releasing() throws {
        try self.withDirectory { path in
            let first = try DiskJournalDirectory(path: path)
            #expect(throws: JournalError.self) { _ = try DiskJournalDirectory(path: path) }
            first.release()
            let second = try DiskJournalDirectory(path: path)
            withExtendedLifetime((first, second)) {}
        }
    }

    @Test("a file that cannot be reserved leaves nothing behind")
    func noSpace() throws {
        try self.withDirectory { path in
            let directory = try DiskJournalDirectory(path: path)
            #expect(throws: JournalError.self) { _ = try directory.create(1, size: 1 << 60) }
            #expect(try directory.segments().isEmpty)
        }
    }
}
