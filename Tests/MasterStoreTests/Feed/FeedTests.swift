// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("The feed")
struct FeedTests {
    @Test("pages through every event once, in order, and says when the head is reached", arguments: StoreFactory.all)
    func pages(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(50, to: id)
            try await fixture.deliverAll(try await fixture.makeSatellite())
            let entries = try await fixture.replay(limit: 7)
            #expect(entries.map(\.position) == Array(1...50))
            #expect(Set(entries.map(\.report.recipient)).count == 50)
            let empty = try await fixture.store.feed(after: 50, filter: RecipientFilter(), in: .everything, limit: 10)
            #expect(empty.entries.isEmpty && empty.next == 50 && empty.head == 50 && empty.horizon == 0)
            let ahead = try await fixture.store.feed(after: 99, filter: RecipientFilter(), in: .everything, limit: 10)
            #expect(ahead.entries.isEmpty && ahead.head == 50)
        }
    }

    @Test("filters by mailing, state and account, and moves past what it filters out", arguments: StoreFactory.all)
    func filters(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let one = try await fixture.makeMailing()
            try await fixture.add(4, to: one)
            try await fixture.deliverAll(satellite)
            let two = try await fixture.makeMailing(account: AccountID(rawValue: 2))
            try await fixture.add(3, to: two)
            try await fixture.deliverAll(satellite, Outcomes.failed)
            func feed(
                in scope: AccountScope = .everything,
                _ change: (inout RecipientFilter) -> Void
            ) async throws -> FeedPage {
                var filter = RecipientFilter()
                change(&filter)
                return try await fixture.store.feed(after: 0, filter: filter, in: scope, limit: 100)
            }
            let first = try await feed { $0.mailings = [one] }
            #expect(first.entries.count == 4 && first.next == 7 && first.head == 7)
            #expect(try await feed { $0.mailings = [two] }.entries.map(\.position) == [5, 6, 7])
            #expect(try await feed { $0.mailings = [one, two] }.entries.count == 7)
            #expect(try await feed { $0.mailings = [] }.entries.isEmpty)
            #expect(try await feed { $0.states = [.failed] }.entries.count == 3)
            #expect(try await feed(in: .account(.root)) { _ in }.entries.count == 4)
            let nothing = try await feed {
                $0.states = [.failed]
                $0.mailings = [one]
            }
            #expect(nothing.entries.isEmpty && nothing.next == 7)
            var filter = RecipientFilter()
            #expect(try await fixture.store.countRecipients(filter, in: .everything) == 7)
            let second = AccountScope.account(AccountID(rawValue: 2))
            #expect(try await fixture.store.countRecipients(filter, in: second) == 3)
            filter.mailings = [one]
            #expect(try await fixture.store.countRecipients(filter, in: second) == 0)
        }
    }

    @Test("finds few events among many without an empty page before the head", arguments: StoreFactory.all)
    func sparse(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let big = try await fixture.makeMailing()
            for part in 0..<45 { try await fixture.add(1000, to: big, domain: "d\(part).example") }
            try await fixture.deliverAll(satellite)
            let small = try await fixture.makeMailing()
            try await fixture.add(1, to: small)
            try await fixture.deliverAll(satellite, Outcomes.failed)
            var filter = RecipientFilter()
            filter.states = [.failed]
            let page = try await fixture.store.feed(after: 0, filter: filter, in: .everything, limit: 10)
            #expect(page.entries.map(\.position) == [45_001] && page.next == 45_001)
        }
    }

    @Test("goes on where it was after a restart; positions are not reused", arguments: StoreFactory.all)
    func restart(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id)
            try await fixture.deliverAll(satellite)
            let storeID = fixture.store.identity.storeID
            let term = fixture.store.identity.term
            _ = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now)
            try await fixture.reopen()
            #expect(fixture.store.identity.storeID == storeID && fixture.store.identity.term > term)
            #expect(try await fixture.store.feedHead() == 3)
            let next = try await fixture.makeMailing()
            try await fixture.add(1, to: next)
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.replay(after: 3).map(\.position) == [4])
        }
    }

    @Test("a reader beside writers skips nothing and repeats nothing (C1, T28)", arguments: StoreFactory.all)
    func concurrent(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (store, now) = (fixture.store, fixture.now)
            let ids = [try await fixture.makeMailing(), try await fixture.makeMailing()]
            let satellites = [try await fixture.makeSatellite("a"), try await fixture.makeSatellite("b")]
            let perMailing = 600
            let seen = try await withThrowingTaskGroup(of: [FeedEntry].self) { group in
                for id in ids {
                    group.addTask {
                        for part in 0..<(perMailing / 20) {
                            let drafts = Fixture.drafts(part * 20..<part * 20 + 20, domain: "d\(part % 5).example")
                            _ = try await store.addRecipients(
                                drafts,
                                to: id,
                                in: .everything,
                                deliveryClass: .bulk,
                                at: now
                            )
                        }
                        return []
                    }
                }
                for satellite in satellites {
                    group.addTask {
                        var reported = 0
                        // The other takes what this one does not, so each stops when all is delivered.
                        while try await store.summary(at: now).feedHead < Int64(ids.count * perMailing) {
                            let requests = try await store.backlog(at: now).map {
                                ClaimRequest(
                                    mailing: $0.mailing,
                                    bucket: $0.bucket,
                                    deliveryClass: $0.deliveryClass,
                                    isRetry: $0.isRetry,
                                    satellite: satellite,
                                    affinity: DomainAffinity(),
                                    limit: 16
                                )
                            }
                            for grant in try await store.claim(requests, at: now, lifetime: .seconds(9)) {
                                let entries = EntryBitmap(0..<grant.entries.count)
                                let decision = try await store.start(
                                    [StartRequest(lease: grant.serial, entries: entries)],
                                    by: satellite,
                                    at: now
                                )[0]
                                #expect(decision.granted == entries)
                                let reports = grant.entries.map {
                                    Fixture.report($0, of: grant, Outcomes.delivered, at: now)
                                }
                                reported += try await store.apply(reports, from: satellite, at: now).applied
                            }
                        }
                        return []
                    }
                }
                group.addTask {
                    var entries: [FeedEntry] = []
                    var position: Int64 = 0
                    while entries.count < ids.count * perMailing {
                        let page = try await store.feed(
                            after: position,
                            filter: RecipientFilter(),
                            in: .everything,
                            limit: 50
                        )
                        entries += page.entries
                        position = page.next
                    }
                    return entries
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(seen.map(\.position) == Array(1...Int64(ids.count * perMailing)))
            #expect(Set(seen.map(\.report.recipient)).count == ids.count * perMailing)
            for id in ids {
                #expect(try await fixture.counters(id).delivered == perMailing)
                try await fixture.checkTotals(id)
            }
        }
    }
}
