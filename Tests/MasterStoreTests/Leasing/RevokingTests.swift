// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Revoking work")
struct RevokingTests {
    /// Three recipients under one lease, of which the first is started.
    private func threeLeased(
        _ fixture: Fixture,
        policy: UncertainPolicy = .hold
    ) async throws -> (id: MailingID, recipients: [RecipientID], satellite: SatelliteID, grant: LeaseGrant) {
        let id = try await fixture.makeMailing { $0.uncertainPolicy = policy }
        let recipients = try await fixture.add(3, to: id)
        let satellite = try await fixture.makeSatellite()
        let grant = try #require(try await fixture.claimAll(satellite).first)
        _ = try await fixture.store.start(
            [StartRequest(lease: grant.serial, entries: EntryBitmap([0]))],
            by: satellite,
            at: fixture.now
        )
        return (id, recipients, satellite, grant)
    }

    @Test(
        "a lost satellite's never-started recipients are leased again, a started one never is",
        arguments: StoreFactory.all
    )
    func lostSatellite(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture)
            let revoked = try await fixture.store.revoke([grant.serial], at: fixture.now)
            #expect(revoked == [RevokedLease(serial: grant.serial, satellite: satellite)])
            #expect(try await fixture.store.revoke([grant.serial], at: fixture.now).isEmpty)
            let summary = try #require(try await fixture.store.leases(of: satellite).first)
            #expect(summary.isRevoked && summary.open == 1 && summary.started == 1)
            let other = try await fixture.makeSatellite("other")
            let second = try await fixture.claimAll(other)
            #expect(second.flatMap(\.entries).map(\.recipient) == Array(recipients[1...]))
            let decision = try await fixture.store.start(
                [StartRequest(lease: grant.serial, entries: EntryBitmap(0..<3))],
                by: satellite,
                at: fixture.now
            )[0]
            #expect(decision.granted.indices == [0] && decision.refused.indices == [1, 2])
            #expect(try await fixture.store.resolveStarted(of: [grant.serial], at: fixture.now) == 1)
            #expect(try await fixture.state(of: recipients[0]) == .uncertain)
            #expect(try await fixture.store.resolveStarted(of: [grant.serial], at: fixture.now) == 0)
            try await fixture.checkTotals(id)
        }
    }

    @Test("a pause takes never-started recipients back in one step; start works at once", arguments: StoreFactory.all)
    func pause(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture)
            let (mailing, revoked) = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) { _ in }
            #expect(mailing.status == .paused && revoked.map(\.serial) == [grant.serial])
            let refused = try await fixture.store.start(
                [StartRequest(lease: grant.serial, entries: EntryBitmap([1]))],
                by: satellite,
                at: fixture.now
            )[0]
            #expect(refused.granted.indices.isEmpty && refused.refused.indices == [1])
            #expect(try await fixture.claimAll(satellite).isEmpty)
            try await fixture.start(id)
            #expect(try await fixture.mailing(id).status == .running)
            let second = try await fixture.claimAll(satellite)
            #expect(second.flatMap(\.entries).map(\.recipient) == Array(recipients[1...]))
            // The started one finishes.
            _ = try await fixture.store.apply(
                [Fixture.report(grant.entries[0], of: grant, Outcomes.delivered, at: fixture.now)],
                from: satellite,
                at: fixture.now
            )
            #expect(try await fixture.counters(id).delivered == 1)
            try await fixture.checkTotals(id)
        }
    }

    @Test("a pause that is refused changes nothing", arguments: StoreFactory.all)
    func pauseRefused(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (id, _, _, grant) = try await self.threeLeased(fixture)
            await #expect(throws: MailingLifecycle.Refusal.self) {
                _ = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) {
                    throw MailingLifecycle.Refusal(step: .pause, status: $0.status)
                }
            }
            #expect(try await fixture.mailing(id).status == .running)
            #expect(try await fixture.store.leases(of: nil).first?.isRevoked == false)
            #expect(try await fixture.store.leases(of: nil).first?.serial == grant.serial)
        }
    }

    @Test("pausing and starting five times sends nobody twice and loses nobody (T3)", arguments: StoreFactory.all)
    func pauseFiveTimes(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(100, to: id)
            let satellite = try await fixture.makeSatellite()
            var started: [RecipientID] = []
            for round in 0..<6 {
                let grants = try await fixture.claimAll(satellite, limit: 40)
                for grant in grants {
                    let wanted = round == 5 ? EntryBitmap(0..<grant.entries.count) : EntryBitmap([0, 2])
                    let decision = try await fixture.store.start(
                        [StartRequest(lease: grant.serial, entries: wanted)],
                        by: satellite,
                        at: fixture.now
                    )[0]
                    let granted = decision.granted.indices.map { grant.entries[$0] }
                    started += granted.map(\.recipient)
                    _ = try await fixture.store.apply(
                        granted.map { Fixture.report($0, of: grant, Outcomes.delivered, at: fixture.now) },
                        from: satellite,
                        at: fixture.now
                    )
                }
                if round == 5 { break }
                _ = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) { _ in }
                try await fixture.start(id)
            }
            #expect(started.count == 100 && Set(started) == Set(recipients))
            #expect(try await fixture.counters(id).delivered == 100)
            try await fixture.checkTotals(id)
        }
    }

    @Test("deleting a mailing leaves nothing to lease, start or see", arguments: StoreFactory.all)
    func delete(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture)
            let revoked = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now)
            #expect(revoked.map(\.serial) == [grant.serial])
            #expect(try await fixture.store.mailing(id, in: .everything) == nil)
            #expect(try await fixture.store.reports(of: fixture.trackingIDs(recipients), account: .root) == [])
            #expect(try await fixture.store.leases(of: nil).isEmpty)
            let decision = try await fixture.startAll([grant], by: satellite)[0]
            #expect(decision.granted.indices.isEmpty && decision.refused.count == 3)
            #expect(try await fixture.reportAll([grant], from: satellite).dropped == 3)
            let error = await #expect(throws: StoreError.self) { try await fixture.add(1, to: id) }
            #expect(error?.code == .unknownMailing)
            try await fixture.reopen()
            #expect(try await fixture.replay().isEmpty)
        }
    }

    @Test("a satellite returns what it did not send, started or not", arguments: StoreFactory.all)
    func returned(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture)
            let other = try await fixture.makeSatellite("other")
            try await fixture.store.requeue(grant.serial, entries: EntryBitmap(0..<3), from: other, at: fixture.now)
            #expect(try await fixture.store.leases(of: satellite).first?.open == 3)
            try await fixture.store.requeue(
                grant.serial,
                entries: EntryBitmap([0, 1, 50]),
                from: satellite,
                at: fixture.now
            )
            #expect(try await fixture.store.leases(of: satellite).first?.open == 1)
            let second = try await fixture.claimAll(other)
            #expect(second.flatMap(\.entries).map(\.recipient) == Array(recipients[..<2]))
            #expect(second.flatMap(\.entries).allSatisfy { $0.attempt.rawValue == 2 })
            try await fixture.checkTotals(id)
        }
    }

    @Test(
        "resolves started recipients as the mailing's policy says",
        arguments: StoreFactory.all,
        [
            (UncertainPolicy.hold, RecipientState.uncertain), (.resend, .deferred), (.assumeDelivered, .delivered),
        ]
    )
    func resolve(factory: StoreFactory, row: (policy: UncertainPolicy, state: RecipientState)) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture, policy: row.policy)
            _ = try await fixture.store.revoke([grant.serial], at: fixture.now)
            #expect(try await fixture.store.resolveStarted(of: [grant.serial], at: fixture.now) == 1)
            let report = try await fixture.report(of: recipients[0])
            #expect(report.state == row.state && report.uncertain && report.trace?.stage == .master)
            #expect(report.tryCount == 1 && !report.inProgress)
            #expect(try await fixture.store.leases(of: nil).isEmpty)
            try await fixture.checkTotals(id)
            // The satellite comes back and knows better.
            let late = try await fixture.store.apply(
                [Fixture.report(grant.entries[0], of: grant, Outcomes.failed, at: fixture.now)],
                from: satellite,
                at: fixture.now
            )
            #expect(late.applied == 1)
            let after = try await fixture.report(of: recipients[0])
            #expect(after.state == .failed && after.uncertain && after.tryCount == 1)
            try await fixture.checkTotals(id)
        }
    }

    @Test(
        "resolves held recipients on request",
        arguments: StoreFactory.all,
        [
            (UncertainResolution.delivered, RecipientState.delivered), (.failed, .failed), (.resend, .waiting),
        ]
    )
    func resolve(factory: StoreFactory, row: (resolution: UncertainResolution, state: RecipientState)) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture)
            try await fixture.startAll([grant], by: satellite)
            try await fixture.reportAll([grant], from: satellite, Outcomes.uncertain)
            #expect(
                try await fixture.store.resolveUncertain(id, in: .everything, as: row.resolution, at: fixture.now) == 3
            )
            for recipient in recipients { #expect(try await fixture.state(of: recipient) == row.state) }
            #expect(try await fixture.counters(id).uncertain == 0)
            #expect(
                try await fixture.store.resolveUncertain(id, in: .everything, as: row.resolution, at: fixture.now) == 0
            )
            #expect(try await fixture.claimAll(satellite).flatMap(\.entries).count == (row.state == .waiting ? 3 : 0))
            try await fixture.checkTotals(id)
        }
    }

    @Test("requeues terminal recipients so that they are sent again", arguments: StoreFactory.all)
    func reset(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (id, recipients, satellite, grant) = try await self.threeLeased(fixture)
            let ids = fixture.trackingIDs(recipients)
            #expect(try await fixture.store.resetRecipients(ids, account: .root, at: fixture.now) == 0)
            try await fixture.startAll([grant], by: satellite)
            try await fixture.reportAll([grant], from: satellite, Outcomes.failed)
            #expect(
                try await fixture.store.resetRecipients(ids, account: AccountID(rawValue: 3), at: fixture.now) == 0
            )
            #expect(try await fixture.store.resetRecipients(ids + ["x"], account: .root, at: fixture.now) == 3)
            #expect(try await fixture.counters(id).failed == 0)
            #expect(try await fixture.replay().suffix(3).allSatisfy { $0.report.state == .waiting })
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.counters(id).delivered == 3)
            try await fixture.checkTotals(id)
            _ = try await fixture.store.expireRemaining(id, at: fixture.now)
            #expect(try await fixture.store.resetRecipients(ids, account: .root, at: fixture.now) == 0)
        }
    }
}
