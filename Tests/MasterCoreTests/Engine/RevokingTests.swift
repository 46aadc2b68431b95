// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Foundation
import MailingModel
import MasterStore
import Secrets
import Testing

@testable import MasterCore

@Suite("Revoking work", .timeLimit(.minutes(15)))
struct RevokingTests {
    private static func count(_ test: TestMaster, _ state: RecipientState) async throws -> Int {
        var filter = RecipientFilter()
        filter.states = [state]
        return try await test.operations.countRecipients(filter)
    }

    @Test("a lost satellite's never-started recipients go to others after the lease's lifetime, its started ones never")
    func lostSatellite() async throws {
        try await TestMaster.run { test in
            let lost = try await test.connected("lost")
            let id = try await test.running(20)
            let grants = try await lost.take(20)
            _ = try await lost.start(grants[0].serial, [0])
            lost.vanish()
            let other = try await test.connected("other")
            test.clock.advance(by: .seconds(119))
            try await test.until("the end of the session is known") {
                try await test.master.status().satellites.filter(\.connected).count == 1
            }
            #expect(other.arrived.isEmpty)
            test.clock.advance(by: .seconds(121))
            let taken = try await other.take(19)
            #expect(taken.flatMap(\.entries).allSatisfy { $0.recipient != grants[0].entries[0].recipient })
            try await other.deliver(taken)
            #expect(try await Self.count(test, .uncertain) == 0)
            test.clock.advance(by: .seconds(24 * 3_600))
            try await test.until("the started one is uncertain") { try await Self.count(test, .uncertain) == 1 }
            try await test.until("finished") { try await test.state(id) == .finished }
        }
    }

