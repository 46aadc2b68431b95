// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Many writers, a reader of the feed and a leaser")
struct ConcurrencyTests {
    private static let adders = 8
    private static let reporters = 6
    private static let callsOfAdder = 15
    private static let recipientsOfCall = 20
    private static let mailings = 3
    private static var total: Int { self.adders * self.callsOfAdder * self.recipientsOfCall }

    private enum Seen: Sendable {
        case events([FeedEntry])
        case leased([RecipientID])
        case other
    }

    @Test(
        "nothing is leased twice, no event is skipped or seen twice, counters equal a recount (C1, C2, C6, C9)",
        arguments: StoreFactory.all
    )
    func concurrent(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (store, now) = (fixture.store, fixture.now)
            let satellite = try await fixture.makeSatellite()
            var ids: [MailingID] = []
            for _ in 0..<Self.mailings { ids.append(try await fixture.makeMailing()) }
            let mailings = ids
            let work = (0..<Self.reporters).map { _ in AsyncStream<LeaseGrant>.makeStream() }
            let seen = try await withThrowingTaskGroup(of: Seen.self) { group in
                for number in 0..<Self.adders {
                    group.addTask { try await Self.add(number, to: mailings, store, at: now) }
                }
                group.addTask {
                    defer { for part in work { part.continuation.finish() } }
                    return try await Self.lease(to: satellite, store, at: now) { number, grant in
                        work[number % work.count].continuation.yield(grant)
                    }
                }
                for part in work {
                    group.addTask { try await Self.report(part.stream, from: satellite, store, at: now) }
                }
                group.addTask { try await Self.follow(store) }
                return try await group.reduce(into: [Seen]()) { $0.append($1) }
            }
            for part in seen {
                switch part {
                case .events(let entries):
                    #expect(entries.map(\.position) == Array(1...Int64(Self.total)))
                    #expect(Set(entries.map(\.report.recipient)).count == Self.total)
                case .leased(let recipients):
                    #expect(recipients.count == Self.total)
                    #expect(Set(recipients).count == Self.total)
                case .other: break
                }
            }
            #expect(try await store.leases(of: nil).isEmpty)
            for id in ids {
                let counters = try await fixture.counters(id)
                #expect(counters.total == Self.total / Self.mailings && counters.pending == 0)
                try await fixture.checkTotals(id)
            }
        }
    }

    /// Adds recipients to each mailing in turn, to domains that others write to as well.
    private static func add(
        _ number: Int,
        to mailings: [MailingID],
        _ store: MailingStore,
        at now: Timestamp
    ) async throws -> Seen {
        for call in 0..<Self.callsOfAdder {
            let drafts = Fixture.drafts(
                0..<Self.recipientsOfCall,
                domain: "d\((number + call) % 5).example",
                prefix: "a\(number)-\(call)-"
            )
            let mailing = mailings[(number + call) % mailings.count]
            _ = try await store.addRecipients(drafts, to: mailing, in: .everything, deliveryClass: .bulk, at: now)
        }
        return .other
    }

    /// Leases in small ranges until everybody was leased.
    private static func lease(
        to satellite: SatelliteID,
        _ store: MailingStore,
        at now: Timestamp,
        _ hand: (Int, LeaseGrant) -> Void
    ) async throws -> Seen {
        var leased: [RecipientID] = []
        var number = 0
        while leased.count < Self.total {
            let requests = try await store.backlog(at: now).map {
                ClaimRequest(
                    mailing: $0.mailing,
                    bucket: $0.bucket,
                    deliveryClass: $0.deliveryClass,
                    isRetry: $0.isRetry,
                    satellite: satellite,
                    affinity: DomainAffinity(),
                    limit: 13
                )
            }
            for grant in try await store.claim(requests, at: now, lifetime: .seconds(600)) {
                leased += grant.entries.map(\.recipient)
                hand(number, grant)
                number += 1
            }
        }
        return .leased(leased)
    }

    /// Starts and reports leases, every other report a second time, as after a lost acknowledgement.
    private static func report(
        _ grants: AsyncStream<LeaseGrant>,
        from satellite: SatelliteID,
        _ store: MailingStore,
        at now: Timestamp
    ) async throws -> Seen {
        let outcomes = [Outcomes.delivered, Outcomes.failed, Outcomes.delivered, Outcomes.uncertain]
        for await grant in grants {
            let entries = EntryBitmap(0..<grant.entries.count)
            let start = StartRequest(lease: grant.serial, entries: entries)
            #expect(try await store.start([start], by: satellite, at: now).map(\.granted) == [entries])
            let reports = grant.entries.enumerated().map {
                Fixture.report($0.element, of: grant, outcomes[$0.offset % outcomes.count], at: now)
            }
            let half = reports.count / 2
            for batch in [reports[..<half], reports[half...]] {
                let result = try await store.apply(Array(batch), from: satellite, at: now)
                #expect(result.applied == batch.count && result.repeated == 0 && result.dropped == 0)
            }
            let again = try await store.apply(Array(reports[..<half]), from: satellite, at: now)
            #expect(again.applied == 0 && again.repeated == half)
        }
        return .other
    }

    /// Follows the feed by cursor until it has seen as many events as there will be.
    private static func follow(_ store: MailingStore) async throws -> Seen {
        var entries: [FeedEntry] = []
        var position: Int64 = 0
        while entries.count < Self.total {
            let page = try await store.feed(after: position, filter: RecipientFilter(), in: .everything, limit: 37)
            entries += page.entries
            position = page.next
        }
        return .events(entries)
    }
}
