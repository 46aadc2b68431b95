// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("Retention", .timeLimit(.minutes(15)))
struct RetentionTests {
    /// A finished mailing with delivered recipients.
    private func finished(_ test: TestMaster, _ satellite: ScriptedSatellite, _ count: Int) async throws -> MailingID {
        let id = try await test.running(count)
        try await satellite.deliver(try await satellite.take(count))
        test.clock.advance(by: .seconds(31))
        try await test.until("finished") { try await test.state(id) == .finished }
        return id
    }

    private func exists(_ test: TestMaster, _ id: MailingID) async throws -> Bool {
        try await test.store.mailing(id, in: .everything) != nil
    }

    @Test("by default nothing is ever deleted or purged")
    func keepsForEver() async throws {
        try await TestMaster.run { test in
            let id = try await self.finished(test, try await test.connected("a"), 3)
            test.clock.advance(by: .seconds(100 * 365 * 86_400))
            #expect(try await self.exists(test, id))
            #expect(test.faults.calls(of: "purgeEvents") == 0 && test.faults.calls(of: "deleteMailing") == 0)
        }
    }

    @Test("a finished mailing is deleted so long after its end, an unfinished one never")
    func mailings() async throws {
        try await TestMaster.run {
            $0.upkeep.keepMailings = .seconds(86_400)
        } _: { test in
            let satellite = try await test.connected("a")
            let open = try await test.running(2)
            _ = try await satellite.take(2)
            let id = try await self.finished(test, satellite, 3)
            test.clock.advance(by: .seconds(86_000))
            try await test.until("a round") { test.faults.calls(of: "mailings") >= 4 }
            #expect(try await self.exists(test, id))
            test.clock.advance(by: .seconds(900))
            try await test.until("deleted") { try await !self.exists(test, id) }
            #expect(try await self.exists(test, open))
            #expect(try await test.store.reports(of: ["nothing"], account: .root).isEmpty)
        }
    }

    @Test("the first round comes with the start")
    func atStart() async throws {
        let directory = TestMaster.makeDirectory()
        let clock = ManualClock()
        var ids: [MailingID] = []
        try await TestMaster.run(path: directory, clock: clock) { test in
            let satellite = try await test.connected("a")
            for _ in 0..<3 { ids.append(try await self.finished(test, satellite, 2)) }
        }
        clock.advance(by: .seconds(3_600))
        try await TestMaster.run(path: directory, clock: clock) {
            $0.upkeep.keepMailings = .seconds(1_800)
            $0.upkeep.keepEvents = .seconds(1_800)
            $0.upkeep.rest = .zero
        } _: { test in
            try await test.until("deleted") {
                try await test.store.countMailings(MailingFilter(), in: .everything) == 0
            }
            try await test.until("purged") { test.faults.calls(of: "purgeEvents") > 0 }
            // Deleting takes the events along, step by step.
            try await test.until("no event is left") {
                try await test.operations.feed(after: nil, filter: RecipientFilter(), limit: 10).entries.isEmpty
            }
        }
    }

    @Test("a cursor below the horizon is refused, and never skips in silence; the events' age alone decides")
    func events() async throws {
        try await TestMaster.run {
            $0.upkeep.keepEvents = .seconds(1_000)
        } _: { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(10)
            let grants = try await satellite.take(10)
            try await satellite.deliver(grants)
            let early = try await test.operations.feed(after: nil, filter: RecipientFilter(), limit: 4)
            let last = try await test.operations.newestCursor()
            #expect(early.entries.count == 4)
            // The mailing is kept open; its events go nevertheless.
            var change = MailingChange()
            change.dontCloseIfEmpty = true
            _ = try await test.operations.setProperties(of: id, to: change)
            test.clock.advance(by: .seconds(2_000))
            try await test.until("purged") {
                try await test.store.feed(after: 10, filter: RecipientFilter(), in: .everything, limit: 1).horizon == 10
            }
            #expect(try await test.state(id) == .running)
            await #expect(throws: MasterError.self) {
                _ = try await test.operations.feed(after: early.cursor, filter: RecipientFilter(), limit: 10)
            }
            do {
                _ = try await test.operations.feed(after: early.cursor, filter: RecipientFilter(), limit: 10)
            } catch let error as MasterError {
                #expect(error.code == .badCursor(.belowHorizon))
            }
            #expect(
                try await test.operations.feed(after: last, filter: RecipientFilter(), limit: 10)
                    .entries.isEmpty
            )
            try await test.add(2, to: id, from: 500)
            try await satellite.deliver(try await satellite.take(2))
            let fresh = try await test.operations.feed(
                after: last,
                filter: RecipientFilter(),
                limit: 10
            )
            #expect(fresh.entries.map(\.position) == [11, 12])
            #expect(try await test.operations.feed(after: nil, filter: RecipientFilter(), limit: 10) == fresh)
        }
    }

    @Test("a store that fails leaves the master ready, and the next round does the work")
    func failure() async throws {
        try await TestMaster.run {
            $0.upkeep.keepEvents = .seconds(1_000)
        } _: { test in
            let satellite = try await test.connected("a")
            _ = try await self.finished(test, satellite, 5)
            test.faults.fail(["purgeEvents"], with: .database)
            let before = test.faults.calls(of: "purgeEvents")
            test.clock.advance(by: .seconds(2_000))
            try await test.until("tried") { test.faults.calls(of: "purgeEvents") > before }
            #expect(test.master.isReady)
            test.faults.fail([], with: nil)
            try await test.until("purged") {
                test.clock.advance(by: .seconds(60))
                return try await test.store.feed(after: 5, filter: RecipientFilter(), in: .everything, limit: 1).horizon
                    == 5
            }
        }
    }
}
