// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("A civil clock that jumps", .timeLimit(.minutes(10)))
struct ClockTests {
    private static let day: Duration = .seconds(86_400)

    private func clock(_ manual: ManualClock) -> CivilClock {
        let start = manual.now
        return CivilClock(
            shown: { manual.civil },
            elapsed: { start.duration(to: manual.now) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test("is not followed while the jump has not stood, and leaves nothing behind when it is put right")
    func shortJump() {
        let manual = ManualClock()
        let clock = self.clock(manual)
        for error in [Self.day, .zero - Self.day] {
            let before = clock.now()
            manual.set(wrongBy: error)
            #expect(clock.now() == before)
            #expect(clock.problem?.contains("jumped") == true)
            manual.advance(by: .seconds(5))
            #expect(clock.now() == before.advanced(by: .seconds(5)))
            manual.set(wrongBy: .zero)
            #expect(clock.now() == manual.civil)
            #expect(clock.problem == nil)
            #expect(!clock.takeFollowed())
        }
    }

    @Test("is followed once the jump has stood, and said once")
    func longJump() {
        let manual = ManualClock()
        let clock = self.clock(manual)
        manual.set(wrongBy: .zero - Self.day)
        _ = clock.now()
        manual.advance(by: CivilClock.patience)
        #expect(clock.now() == manual.civil)
        #expect(clock.problem == nil)
        #expect(clock.takeFollowed())
        #expect(!clock.takeFollowed())
    }

    @Test("is followed at once in the small steps that keeping time makes")
    func slewing() {
        let manual = ManualClock()
        let clock = self.clock(manual)
        for step in 1...100 {
            manual.set(wrongBy: .seconds(step * 2))
            #expect(clock.now() == manual.civil)
        }
        #expect(clock.problem == nil)
    }

    private func run(_ manual: ManualClock, path: String, _ body: (TestMaster) async throws -> Void) async throws {
        try await TestMaster.run(path: path, clock: manual) { test in try await body(test) }
    }

    @Test("that was a day ahead for five seconds: what was deferred meanwhile is tried again in ten minutes")
    func deferral() async throws {
        let manual = ManualClock()
        try await self.run(manual, path: TestMaster.makeDirectory()) { test in
            let satellite = try await test.connected("a")
            _ = try await test.running(1)
            let grant = try #require(try await satellite.take(1).first)
            _ = try await satellite.start(grant.serial, [0])
            manual.set(wrongBy: Self.day)
            #expect(try await test.master.status().problems.contains { $0.contains("system clock jumped") })
            let report = TestValues.deferred(grant.entries[0].recipient, lease: grant.serial, attempt: 1)
            try await satellite.acknowledged(satellite.report([report]))
            manual.advance(by: .seconds(5))
            manual.set(wrongBy: .zero)
            manual.advance(by: .seconds(600))
            try await satellite.take(1)
        }
    }

    @Test("that was ahead by a day and stays so until the master ends: the next master dates anew what waits")
    func restart() async throws {
        let manual = ManualClock()
        let directory = TestMaster.makeDirectory()
        manual.set(wrongBy: Self.day * 3)
        var record: SatelliteRecord?
        try await self.run(manual, path: directory) { test in
            let satellite = try await test.connected("a")
            record = satellite.record
            _ = try await test.running(1)
            let grant = try #require(try await satellite.take(1).first)
            _ = try await satellite.start(grant.serial, [0])
            let report = TestValues.deferred(grant.entries[0].recipient, lease: grant.serial, attempt: 1)
            try await satellite.acknowledged(satellite.report([report]))
        }
        manual.set(wrongBy: .zero)
        try await self.run(manual, path: directory) { test in
            let satellite = ScriptedSatellite(test.channel, try #require(record), highest: 1, incarnation: 2)
            try await satellite.welcomed()
            satellite.credit(bulk: 100)
            try await test.until("what waits is dated anew") {
                try await test.store.nextDue(after: manual.civil, finishGrace: .zero).map {
                    $0 <= manual.civil.advanced(by: .seconds(600))
                } ?? false
            }
            manual.advance(by: .seconds(660))
            try await satellite.take(1)
        }
    }

    @Test("ends no mailing early and deletes none")
    func schedules() async throws {
        let manual = ManualClock()
        try await self.run(manual, path: TestMaster.makeDirectory()) { test in
            let id = try await test.running(1)
            var change = MailingChange()
            change.scheduledEnd = .set(manual.civil.advanced(by: .seconds(3_600)))
            _ = try await test.operations.setProperties(of: id, to: change)
            manual.set(wrongBy: Self.day)
            manual.advance(by: .seconds(120))
            _ = try await test.master.status()
            manual.set(wrongBy: .zero)
            let satellite = try await test.connected("a")
            try await satellite.deliver(try await satellite.take(1))
            #expect(try await test.operations.mailing(id).counters.delivered == 1)
        }
    }
}
