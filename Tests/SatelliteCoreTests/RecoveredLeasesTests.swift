// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SatelliteJournal
import Testing

@testable import SatelliteCore

@Suite("Leases that an earlier process has left", .timeLimit(.minutes(15)))
struct RecoveredLeasesTests {
    /// Parts that find a lease of five recipients in their journal, two of them started.
    private func withRecovered(_ body: (Parts) async throws -> Void) async throws {
        try await Parts.inDirectory { directory in
            try self.leave(in: directory)
            let parts = try Parts(directory)
            parts.scheduler.withLock { $0.isConnected = true }
            try await body(parts)
        }
    }

    private func leave(in directory: String) throws {
        let parts = try Parts(directory)
        let grant = parts.grant(1, 5)
        _ = try parts.journal.accept([grant])
        try parts.journal.recordStarted([grant.serial: EntryBitmap(0..<2)])
    }

    private func distrusts(_ parts: Parts) -> Int { parts.log.count("the master has seen a newer journal") }

    @Test("what was started waits for the first Welcome; all of it is held from the beginning")
    func welcome() async throws {
        try await self.withRecovered { parts in
            #expect(parts.recovered.count == 2)
            #expect(parts.scheduler.withLock { [$0.startedCount, $0.waitingCount] } == [2, 3])
            parts.recovered.takeUp(isDistrusted: false)
            #expect(parts.recovered.count == 0)
            #expect(parts.reports.backlog == 0)
            #expect(self.distrusts(parts) == 0)
        }
    }

    @Test("if the master has seen a newer journal, what was started is uncertain, once for all its Welcomes")
    func distrusted() async throws {
        try await self.withRecovered { parts in
            for _ in 0..<2 {
                parts.recovered.takeUp(isDistrusted: true)
                #expect(parts.reports.counts.uncertain == 2)
                #expect(parts.scheduler.withLock { [$0.startedCount, $0.waitingCount] } == [0, 3])
                #expect(self.distrusts(parts) == 1)
            }
        }
    }

    @Test("if it has seen one later, nothing that the process holds is sent, and the rest goes back, once")
    func distrustedLater() async throws {
        try await self.withRecovered { parts in
            parts.recovered.takeUp(isDistrusted: false)
            for _ in 0..<2 {
                parts.recovered.takeUp(isDistrusted: true)
                #expect(parts.scheduler.withLock { [$0.startedCount, $0.waitingCount] } == [2, 0])
                #expect(parts.scheduler.withLock { $0.leases.values.allSatisfy(\.lease.isRevoked) })
                #expect(self.distrusts(parts) == 1)
            }
        }
    }
}
