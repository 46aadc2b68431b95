// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("One recipient's way through the master", .timeLimit(.minutes(15)))
struct DeliveryTests {
    @Test("a started mailing reaches a waiting satellite without any clock moving")
    func firstMail() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(25)
            let grants = try await satellite.take(25)
            #expect(Set(grants.flatMap { $0.entries.map(\.recipient) }).count == 25)
            #expect(grants.allSatisfy { $0.mailing == id && $0.deliveryClass == .bulk })
            #expect(try await test.state(id) == .running)
        }
    }

    @Test("nothing goes out before a mailing is started, apart from test sends, which go out at once")
    func filling() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.mailing()
            try await test.add(10, to: id)
            try await test.add(3, to: id, test: true, from: 500)
            let grants = try await satellite.take(3)
            #expect(grants.allSatisfy { $0.deliveryClass == .express })
            try await satellite.deliver(grants)
            #expect(try await test.state(id) == .filling)
            #expect(try await test.operations.mailing(id).counters.total == 13)
            #expect(satellite.grants.reduce(0) { $0 + $1.entries.count } == 3)
        }
    }

    @Test("a mailing finishes when everything is delivered and the grace is over, and not before")
    func finish() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(40)
            try await satellite.deliver(try await satellite.take(40))
            #expect(try await test.operations.mailing(id).counters.delivered == 40)
            #expect(try await test.state(id) == .running)
            test.clock.advance(by: .seconds(29))
            #expect(try await test.state(id) == .running)
            test.clock.advance(by: .seconds(2))
            try await test.until("finished") { try await test.state(id) == .finished }
        }
    }

    @Test("recipients added during the grace keep a complete mailing open")
    func graceCountsFromTheLastAdd() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(5)
            try await satellite.deliver(try await satellite.take(5))
            test.clock.advance(by: .seconds(25))
            try await test.add(5, to: id, from: 100)
            try await satellite.deliver(try await satellite.take(5))
            test.clock.advance(by: .seconds(10))
            #expect(try await test.state(id) == .running)
            test.clock.advance(by: .seconds(21))
            try await test.until("finished") { try await test.state(id) == .finished }
            #expect(try await test.operations.mailing(id).counters.delivered == 10)
        }
    }

    @Test("the rates of the last minute count what was applied, not what was repeated")
    func ratesOfTheApplied() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            _ = try await test.running(2)
            let grants = try await satellite.take(2)
            for grant in grants { _ = try await satellite.start(grant.serial, grant.entries.indices) }
            let entries = grants.flatMap { grant in grant.entries.map { (grant.serial, $0) } }
            let reports = entries.enumerated().map { index, entry in
                index == 0
                    ? TestValues.delivered(entry.1.recipient, lease: entry.0, attempt: entry.1.attempt.rawValue)
                    : TestValues.deferred(entry.1.recipient, lease: entry.0, attempt: entry.1.attempt.rawValue)
            }
            try await satellite.acknowledged(satellite.report([reports[0]]))
            try await satellite.acknowledged(satellite.report(reports))
            let status = try await test.master.status()
            #expect(status.deliveredLastMinute == 1)
            #expect(status.deferredLastMinute == 1)
            #expect(status.attemptsLastMinute == 2)
            #expect(status.unstartedReports == 0 && !status.problems.contains { $0.contains("permission") })
        }
    }

    @Test("an attempt that was made without permission to start is applied, counted and an alarm")
    func withoutPermission() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            _ = try await test.running(1)
            let grant = try #require(try await satellite.take(1).first)
            let entry = grant.entries[0]
            let report = TestValues.delivered(entry.recipient, lease: grant.serial, attempt: entry.attempt.rawValue)
            try await satellite.acknowledged(satellite.report([report]))
            let status = try await test.master.status()
            #expect(status.unstartedReports == 1 && status.deliveredLastMinute == 1)
            #expect(status.problems.contains { $0.contains("permission") })
        }
    }

    @Test("a complete mailing closes at once when its owner stops keeping it open")
    func closesWithoutGrace() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.mailing()
            var change = MailingChange()
            change.dontCloseIfEmpty = true
            _ = try await test.operations.setProperties(of: id, to: change)
            try await test.add(3, to: id)
            _ = try await test.operations.startMailing(id)
            try await satellite.deliver(try await satellite.take(3))
            test.clock.advance(by: .seconds(3_600))
            #expect(try await test.state(id) == .running)
            change.dontCloseIfEmpty = false
            _ = try await test.operations.setProperties(of: id, to: change)
            try await test.until("finished") { try await test.state(id) == .finished }
        }
    }

    @Test("an empty started mailing closes after the grace")
    func emptyMailing() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            _ = try await test.operations.startMailing(id)
            #expect(try await test.state(id) == .ready)
            test.clock.advance(by: .seconds(31))
            try await test.until("finished") { try await test.state(id) == .finished }
        }
    }

    @Test("a satellite never holds more recipients than its credit, however it reports")
    func credit() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a", bulk: 40)
            _ = try await test.running(200)
            var open: [(LeaseGrant, Int)] = []
            var done = 0
            while done < 200 {
                if open.isEmpty {
                    for grant in try await satellite.take(1) {
                        open += grant.entries.indices.map { (grant, $0) }
                    }
                }
                let held = satellite.grants.reduce(0) { $0 + $1.entries.count } - done
                #expect(held <= 40)
                let (grant, index) = open.removeFirst()
                _ = try await satellite.start(grant.serial, [index])
                let report = TestValues.delivered(grant.entries[index].recipient, lease: grant.serial)
                try await satellite.acknowledged(satellite.report([report]))
                done += 1
            }
        }
    }

    @Test("T11: eight satellites get every recipient exactly once")
    func disjoint() async throws {
        try await TestMaster.run { test in
            var satellites: [ScriptedSatellite] = []
            for number in 1...8 { satellites.append(try await test.connected("s\(number)", bulk: 500)) }
            _ = try await test.running(2_000)
            var seen: [RecipientID: Int] = [:]
            try await test.until("all are granted") {
                seen = [:]
                for case .grant(let grant) in satellites.flatMap(\.arrived) {
                    for entry in grant.entries { seen[entry.recipient, default: 0] += 1 }
                }
                return seen.count == 2_000
            }
            #expect(try await test.master.status().leased == 2_000)
            #expect(seen.count == 2_000)
            #expect(seen.values.allSatisfy { $0 == 1 })
        }
    }

    @Test("a report counts once, and every copy of it is acknowledged")
    func repeatedReports() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(1)
            let grant = try await satellite.take(1)[0]
            _ = try await satellite.start(grant.serial, [0])
            let report = TestValues.delivered(grant.entries[0].recipient, lease: grant.serial)
            for _ in 0..<3 { try await satellite.acknowledged(satellite.report([report])) }
            try await satellite.acknowledged(satellite.report([report], as: 1))
            let counters = try await test.operations.mailing(id).counters
            #expect(counters.delivered == 1)
            let feed = try await test.operations.feed(after: nil, filter: RecipientFilter(), limit: 100)
            #expect(feed.entries.filter { $0.report.state == .delivered }.count == 1)
        }
    }

    @Test("a deferred recipient is leased again when its retry is due, and no sooner")
    func retry() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(1)
            let grant = try await satellite.take(1)[0]
            _ = try await satellite.start(grant.serial, [0])
            let entry = grant.entries[0]
            let trace = AttemptTrace(stage: .recipient, replyCode: 451, text: "later")
            try await satellite.acknowledged(
                satellite.report([
                    DeliveryReport(
                        recipient: entry.recipient,
                        attempt: entry.attempt,
                        lease: grant.serial,
                        outcome: .deferred(trace),
                        endedAt: test.clock.civil
                    )
                ])
            )
            #expect(try await test.operations.mailing(id).counters.deferred == 1)
            let due = try #require(
                try await test.operations.reports(of: [entry.trackingID]).first?.nextTry
            )
            test.clock.advance(by: due.duration(since: test.clock.civil) - .seconds(1))
            #expect(satellite.arrived.isEmpty)
            test.clock.advance(by: .seconds(2))
            let again = try await satellite.take(1)[0].entries[0]
            #expect(again.recipient == entry.recipient)
            #expect(again.attempt > entry.attempt)
            #expect(again.date == entry.date, "the message's Date is that of the first grant")
        }
    }

    @Test("a grant that is not acknowledged in time goes to another satellite")
    func notAccepted() async throws {
        try await TestMaster.run { test in
            let deaf = try await test.connected("deaf", bulk: 1_000)
            _ = try await test.running(10)
            let grant: LeaseGrant = try await deaf.wait { message in
                if case .grant(let grant) = message { grant } else { nil }
            }
            deaf.credit(bulk: 0)
            let other = try await test.connected("other")
            test.clock.advance(by: .seconds(61))
            let (lease, reason) = try await deaf.revoked()
            #expect(reason == .reassigned)
            #expect(lease == grant.serial)
            try await other.take(10)
        }
    }

    @Test("a satellite returns what it never started, and it is leased again")
    func returned() async throws {
        try await TestMaster.run { test in
            let leaving = try await test.connected("leaving")
            _ = try await test.running(6)
            let grants = try await leaving.take(6)
            leaving.say(.heartbeat(SatelliteLoad(draining: true)))
            for grant in grants {
                leaving.say(.returned(grant.serial, neverStarted: EntryBitmap(grant.entries.indices)))
            }
            let other = try await test.connected("other")
            try await other.take(6)
        }
    }

    @Test("signing keys are served to satellites, and an unknown one is answered too")
    func signingKeys() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let hash = try await test.store.putSigningKey(pem: "a key")
            satellite.say(.signingKeyRequest(hash))
            satellite.say(.signingKeyRequest(TestValues.hash(9)))
            let first: String? = try await satellite.wait { message in
                if case .signingKey(hash, let pem) = message { .some(pem) } else { nil }
            }
            #expect(first == "a key")
            let second: String? = try await satellite.wait { message in
                if case .signingKey(TestValues.hash(9), let pem) = message { .some(pem) } else { nil }
            }
            #expect(second == nil)
        }
    }
}
