// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Ending mailings")
struct EndingTests {
    private let grace: Duration = .seconds(60)

    @Test("finishes once every recipient is terminal and the grace has passed (C10)", arguments: StoreFactory.all)
    func finishes(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) == nil)
            let due = fixture.now.advanced(by: self.grace)
            #expect(try await fixture.store.nextDue(after: fixture.now, finishGrace: self.grace) == due)
            fixture.now = due
            let finished = try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace)
            #expect(finished?.status == .finished && finished?.ended == due)
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) == nil)
            #expect(try await fixture.store.nextDue(after: fixture.now, finishGrace: self.grace) == nil)
        }
    }

    @Test("counts the grace from the last accepted recipients", arguments: StoreFactory.all)
    func graceOfAdding(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            fixture.pass(.seconds(59))
            try await fixture.add(1, to: id)
            try await fixture.deliverAll(try await fixture.makeSatellite())
            fixture.pass(.seconds(1))
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) == nil)
            fixture.pass(.seconds(59))
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) != nil)
        }
    }

    @Test("finishes without grace once its owner has allowed it to close", arguments: StoreFactory.all)
    func withoutGrace(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing { $0.dontCloseIfEmpty = true }
            fixture.pass(.seconds(3600))
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) == nil)
            try await fixture.add(1, to: id)
            try await fixture.deliverAll(try await fixture.makeSatellite())
            _ = try await fixture.store.updateMailing(id, in: .everything, at: fixture.now) {
                $0.properties.dontCloseIfEmpty = false
                $0.closesWithoutGrace = true
                return nil
            }
            try await fixture.reopen()
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) != nil)
        }
    }

    @Test(
        "never finishes with a recipient that is not terminal (T2)",
        arguments: StoreFactory.all,
        ["unleased", "leased", "started", "requeued", "deferred"]
    )
    func notFinished(factory: StoreFactory, situation: String) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(10, to: id)
            let satellite = try await fixture.makeSatellite()
            try await fixture.deliverAll(satellite)
            try await fixture.add(1, to: id, domain: "last.example")
            if situation != "unleased" {
                let grants = try await fixture.claimAll(satellite)
                if situation == "started" || situation == "deferred" {
                    try await fixture.startAll(grants, by: satellite)
                }
                if situation == "deferred" { try await fixture.reportAll(grants, from: satellite, Outcomes.deferred) }
                if situation == "requeued" {
                    _ = try await fixture.store.revoke(grants.map(\.serial), at: fixture.now)
                }
            }
            fixture.pass(.seconds(1_000_000))
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: .zero) == nil)
            #expect(try await fixture.mailing(id).status == .running)
        }
    }

    @Test("does not finish an opened or filling mailing by itself", arguments: StoreFactory.all)
    func opened(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let opened = try await fixture.makeMailing { $0.type = .opened }
            let filling = try await fixture.makeMailing(start: false)
            fixture.pass(.seconds(100_000))
            for id in [opened, filling] {
                #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace) == nil)
            }
        }
    }

    @Test(
        "expires what is not started, leaves what is, and finishes when that is resolved",
        arguments: StoreFactory.all
    )
    func expires(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing { $0.type = .opened }
            let done = try await fixture.add(2, to: id, domain: "a.example")
            let satellite = try await fixture.makeSatellite()
            try await fixture.deliverAll(satellite, Outcomes.deferred)
            let leased = try await fixture.add(3, to: id, domain: "b.example")
            let grant = try #require(try await fixture.claimAll(satellite).first)
            _ = try await fixture.store.start(
                [StartRequest(lease: grant.serial, entries: EntryBitmap([0]))],
                by: satellite,
                at: fixture.now
            )
            let unleased = try await fixture.add(4, to: id, domain: "c.example")
            let ended = fixture.now
            let (mailing, revoked) = try await fixture.store.expireRemaining(id, at: ended)
            #expect(revoked.map(\.serial) == [grant.serial])
            #expect(mailing.status == .running && mailing.counters.expired == 8 && mailing.counters.pending == 1)
            #expect(mailing.ending == ended)
            for recipient in done + unleased + Array(leased[1...]) {
                let report = try await fixture.report(of: recipient)
                #expect(report.state == .expired && report.trace == nil && report.nextTry == nil)
            }
            #expect(try await fixture.report(of: leased[0]).inProgress)
            let resolving = ended.advanced(by: MailingLifecycle.resolutionDelay)
            #expect(try await fixture.store.nextDue(after: ended, finishGrace: self.grace) == resolving)
            fixture.now = resolving
            #expect(try await fixture.store.resolveStarted(of: id, at: fixture.now) == 1)
            let after = try await fixture.mailing(id)
            #expect(after.status == .finished && after.ended == resolving && after.counters.uncertain == 1)
            try await fixture.checkTotals(id)
        }
    }

    @Test("finishes an ending mailing when its started recipients were reported", arguments: StoreFactory.all)
    func endsByReport(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing { $0.type = .opened }
            try await fixture.add(2, to: id)
            let satellite = try await fixture.makeSatellite()
            let grants = try await fixture.claimAll(satellite)
            try await fixture.startAll(grants, by: satellite)
            _ = try await fixture.store.expireRemaining(id, at: fixture.now)
            let result = try await fixture.reportAll(grants, from: satellite, Outcomes.deferred)
            #expect(result.mailings == [id] && result.earliestRetry == nil)
            let finished = try await fixture.store.finishIfComplete(id, at: fixture.now, grace: self.grace)
            #expect(finished?.status == .finished && finished?.counters.expired == 2)
            try await fixture.checkTotals(id)
        }
    }

    @Test("expires a large mailing in steps and can go on after a restart", arguments: StoreFactory.all)
    func expiresLarge(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            for part in 0..<12 { try await fixture.add(1000, to: id, domain: "d\(part).example") }
            let (mailing, _) = try await fixture.store.expireRemaining(id, at: fixture.now)
            #expect(mailing.status == .finished && mailing.counters.expired == 12_000)
            try await fixture.reopen()
            #expect(try await fixture.store.expireRemaining(id, at: fixture.now).mailing == mailing)
            try await fixture.checkTotals(id)
        }
    }

    @Test("nobody is lost between a client that adds and a master that finishes", arguments: StoreFactory.all)
    func addersAgainstFinish(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let (store, now) = (fixture.store, fixture.now)
            let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    var accepted = 0
                    for number in 0..<50 {
                        do {
                            accepted += try await store.addRecipients(
                                Fixture.drafts(number..<number + 1),
                                to: id,
                                in: .everything,
                                deliveryClass: .bulk,
                                at: now
                            ).count
                        } catch let error as StoreError where error.code == .mailingFinished { break }
                    }
                    return accepted
                }
                group.addTask {
                    for _ in 0..<50 { _ = try await store.finishIfComplete(id, at: now, grace: .zero) }
                    return 0
                }
                return try await group.reduce(0, +)
            }
            let mailing = try await fixture.mailing(id)
            #expect(mailing.counters.total == accepted)
            #expect(mailing.status != .finished || mailing.counters.pending == 0)
        }
    }

    @Test("expires what a satellite returns after the end, and finishes then", arguments: StoreFactory.all)
    func returnedAfterEnd(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(2, to: id)
            let satellite = try await fixture.makeSatellite()
            let grant = try #require(try await fixture.claimAll(satellite).first)
            try await fixture.startAll([grant], by: satellite)
            _ = try await fixture.store.expireRemaining(id, at: fixture.now)
            #expect(try await fixture.mailing(id).status == .running)
            try await fixture.store.requeue(
                grant.serial,
                entries: EntryBitmap([0, 1]),
                from: satellite,
                at: fixture.now
            )
            #expect(try await fixture.state(of: recipients[1]) == .expired)
            #expect(try await fixture.mailing(id).status == .finished)
            try await fixture.checkTotals(id)
        }
    }
}
