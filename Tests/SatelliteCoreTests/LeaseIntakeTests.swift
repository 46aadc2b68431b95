// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal
import Testing

@testable import SatelliteCore

@Suite("The intake of leases", .timeLimit(.minutes(15)))
struct LeaseIntakeTests {
    private let lease = LeaseSerial(rawValue: 1)

    /// An intake that runs, and a journal whose disk tests may fill or break.
    private func withIntake(_ body: (Parts, FailingDirectory) async throws -> Void) async throws {
        try await Parts.inDirectory { directory in
            let disk = try FailingDirectory(path: directory + "/journal")
            let parts = try Parts(directory, journal: disk) { $0.journal.segmentSize = 64 * 1024 }
            parts.master.connect()
            try await Parts.running({ try await parts.intake.run() }) { try await body(parts, disk) }
        }
    }

    @Test("a lease is acknowledged and held, once however often it is granted")
    func accepted() async throws {
        try await self.withIntake { parts, _ in
            parts.inbox.add(parts.grant(1, 5))
            try await parts.master.state.until("the lease") { $0.accepted == [self.lease] }
            parts.inbox.add(parts.grant(1, 5))
            try await parts.master.state.until("it again") { $0.accepted == [self.lease, self.lease] }
            #expect(parts.journal.heldLeases == [self.lease])
            #expect(parts.scheduler.withLock { $0.waitingCount } == 5)
        }
    }

    @Test("a lease that the journal has no room for goes back, and no more is taken; what is held stays")
    func full() async throws {
        try await self.withIntake { parts, disk in
            parts.inbox.add(parts.grant(1, 20))
            try await parts.master.state.until("the first") { $0.accepted.count == 1 }
            disk.change { $0.isFull = true }
            for serial in Int64(2)...3 {
                parts.inbox.add(parts.grant(serial, 100))
                try await parts.master.state.until("it is returned") { state in
                    state.returned[LeaseSerial(rawValue: serial)]?.count == 100 && state.credit[.bulk] == 0
                }
            }
            #expect(parts.condition.facts.isDiskFull)
            #expect(parts.log.count("no room for leases") == 1)
            #expect(parts.master.state.value.accepted == [self.lease])
            #expect(parts.scheduler.withLock { Array($0.leases.keys) } == [self.lease])
        }
    }

    @Test("a lease that arrives at the end is journalled and goes back")
    func stopping() async throws {
        try await self.withIntake { parts, _ in
            parts.scheduler.withLock { $0.isConnected = true }
            parts.condition.beginShutdown()
            parts.inbox.add(parts.grant(1, 5))
            try await parts.master.state.until("it is returned") { $0.returned[self.lease]?.count == 5 }
            #expect(parts.master.state.value.accepted == [self.lease])
            #expect(parts.scheduler.withLock { $0.leases.isEmpty })
        }
    }

    @Test("a journal that cannot be written: nothing is acknowledged, nothing is held, and the satellite is to stop")
    func broken() async throws {
        try await Parts.inDirectory { directory in
            let disk = try FailingDirectory(path: directory + "/journal")
            let parts = try Parts(directory, journal: disk)
            parts.master.connect()
            disk.change { $0.writesFail = true }
            parts.inbox.add(parts.grant(1, 5))
            try await parts.intake.run()  // Ends by itself.
            #expect(parts.condition.error?.code == .journalFailed)
            #expect(parts.master.state.value.accepted.isEmpty)
            #expect(parts.scheduler.withLock { $0.leases.isEmpty })
        }
    }

    @Test("recipients that the master has started are in the journal; what it refused is closed, and not returned")
    func started() async throws {
        try await self.withIntake { parts, _ in
            try await self.requestStarts(of: 5, parts)
            parts.inbox.add(self.lease, started: EntryBitmap([0, 1]), refused: EntryBitmap([2, 3, 4]))
            while parts.reports.backlog < 2 || !parts.inbox.isDone {
                try Task.checkCancellation()
                await Task.yield()
            }
            let journaled = try #require(parts.journal.journaledLeases.first)
            #expect(journaled.started == EntryBitmap([0, 1]))
            #expect(journaled.closed == EntryBitmap([2, 3, 4]))
            #expect(parts.master.state.value.returned.isEmpty)
        }
    }

    @Test("no recipient is started whose start the journal cannot hold")
    func startIsLost() async throws {
        try await self.withIntake { parts, disk in
            try await self.requestStarts(of: 5, parts)
            disk.change { $0.writesFail = true }
            parts.inbox.add(self.lease, started: EntryBitmap([0, 1]), refused: EntryBitmap())
            #expect(await !parts.condition.untilEnd())
            #expect(parts.scheduler.withLock { [$0.requestedCount, $0.startedCount] } == [5, 0])
        }
    }

    /// Has a lease of recipients of an unknown domain taken on, and requests start permission for all of it.
    private func requestStarts(of count: Int, _ parts: Parts) async throws {
        parts.inbox.add(parts.grant(1, count))
        let serial = self.lease
        while parts.scheduler.withLock({ $0.leases[serial] == nil }) {
            try Task.checkCancellation()
            await Task.yield()
        }
        parts.scheduler.withLock { scheduler in
            guard let lease = scheduler.leases[serial]?.lease else { return }
            var recipients = (0..<count).map { QueuedRecipient(lease: lease, index: $0, since: .now) }
            for index in recipients.indices {
                recipients[index].verdict = .failed(AttemptTrace(stage: .lookup, text: "no such domain"))
            }
            scheduler.isConnected = true
            _ = scheduler.decide(recipients, now: .now)
            _ = scheduler.planStarts(now: .now)
        }
    }

    @Test("what is to be returned counts as in hand until the link has taken it")
    func inHand() async throws {
        try await self.withIntake { parts, _ in
            parts.inbox.add(parts.grant(1, 5))
            try await parts.master.state.until("the lease") { $0.accepted.count == 1 }
            parts.master.state.change { $0.holdsReturns = true }
            parts.inbox.add(returned: [(self.lease, EntryBitmap(0..<5))], refused: [])
            try await parts.master.state.until("the link is slow") { $0.heldReturns == 1 }
            #expect(parts.journal.returnedEntries.isEmpty, "all of the lease is closed")
            #expect(!parts.inbox.isDone)
            parts.master.state.change { $0.holdsReturns = false }
            while !parts.inbox.isDone {
                try Task.checkCancellation()
                await Task.yield()
            }
            #expect(parts.master.state.value.returned[self.lease]?.count == 5)
        }
    }
}
