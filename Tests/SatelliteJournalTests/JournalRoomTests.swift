// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal
import Testing

@Suite("Room in the journal")
struct JournalRoomTests {
    private static let small = Journal.Configuration(
        segmentSize: 64 * 1024,
        maximumSegments: 64,
        compactionThreshold: 4
    )

    /// The longest outcome that a server can cause.
    private let longOutcome = DeliveryOutcome.failed(
        AttemptTrace(
            stage: .recipient,
            replyCode: 550,
            enhancedStatus: "5.7.999",
            text: String(repeating: "é", count: 1024),
            mxHost: String(repeating: "m", count: 255)
        )
    )

    /// Sends every recipient of every lease held and has all reports acknowledged, one at a time.
    private func work(_ journal: Journal, _ grants: [LeaseGrant]) throws {
        for grant in grants {
            for index in grant.entries.indices {
                try journal.recordStarted([grant.serial: EntryBitmap([index])])
                try journal.recordDot(grant.serial, entry: index)
                try journal.recordDone(grant.serial, entry: index, self.longOutcome, endedAt: sampleNow)
                try journal.flush()
            }
        }
        for grant in grants {
            for entry in grant.entries {
                let report = DeliveryReport(
                    recipient: entry.recipient,
                    attempt: entry.attempt,
                    lease: grant.serial,
                    outcome: self.longOutcome,
                    endedAt: sampleNow
                )
                try journal.forget([report])
            }
        }
    }

    @Test("a full disk refuses leases and never the bookkeeping of those accepted")
    func fullDisk() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory, configuration: Self.small)
        directory.change { $0.maximumFiles = 2 }
        var accepted: [LeaseGrant] = []
        var refused = 0
        for serial in 1...40 {
            let grant = sampleGrant(Int64(serial), recipients: 20, payload: 100)
            let acceptance = try journal.accept([grant])
            if acceptance.accepted.isEmpty { refused += 1 } else { accepted.append(grant) }
            if let reason = acceptance.reason { #expect(reason.code == .noSpace) }
        }
        #expect(!accepted.isEmpty && refused > 0)
        try self.work(journal, accepted)
        #expect(journal.heldLeases.isEmpty)
        #expect(directory.files.count <= 2)
        #expect(try journal.accept([sampleGrant(99, recipients: 20, payload: 100)]).accepted.count == 1)
    }

    @Test("a full disk does not keep a restarted satellite from finishing either")
    func restartOnFullDisk() throws {
        let directory = RecordingDirectory()
        directory.change { $0.maximumFiles = 1 }
        var journal = try openJournal(directory, configuration: Self.small).journal
        var accepted: [LeaseGrant] = []
        for serial in 1...10 {
            let grant = sampleGrant(Int64(serial), recipients: 10, payload: 50)
            if try journal.accept([grant]).refused.isEmpty { accepted.append(grant) }
        }
        #expect(!accepted.isEmpty)
        for incarnation in 2...20 {
            let opened = try openJournal(directory, incarnation: UInt64(incarnation), configuration: Self.small)
            journal = opened.journal
            #expect(opened.recovery.heldLeases.count == accepted.count)
        }
        try self.work(journal, accepted)
        #expect(journal.heldLeases.isEmpty)
    }

    @Test("the journal's own bound refuses leases")
    func ownBound() throws {
        let directory = RecordingDirectory()
        var configuration = Self.small
        configuration.maximumSegments = 3
        let (journal, _) = try openJournal(directory, configuration: configuration)
        var reason: JournalError?
        for serial in 1...60 where reason == nil {
            reason = try journal.accept([sampleGrant(Int64(serial), recipients: 20, payload: 100)]).reason
        }
        #expect(reason?.code == .full)
        #expect(directory.files.count <= 3)
    }

    @Test("a grant that exceeds a segment is refused")
    func tooLarge() throws {
        let (journal, _) = try openJournal(RecordingDirectory(), configuration: Self.small)
        let acceptance = try journal.accept([sampleGrant(1, recipients: 50, payload: 2000), sampleGrant(2)])
        #expect(acceptance.refused.map(\.rawValue) == [1])
        #expect(acceptance.accepted.map(\.rawValue) == [2])
    }

    @Test("a lease that lasts does not keep the files of a thousand others")
    func compaction() throws {
        let directory = RecordingDirectory()
        let (journal, _) = try openJournal(directory, configuration: Self.small)
        let lasting = sampleGrant(1, recipients: 3)
        _ = try journal.accept([lasting])
        try journal.recordStarted([lasting.serial: EntryBitmap([0, 1])])
        try journal.recordDot(lasting.serial, entry: 0)
        try journal.recordDone(lasting.serial, entry: 0, sampleOutcome(), endedAt: sampleNow)
        try journal.recordDot(lasting.serial, entry: 1)
        for serial in 2...1000 {
            let grant = sampleGrant(Int64(serial), recipients: 4)
            #expect(try journal.accept([grant]).refused.isEmpty)
            try self.work(journal, [grant])
        }
        #expect(directory.files.count <= 6)
        #expect(!directory.files.keys.contains(1))
        let (_, recovery) = try openJournal(
            directory.afterProcessDeath(),
            incarnation: 2,
            configuration: Self.small
        )
        #expect(recovery.summary == #"held ["1:1/0/0"] unacknowledged 1 uncertain 1"#)
        #expect(recovery.heldLeases.first?.grant == lasting)
    }

    @Test("a grant that is held already is accepted again and takes no room")
    func duplicate() throws {
        let (journal, _) = try openJournal(RecordingDirectory(), configuration: Self.small)
        _ = try journal.accept([sampleGrant(1)])
        let before = journal.room.available
        #expect(try journal.accept([sampleGrant(1)]).accepted.map(\.rawValue) == [1])
        #expect(journal.room.available == before)
    }
}