    @Test("started recipients that a satellite returns at a pause wait again, and are sent once after it")
    func pausedStarted() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(20)
            let grants = try await satellite.take(20)
            for grant in grants { _ = try await satellite.start(grant.serial, grant.entries.indices) }
            _ = try await test.operations.pauseMailing(id)
            let sent = grants[0].entries[0].recipient
            for grant in grants {
                let indices = grant.entries.indices.filter { grant.entries[$0].recipient != sent }
                satellite.say(.returned(grant.serial, neverStarted: EntryBitmap(indices)))
                satellite.say(.returned(grant.serial, neverStarted: EntryBitmap(indices)))
            }
            let report = TestValues.delivered(sent, lease: grants[0].serial, attempt: 1)
            try await satellite.acknowledged(satellite.report([report]))
            try await test.until("nothing is held") { try await test.store.leases(of: nil).allSatisfy { $0.open == 0 } }
            #expect(try await test.operations.mailing(id).counters.pending == 19)
            _ = try await test.operations.startMailing(id)
            let again = try await satellite.take(19)
            #expect(!again.flatMap(\.entries).contains { $0.recipient == sent })
            try await satellite.deliver(again)
            let counters = try await test.operations.mailing(id).counters
            #expect(counters.delivered == 20 && counters.pending == 0)
        }
    }

    @Test("started recipients that a satellite returns at an end expire, and the mailing is finished")
    func endedStarted() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(20)
            let grants = try await satellite.take(20)
            for grant in grants { _ = try await satellite.start(grant.serial, grant.entries.indices) }
            #expect(try await test.operations.closeMailing(id).status != .finished)
            for grant in grants {
                satellite.say(.returned(grant.serial, neverStarted: EntryBitmap(grant.entries.indices)))
            }
            try await test.until("finished") { try await test.state(id) == .finished }
            let counters = try await test.operations.mailing(id).counters
            #expect(counters.expired == 20 && counters.uncertain == 0)
        }
    }

    @Test("returned recipients of a deleted mailing are requeued for nobody")
    func deletedStarted() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(20)
            let grants = try await satellite.take(20)
            for grant in grants { _ = try await satellite.start(grant.serial, grant.entries.indices) }
            try await test.operations.deleteMailing(id)
            for grant in grants {
                satellite.say(.returned(grant.serial, neverStarted: EntryBitmap(grant.entries.indices)))
            }
            let other = try await test.running(5)
            try await satellite.deliver(try await satellite.take(5))
            #expect(try await test.operations.mailing(other).counters.delivered == 5)
            #expect(try await test.store.leases(of: nil).isEmpty)
        }
    }

    @Test("a satellite that comes back in time goes on with what it holds")
    func resume() async throws {
        try await TestMaster.run { test in
            let first = try await test.connected("a")
            let id = try await test.running(20)
            let grants = try await first.take(20)
            _ = try await first.start(grants[0].serial, [0])
            first.vanish()
            let again = ScriptedSatellite(
                test.channel,
                first.record,
                holding: grants.map(\.serial),
                term: 1,
                highest: 1,
                incarnation: 2
            )
            try await again.welcomed()
            #expect(Set(again.welcome?.knownLeases ?? []) == Set(grants.map(\.serial)))
            again.credit(bulk: 10_000)
            try await again.deliver(grants)
            #expect(try await test.operations.mailing(id).counters.delivered == 20)
        }
    }

    @Test("a satellite that lost its journal: never-started recipients wait again, started ones are uncertain")
    func lostJournal() async throws {
        try await TestMaster.run { test in
            let first = try await test.connected("a")
            _ = try await test.running(20)
            let grants = try await first.take(20)
            _ = try await first.start(grants[0].serial, [0])
            first.vanish()
            let again = ScriptedSatellite(test.channel, first.record, journal: "another", incarnation: 2)
            try await again.welcomed()
            #expect(again.welcome?.knownLeases == [])
            #expect(try await Self.count(test, .uncertain) == 1)
            again.credit(bulk: 10_000)
            try await again.take(19)
        }
    }

    @Test("a lease that the master does not know is revoked at the handshake")
    func unknownLease() async throws {
        try await TestMaster.run { test in
            _ = try await test.running(1)
            let busy = try await test.connected("busy")
            try await busy.take(1)
            let record = try await test.satellite("a")
            let unsolicited = ScriptedSatellite(test.channel, record, holding: [LeaseSerial(rawValue: 1)], highest: 1)
            try await unsolicited.welcomed()
            let (lease, reason) = try await unsolicited.revoked()
            #expect(lease.rawValue == 1)
            #expect(reason == .unknown)
        }
    }

    @Test("a restarted master resumes with satellites that hold leases, and expires nothing before one lifetime")
    func restart() async throws {
        let directory = TestMaster.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let clock = ManualClock()
        var grants: [LeaseGrant] = []
        var here: SatelliteRecord?
        var id = MailingID(rawValue: 0)
        try await TestMaster.run(path: directory, clock: clock) { test in
            let satellite = try await test.connected("here", bulk: 10)
            let absent = try await test.connected("absent", bulk: 10)
            id = try await test.running(20)
            grants = try await satellite.take(10)
            try await absent.take(10)
            _ = try await satellite.start(grants[0].serial, [0])
            here = satellite.record
        }
        clock.advance(by: .seconds(100_000))
        try await TestMaster.run(path: directory, clock: clock) { test in
            let record = try #require(here)
            let satellite = ScriptedSatellite(
                test.channel,
                record,
                holding: grants.map(\.serial),
                term: 1,
                highest: 1,
                incarnation: 2
            )
            try await satellite.welcomed()
            satellite.credit(bulk: 10)
            try await satellite.deliver(grants)
            clock.advance(by: .seconds(119))
            #expect(satellite.arrived.isEmpty, "the absent one may still come")
            clock.advance(by: .seconds(2))
            try await satellite.deliver(try await satellite.take(10))
            #expect(try await test.operations.mailing(id).counters.delivered == 20)
        }
    }

    @Test("pausing requeues what was never started, lets the rest finish, and starting goes on at once")
    func pause() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(12)
            let grants = try await satellite.take(12)
            let grant = try #require(grants.first { !$0.entries.isEmpty })
            _ = try await satellite.start(grant.serial, [0])
            #expect(try await test.operations.pauseMailing(id) == .paused)
            #expect(try await test.operations.pauseMailing(id) == .paused)
            #expect(try await satellite.revoked().reason == .paused)
            for other in grants.dropFirst() {
                let (granted, refused) = try await satellite.start(other.serial, other.entries.indices)
                #expect(granted == [])
                #expect(refused == Array(other.entries.indices))
            }
            try await satellite.acknowledged(
                satellite.report([TestValues.delivered(grant.entries[0].recipient, lease: grant.serial)])
            )
            #expect(try await test.operations.mailing(id).counters.delivered == 1)
            #expect(try await test.operations.startMailing(id) == .running)
            try await satellite.deliver(try await satellite.take(11))
            #expect(try await test.operations.mailing(id).counters.delivered == 12)
        }
    }

    @Test("deleting revokes, and late reports are acknowledged and dropped")
    func delete() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.running(3)
            let grants = try await satellite.take(3)
            _ = try await satellite.start(grants[0].serial, [0])
            try await test.operations.deleteMailing(id)
            #expect(try await satellite.revoked().reason == .deleted)
            try await satellite.acknowledged(
                satellite.report([TestValues.delivered(grants[0].entries[0].recipient, lease: grants[0].serial)])
            )
            try await test.until("the drop is counted") { try await test.master.status().droppedReports == 1 }
            await #expect(throws: MasterError.self) { try await test.operations.mailing(id) }
        }
    }

    @Test("at its scheduled end a mailing expires what was not started; started ones get a quarter of an hour")
    func scheduledEnd() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a", bulk: 3)
            let id = try await test.mailing()
            try await test.add(10, to: id)
            var change = MailingChange()
            change.scheduledEnd = .set(test.clock.civil.advanced(by: .seconds(600)))
            _ = try await test.operations.setProperties(of: id, to: change)
            _ = try await test.operations.startMailing(id)
            let grants = try await satellite.take(3)
            let all = grants.flatMap { grant in grant.entries.indices.map { (grant, $0) } }
            for (grant, index) in all.prefix(2) { _ = try await satellite.start(grant.serial, [index]) }
            test.clock.advance(by: .seconds(601))
            try await test.until("expired") { try await test.operations.mailing(id).counters.expired == 8 }
            #expect(try await satellite.revoked().reason == .ended)
            let (grant, index) = all[0]
            try await satellite.acknowledged(
                satellite.report([TestValues.delivered(grant.entries[index].recipient, lease: grant.serial)])
            )
            #expect(try await test.state(id) != .finished)
            test.clock.advance(by: .seconds(15 * 60 + 1))
            try await test.until("finished") { try await test.state(id) == .finished }
            let counters = try await test.operations.mailing(id).counters
            #expect(counters.delivered == 1)
            #expect(counters.uncertain == 1)
            #expect(counters.expired == 8)
        }
    }

    @Test("a limit of duration counts from the first lease")
    func duration() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            try await test.add(4, to: id)
            var change = MailingChange()
            change.scheduledDurationMinutes = .set(10)
            _ = try await test.operations.setProperties(of: id, to: change)
            _ = try await test.operations.startMailing(id)
            test.clock.advance(by: .seconds(3_600))
            let satellite = try await test.connected("a", bulk: 4)
            try await satellite.take(4)
            try await test.until("the first lease is known") { try await test.operations.mailing(id).started != nil }
            for _ in 0..<100 { await Task.yield() }
            test.clock.advance(by: .seconds(601))
            try await test.until("finished") { try await test.state(id) == .finished }
            #expect(try await test.operations.mailing(id).counters.expired == 4)
        }
    }

    @Test("closing ends a mailing now, also one that was never started")
    func close() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            try await test.add(5, to: id)
            let closed = try await test.operations.closeMailing(id)
            #expect(closed.status == .finished)
            #expect(closed.counters.expired == 5)
            await #expect(throws: MasterError.self) { try await test.add(1, to: id, from: 99) }
            await #expect(throws: MasterError.self) { try await test.operations.closeMailing(id) }
        }
    }

    @Test("a content change reaches later grants only")
    func contentChange() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a", bulk: 5)
            let id = try await test.running(10)
            let before = try await satellite.take(5)
            var change = MailingChange()
            change.html = "<p>new</p>"
            _ = try await test.operations.setProperties(of: id, to: change)
            try await satellite.deliver(before)
            let after = try await satellite.take(5)
            #expect(Set(before.map(\.content)).count == 1)
            #expect(Set(after.map(\.content)).isDisjoint(with: before.map(\.content)))
        }
    }

    @Test("a satellite is removed once its started recipients are reported, or at once by force")
    func removal() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            _ = try await test.running(4)
            let grants = try await satellite.take(4)
            _ = try await satellite.start(grants[0].serial, [0])
            await #expect(throws: MasterError(.satelliteBusy(started: 1), "")) {
                do {
                    try await test.master.operator.removeSatellite(satellite.record.id)
                } catch let error as MasterError {
                    throw MasterError(error.code, "")
                }
            }
            #expect(try await satellite.revoked().reason == .removed)
            try await test.master.operator.removeSatellite(satellite.record.id, force: true)
            #expect(try await test.master.operator.satellites().isEmpty)
            #expect(try await Self.count(test, .uncertain) == 1)
            _ = try #require(await test.channel.dropped.next())
        }
    }
}
