// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterCore
@testable import MasterStore

@Suite("Counter drift", .timeLimit(.minutes(15)))
struct CounterDriftTests {
    @Test("a counter made wrong behind the operations' back is repaired, and counted in the status")
    func drift() async throws {
        try await TestMaster.run {
            $0.upkeep.rest = .zero
        } _: { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(20)
            try await satellite.deliver(try await satellite.take(20))
            // In health a round finds nothing; the next one comes a day later.
            try await test.until("it sleeps until its first round") { test.clock.deadlines.contains(.seconds(600)) }
            test.clock.advance(by: .seconds(600) - test.clock.now.offset)
            try await test.until("the round is over") { test.clock.deadlines.contains(.seconds(87_000)) }
            #expect(test.faults.calls(of: "reconcileCounters") == 1)
            #expect(try await test.master.status().counterDrift == 0)
            try await test.store.write { transaction in
                try transaction.prepare("UPDATE mailing SET delivered = delivered - 3, failed = 7").run()
            }
            #expect(try await test.operations.mailing(id).counters.delivered == 17)
            try await test.until("repaired") {
                test.clock.advance(by: .seconds(3_600))
                return try await test.operations.mailing(id).counters.delivered == 20
            }
            #expect(try await test.operations.mailing(id).counters.failed == 0)
            try await test.until("counted") { try await test.master.status().counterDrift == 2 }
        }
    }

    @Test("every mailing has its turn, with a rest after each, and again a day later")
    func pace() async throws {
        try await TestMaster.run {
            $0.upkeep.rest = .seconds(5)
        } _: { test in
            for _ in 0..<3 { _ = try await test.mailing() }
            var calls = 0
            for deadline in [600, 605, 610, 615, 87_000, 87_005] as [Int64] {
                try await test.until("it sleeps until \(deadline)") {
                    test.clock.deadlines.contains(.seconds(deadline))
                }
                #expect(test.faults.calls(of: "reconcileCounters") == calls)
                test.clock.advance(by: .seconds(deadline) - test.clock.now.offset)
                // After the third comes the rest, and then the day.
                if deadline != 615 { calls += 1 }
            }
        }
    }

    @Test("nothing is recounted when the operator says so")
    func off() async throws {
        try await TestMaster.run {
            $0.upkeep.recountEvery = nil
        } _: { test in
            _ = try await test.connected("a")
            _ = try await test.running(3)
            test.clock.advance(by: .seconds(10 * 86_400))
            try await test.until("the schedules wait") { !test.clock.deadlines.isEmpty }
            #expect(test.faults.calls(of: "reconcileCounters") == 0)
        }
    }
}
