// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Foundation
import MailingModel
import Secrets
import Testing

@testable import MasterCore
@testable import MasterStore

@Suite("Trouble", .timeLimit(.minutes(15)))
struct TroubleTests {
    private static func code(_ body: () async throws -> some Sendable) async -> MasterError.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? MasterError)?.code
        }
    }

    @Test(
        "C12: a satellite that has seen a later term or lease proves an old copy: nothing is sent until confirmed",
        arguments: [(9, 0), (0, 9)]
    )
    func safeMode(term: Int64, lease: Int64) async throws {
        try await TestMaster.run { test in
            _ = try await test.running(3)
            let record = try await test.satellite("a")
            let first = ScriptedSatellite(test.channel, record, term: term, highest: lease)
            #expect(try await first.rejected().code == .safeMode)
            let status = try await test.master.status()
            #expect(status.safeMode != nil)
            #expect(!status.ready)
            #expect(!test.master.isReady)
            let other = ScriptedSatellite(test.channel, try await test.satellite("b"))
            #expect(try await other.rejected().code == .safeMode)
            first.vanish(.rejected)
            other.vanish(.rejected)

            try await test.master.operator.confirmStore()
            let again = ScriptedSatellite(test.channel, record, term: term, highest: lease, incarnation: 2)
            try await again.welcomed()
            again.credit(bulk: 100)
            let grants = try await again.take(3)
            #expect(
                grants.allSatisfy { $0.serial.rawValue > lease },
                "no serial of the forgotten time is given out again"
            )
            #expect(test.master.isReady)
        }
    }

    @Test("a validly signed cursor ahead of the newest event proves an old copy too")
    func cursorAhead() async throws {
        let directory = TestMaster.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let key = MACKey.generate()
        try await TestMaster.run(path: directory, key: key) { test in
            let ahead = FeedCursorCodec(storeID: test.store.identity.storeID, key: key).cursor(at: 1_000)
            let code = await Self.code {
                try await test.operations.feed(after: ahead, filter: RecipientFilter(), limit: 10)
            }
            #expect(code == .badCursor(.aheadOfHead))
            let status = try await test.master.status()
            #expect(status.safeMode != nil)
        }
    }

    @Test("a feed is read to its end with the cursors that it gives")
    func feed() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            _ = try await test.running(30)
            try await satellite.deliver(try await satellite.take(30))
            var filter = RecipientFilter()
            filter.states = [.delivered]
            var cursor: String? = ""
            var seen: [String] = []
            while true {
                let page = try await test.operations.feed(after: cursor, filter: filter, limit: 7)
                cursor = page.cursor
                if page.entries.isEmpty { break }
                seen += page.entries.map(\.report.trackingID)
            }
            #expect(seen.count == 30)
            #expect(Set(seen).count == 30)
            let empty = try await test.operations.feed(after: cursor, filter: filter, limit: 7)
            #expect(empty.entries.isEmpty)
            #expect(empty.cursor == cursor)
        }
    }

    @Test(
        "T13: reports are kept unacknowledged while the store fails, and applied when it answers again",
        arguments: [StoreError.Code.database, .full]
    )
    func storeFails(code: StoreError.Code) async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(2)
            let grants = try await satellite.take(2)
            for grant in grants { _ = try await satellite.start(grant.serial, grant.entries.indices) }
            test.faults.fail(["apply"], with: code)
            let reports = grants.flatMap { grant in
                grant.entries.map { TestValues.delivered($0.recipient, lease: grant.serial) }
            }
            let number = satellite.report(reports)
            try await test.until("not ready") { !test.master.isReady }
            #expect(satellite.arrived.isEmpty)
            let problems = try await test.master.status().problems
            #expect(!problems.isEmpty)
            test.faults.fail([], with: nil)
            try await test.until("applied") {
                test.clock.advance(by: .milliseconds(100))
                return try await test.operations.mailing(id).counters.delivered == 2
            }
            try await satellite.acknowledged(number)
            try await test.until("ready") { test.master.isReady }
        }
    }

    @Test("starts and claims are tried again after the store failed")
    func startsAndClaims() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            test.faults.fail(["claim", "start"], with: .database)
            _ = try await test.running(2)
            try await test.until("claims fail") { test.faults.calls(of: "claim") > 0 }
            #expect(satellite.arrived.isEmpty)
            test.faults.fail(["start"], with: .database)
            try await test.until("leased") {
                test.clock.advance(by: .milliseconds(100))
                return satellite.arrived.count > 0
            }
            let grant = try await satellite.take(1)[0]
            satellite.say(.start(grant.serial, EntryBitmap([0])))
            try await test.until("starts fail") { test.faults.calls(of: "start") > 0 }
            test.faults.fail([], with: nil)
            try await test.until("started") {
                test.clock.advance(by: .milliseconds(100))
                return satellite.arrived.contains { if case .started(grant.serial, _, _) = $0 { true } else { false } }
            }
        }
    }

    @Test("T22: a start that cannot be decided at all does not hold up the starts of others")
    func poisonedStart() async throws {
        try await TestMaster.run { test in
            let first = try await test.connected("first", bulk: 2)
            _ = try await test.running(4)
            let poisoned = try await first.take(2)[0]
            let second = try await test.connected("second", bulk: 2)
            let good = try await second.take(2)[0]
            test.faults.fail(["start"], with: .corrupt)
            first.say(.start(poisoned.serial, EntryBitmap([0])))
            try await test.until("the start is refused") { test.faults.calls(of: "start") > 0 }
            test.faults.fail([], with: nil)
            // The clock stands still: whoever waits for a next try waits for ever.
            #expect(try await second.start(good.serial, [0]).granted == [0])
        }
    }

    @Test("safe mode that begins with one satellite's handshake ends the sessions of the others")
    func safeModeDropsOthers() async throws {
        try await TestMaster.run { test in
            let welcomed = try await test.connected("welcomed")
            let ahead = ScriptedSatellite(test.channel, try await test.satellite("ahead"), highest: 1_000)
            #expect(try await ahead.rejected().code == .safeMode)
            #expect(await test.channel.dropped.next() == welcomed.session)
        }
    }

    @Test("a count of leases that was read before reports were applied is not restored")
    func staleRecount() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a", bulk: 4)
            _ = try await test.running(2)
            let kept = try await satellite.take(2)
            for grant in kept { _ = try await satellite.start(grant.serial, grant.entries.indices) }
            let paused = try await test.running(2)
            try await satellite.take(2)
            func outstanding() async throws -> Int { try await test.master.status().satellites[0].outstanding }
            let happened = Mailbox<Void>()
            let (channel, master, session) = (test.channel, test.master, satellite.session)
            let report = TestValues.delivered(kept[0].entries[0].recipient, lease: kept[0].serial)
            test.faults.afterNextLeases {
                channel.say(.reports(sequence: 1, [report]), session)
                while try await master.status().satellites[0].outstanding > 3 { await Task.yield() }
                happened.put(())
            }
            // The revocation makes the master count anew.
            _ = try await test.operations.pauseMailing(paused)
            _ = await happened.next()
            try await test.until("one recipient is left") { try await outstanding() == 1 }
        }
    }

    @Test("a recipient that cannot be read holds up no other mailing, and is a problem in the status")
    func damagedRecipient() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let damaged = try await test.mailing()
            try await test.add(1, to: damaged)
            try await test.store.write { transaction in
                try transaction.prepare("UPDATE recipient SET attachments = x'0102'").run()
            }
            _ = try await test.operations.startMailing(damaged)
            let sound = try await test.running(3)
            let grants = try await satellite.take(3)
            #expect(Set(grants.map(\.mailing)) == [sound])
            try await test.until("the damage is a problem") {
                try await test.master.status().problems.contains { $0.contains("mailing \(damaged) cannot be leased") }
            }
            // Once it is repaired it is leased as well.
            try await test.store.write { transaction in
                try transaction.prepare("UPDATE recipient SET attachments = NULL").run()
            }
            try await test.until("leased") {
                test.clock.advance(by: .seconds(1))
                return !satellite.arrived.isEmpty
            }
            let repaired = try await satellite.take(1)
            #expect(repaired.map(\.mailing) == [damaged])
        }
    }

    @Test("a store that is full says so to callers")
    func full() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            test.faults.fail(["addRecipients"], with: .full)
            #expect(await Self.code { try await test.add(1, to: id) } == .storeFull)
        }
    }

    @Test("T2: a stopped master refuses calls, and has lost nothing when it starts again")
    func stop() async throws {
        let directory = TestMaster.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var id = MailingID(rawValue: 0)
        try await TestMaster.run(path: directory) { test in
            let satellite = try await test.connected("a", bulk: 4)
            id = try await test.running(10)
            try await satellite.deliver(try await satellite.take(4))
            await test.stop()
            #expect(await Self.code { try await test.master.status() } == .busy)
            #expect(!test.master.isReady)
        }
        try await TestMaster.run(path: directory) { test in
            let mailing = try await test.operations.mailing(id)
            #expect(mailing.status == .running)
            #expect(mailing.counters.delivered == 4)
            #expect(mailing.counters.pending == 6)
        }
    }

    @Test("T22: a report that cannot be applied at all does not hold up the others")
    func poison() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(1)
            let grant = try await satellite.take(1)[0]
            _ = try await satellite.start(grant.serial, [0])
            test.faults.fail(["apply"], with: .corrupt)
            let good = TestValues.delivered(grant.entries[0].recipient, lease: grant.serial)
            try await satellite.acknowledged(satellite.report([good]))
            test.faults.fail([], with: nil)
            try await satellite.acknowledged(satellite.report([good]))
            #expect(try await test.operations.mailing(id).counters.delivered == 1)
        }
    }

    @Test("T7: when nothing advances although a satellite has credit, what is held against it is forgotten")
    func watchdog() async throws {
        try await TestMaster.run { test in
            let picky = try await test.satellite("picky") { $0.affinity = DomainAffinity(exclude: ["other.example"]) }
            let satellite = ScriptedSatellite(test.channel, picky)
            try await satellite.welcomed()
            satellite.credit(bulk: 100)
            let id = try await test.running(1)
            let grant = try await satellite.take(1)[0]
            test.faults.swallowClaims(1)
            // Once returned, it is a retry entry; the next claim for it finds nothing and looks like a refusal.
            satellite.say(.returned(grant.serial, neverStarted: EntryBitmap([0])))
            try await test.until("refused") { test.faults.calls(of: "claim") == 2 }
            #expect(satellite.arrived.isEmpty)
            try await test.until("leased again") {
                test.clock.advance(by: .seconds(30))
                return !satellite.arrived.isEmpty
            }
            try await satellite.deliver(try await satellite.take(1))
            #expect(try await test.operations.mailing(id).counters.delivered == 1)
        }
    }

    @Test("while the store is not trusted nothing can be started")
    func startInSafeMode() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            let stranger = ScriptedSatellite(test.channel, try await test.satellite("a"), term: 9)
            #expect(try await stranger.rejected().code == .safeMode)
            #expect(await Self.code { try await test.operations.startMailing(id) } == .safeMode)
            try await test.master.operator.confirmStore()
            #expect(try await test.operations.startMailing(id) == .ready)
        }
    }

    @Test("a satellite that is added while the records are read is not forgotten")
    func addedDuringReload() async throws {
        try await TestMaster.run { test in
            let directory = SatelliteDirectory()
            let record = try await test.satellite("new")
            try await test.store.removeSatellite(record.id)
            let store = test.store
            test.faults.afterNextOwn("satellites") {
                directory.insert(record)
                _ = try await store.addSatellite(record)
            }
            try await FaultyEngine.$isOwnReading.withValue(true) { try await directory.reload(from: store) }
            #expect(directory.records.map(\.serial) == ["new"])
        }
    }

    @Test("recipients of a group that no satellite has are counted as unroutable")
    func unroutable() async throws {
        try await TestMaster.run { test in
            _ = try await test.connected("a")
            let id = try await test.mailing()
            var change = MailingChange()
            change.satelliteGroup = .set("elsewhere")
            _ = try await test.operations.setProperties(of: id, to: change)
            try await test.add(7, to: id)
            _ = try await test.operations.startMailing(id)
            try await test.until("unroutable") { try await test.master.status().unroutable == 7 }
        }
    }

    @Test("a disabled satellite is dropped and rejected")
    func disabled() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            var change = SatelliteChange()
            change.enabled = false
            _ = try await test.master.operator.setSatellite(satellite.record.id, to: change)
            _ = try #require(await test.channel.dropped.next())
            let again = ScriptedSatellite(test.channel, satellite.record, incarnation: 2)
            #expect(try await again.rejected().code == .disabled)
        }
    }
}
