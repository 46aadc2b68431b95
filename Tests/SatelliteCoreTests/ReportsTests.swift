// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal
import Testing

@testable import SatelliteCore

@Suite("What attempts come to", .timeLimit(.minutes(15)))
struct ReportsTests {
    private let delivered = DeliveryOutcome.delivered(AttemptTrace(stage: .finalDot, replyCode: 250, text: "queued"))

    /// Parts whose journal holds a lease of two recipients, both started, and those recipients.
    private func withStarted(_ body: (Parts, FailingDirectory, [QueuedRecipient]) async throws -> Void) async throws {
        try await Parts.inDirectory { directory in
            let disk = try FailingDirectory(path: directory + "/journal")
            let parts = try Parts(directory, journal: disk)
            let grant = parts.grant(1, 2)
            _ = try parts.journal.accept([grant])
            try parts.journal.recordStarted([grant.serial: EntryBitmap(0..<2)])
            let lease = HeldLease(grant, since: .now)
            try await body(parts, disk, (0..<2).map { QueuedRecipient(lease: lease, index: $0, since: .now) })
        }
    }

    @Test("a batch that nobody acknowledges is repeated under its number once it is overdue, and that is logged")
    func overdue() async throws {
        try await self.withStarted { parts, _, recipients in
            parts.master.connect()
            parts.master.state.change { $0.acknowledgesReports = false }
            parts.reports.connected(1)
            try await Parts.running({ await parts.reports.send(over: parts.master) }) {
                let report = try #require(parts.reports.recordDone(recipients[0], self.delivered))
                #expect(parts.reports.publish([report]))
                try await parts.master.state.until("the batch") { $0.batches == [1] }
                parts.reports.tick(.now)
                #expect(parts.log.count("the master has not acknowledged reports") == 0)
                parts.reports.tick(.now + .seconds(60))
                try await parts.master.state.until("the batch again") { $0.batches == [1, 1] }
                #expect(parts.log.count("the master has not acknowledged reports") == 1)
                #expect(parts.reports.backlog == 1)
                #expect(parts.reports.acknowledged(1) == [report])
                #expect(parts.reports.backlog == 0)
            }
        }
    }

    @Test("an end that the journal cannot write is neither reported nor counted, and no further dot may be sent")
    func broken() async throws {
        try await self.withStarted { parts, disk, recipients in
            #expect(parts.reports.recordDot(recipients[0]))
            let report = try #require(parts.reports.recordDone(recipients[0], self.delivered))
            disk.change { $0.writesFail = true }
            #expect(!parts.reports.publish([report]))
            #expect(parts.reports.backlog == 0)
            #expect(parts.reports.counts.total == 0)
            #expect(parts.condition.error?.code == .journalFailed)
            #expect(!parts.reports.recordDot(recipients[1]))
            #expect(parts.reports.recordDone(recipients[1], self.delivered) == nil)
        }
    }

    @Test("what an earlier process has left is reported and counts for no attempt of this one")
    func recovered() async throws {
        try await Parts.inDirectory { directory in
            try await self.leave(in: directory)
            let parts = try Parts(directory)
            #expect(parts.reports.backlog == 2)
            #expect(parts.reports.counts.total == 0)
        }
    }

    /// A process that ends with one recipient delivered and one past its dot.
    private func leave(in directory: String) async throws {
        let parts = try Parts(directory)
        let grant = parts.grant(1, 2)
        _ = try parts.journal.accept([grant])
        try parts.journal.recordStarted([grant.serial: EntryBitmap(0..<2)])
        let lease = HeldLease(grant, since: .now)
        let recipients = (0..<2).map { QueuedRecipient(lease: lease, index: $0, since: .now) }
        for recipient in recipients { #expect(parts.reports.recordDot(recipient)) }
        let report = try #require(parts.reports.recordDone(recipients[0], self.delivered))
        #expect(parts.reports.publish([report]))
    }

    @Test("attempts are counted by outcome, and those of the last minute apart")
    func counters() {
        func reports(_ outcomes: [DeliveryOutcome]) -> [DeliveryReport] {
            outcomes.map {
                DeliveryReport(
                    recipient: RecipientID(packed: 1),
                    attempt: AttemptSerial(rawValue: 1),
                    lease: LeaseSerial(rawValue: 1),
                    outcome: $0,
                    endedAt: Timestamp(seconds: 0)
                )
            }
        }
        let trace = AttemptTrace(stage: .recipient, text: "")
        var counters = AttemptCounters(tick: .seconds(20))
        counters.add(reports([.deferred(trace), .failed(trace), .failed(trace)]))
        counters.add(reports([.unrenderable(trace), .uncertain(trace), self.delivered]))
        let counts = [
            counters.delivered, counters.deferred, counters.failed, counters.unrenderable, counters.uncertain,
        ]
        #expect(counts == [1, 1, 2, 1, 1])
        #expect(counters.lastMinute == 0, "nothing is known of when they ended")
        counters.measure()
        counters.add(reports([self.delivered, self.delivered]))
        var recent: [Int] = []
        for _ in 0..<4 {
            recent.append(counters.lastMinute)
            counters.measure()
        }
        #expect(recent == [2, 2, 2, 0])
        #expect(counters.total == 8)
    }
}
