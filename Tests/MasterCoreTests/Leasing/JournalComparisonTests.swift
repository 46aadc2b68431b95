// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import Testing

@testable import MasterCore

@Suite("A satellite's journal beside what was last seen of it")
struct JournalComparisonTests {
    /// A handshake, and whether the journal behind it is the newest.
    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var isTrusted: Bool
        var change: @Sendable (inout Handshake) -> Void

        init(_ name: String, trusted: Bool, _ change: @escaping @Sendable (inout Handshake) -> Void) {
            self.testDescription = name
            self.isTrusted = trusted
            self.change = change
        }
    }

    /// The fifth process (50) had opened the journal and was seen to write up to 900, of which 800 was synced.
    static let seen = JournalMark(
        journalID: "journal",
        bootID: "boot",
        session: 5,
        incarnation: 50,
        position: JournalPosition(written: 900, synced: 800)
    )

    static let rows: [Row] = [
        Row("the next process finds everything", trusted: true) { _ in },
        Row("the next process finds more than was seen", trusted: true) { $0.journalFound = 950 },
        Row("the next process finds less", trusted: false) { $0.journalFound = 899 },
        Row("after a power cut what was synced is enough", trusted: true) {
            $0.bootID = "other"
            $0.journalFound = 800
        },
        Row("after a power cut less than was synced is not", trusted: false) {
            $0.bootID = "other"
            $0.journalFound = 799
        },
        Row("a process came between that was never seen", trusted: true) {
            $0.journalSession = 7
            $0.earlierIncarnations = [60, 50]
        },
        Row("another process was the fifth", trusted: false) {
            $0.journalSession = 7
            $0.earlierIncarnations = [60, 51]
        },
        Row("another process is the fifth", trusted: false) { $0.journalSession = 5 },
        Row("a process of before", trusted: false) { $0.journalSession = 3 },
        Row("more processes came between than are listed", trusted: true) {
            $0.journalSession = 20
            $0.earlierIncarnations = [1, 2, 3, 4, 5, 6, 7, 8]
        },
        Row("the files are a copy", trusted: false) { $0.journalIsCopy = true },
        Row("the same process, later", trusted: true) { Self.sameProcess(&$0, written: 901) },
        Row("the same process, whose files were a copy when it began", trusted: true) {
            Self.sameProcess(&$0, written: 900)
            $0.journalIsCopy = true
        },
        Row("the same process has written less", trusted: false) { Self.sameProcess(&$0, written: 850) },
        Row("a journal that was just made, in the place of one that was lost or damaged", trusted: false) {
            $0.journalID = "new"
            $0.journalSession = 1
            $0.earlierIncarnations = []
            $0.journalFound = 0
        },
        Row("another journal that was there before", trusted: false) { $0.journalID = "old" },
        Row("an older program, which reports nothing", trusted: true) {
            $0.journalSession = 0
            $0.earlierIncarnations = []
            $0.journalFound = 0
            $0.journalPosition = nil
        },
    ]

    @Test("is compared by process and by length", arguments: Self.rows)
    func compared(row: Row) {
        var handshake = Self.handshake
        row.change(&handshake)
        let reason = JournalComparison.reasonToDistrust(handshake, seen: Self.seen)
        #expect((reason == nil) == row.isTrusted, "\(reason ?? "no reason")")
    }

    @Test("is taken as it is at the first meeting, unless its files are a copy")
    func firstMeeting() {
        #expect(JournalComparison.reasonToDistrust(Self.handshake, seen: nil) == nil)
        var copy = Self.handshake
        copy.journalIsCopy = true
        #expect(JournalComparison.reasonToDistrust(copy, seen: nil) != nil)
    }

    /// The sixth process.
    static var handshake: Handshake {
        var handshake = Handshake(
            serial: "a",
            incarnation: 70,
            journalID: "journal",
            bootID: "boot",
            softwareVersion: "test",
            highestTerm: Term(rawValue: 0),
            highestLeaseSerial: LeaseSerial(rawValue: 0),
            heldLeases: []
        )
        handshake.journalSession = 6
        handshake.earlierIncarnations = [50, 40, 30, 20, 10]
        handshake.journalFound = 900
        handshake.journalPosition = JournalPosition(written: 960, synced: 960)
        return handshake
    }

    static func sameProcess(_ handshake: inout Handshake, written: UInt64) {
        handshake.incarnation = 50
        handshake.journalSession = 5
        handshake.earlierIncarnations = [40, 30, 20, 10]
        handshake.journalFound = 700
        handshake.journalPosition = JournalPosition(written: written, synced: written)
    }
}
