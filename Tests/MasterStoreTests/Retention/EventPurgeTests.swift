// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Purging of old events")
struct EventPurgeTests {
    @Test("removes the events before a timestamp and moves the horizon up to them", arguments: StoreFactory.all)
    func purges(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            try await fixture.add(5, to: id)
            try await fixture.deliverAll(satellite)
            fixture.pass(.seconds(100))
            let limit = fixture.now
            try await fixture.add(3, to: id, prefix: "late")
            try await fixture.deliverAll(satellite)
            let step = try await fixture.store.purgeEvents(before: limit)
            #expect(step == (5, false))
            #expect(try await fixture.replay(after: 5).map(\.position) == [6, 7, 8])
            #expect(try await fixture.replay().map(\.position) == [6, 7, 8])
            #expect(
                try await fixture.store.feed(after: 2, filter: RecipientFilter(), in: .everything, limit: 1).horizon
                    == 5
            )
            #expect(try await fixture.store.purgeEvents(before: limit) == (0, false))
            // What the events described is still known.
            #expect(try await fixture.counters(id).delivered == 8)
            #expect(try await fixture.store.reconcileCounters() == 0)
        }
    }

    @Test("keeps horizon and positions over a restart, even when nothing is left", arguments: StoreFactory.all)
    func restart(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            try await fixture.add(4, to: id)
            try await fixture.deliverAll(satellite)
            fixture.pass(.seconds(1))
            #expect(try await fixture.store.purgeEvents(before: fixture.now) == (4, false))
            try await fixture.reopen()
            let page = try await fixture.store.feed(after: 0, filter: RecipientFilter(), in: .everything, limit: 10)
            #expect(page.entries.isEmpty && page.next == 4 && page.head == 4 && page.horizon == 4)
            try await fixture.add(1, to: id, prefix: "more")
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.replay(after: 4).map(\.position) == [5])
        }
    }

    @Test("removes some thousand events in each step, and says that more are left", arguments: StoreFactory.all)
    func steps(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            for part in 0..<5 { try await fixture.add(1_000, to: id, domain: "d\(part).example") }
            try await fixture.deliverAll(satellite)
            fixture.pass(.seconds(1))
            #expect(try await fixture.store.purgeEvents(before: fixture.now) == (2_000, true))
            #expect(
                try await fixture.store.feed(after: 2_000, filter: RecipientFilter(), in: .everything, limit: 1).horizon
                    == 2_000
            )
            #expect(try await fixture.store.purgeEvents(before: fixture.now) == (2_000, true))
            #expect(try await fixture.store.purgeEvents(before: fixture.now) == (1_000, false))
            #expect(try await fixture.replay(after: 5_000).isEmpty)
        }
    }

    @Test("passes the gaps that deleted mailings leave, and events with ids of their own", arguments: StoreFactory.all)
    func gaps(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let ids = [try await fixture.makeMailing(), try await fixture.makeMailing()]
            for (number, id) in ids.enumerated() {
                let drafts = (0..<3).map {
                    // An address whose domain is not the one that it is delivered to, and a client's own id.
                    RecipientDraft(
                        address: "r\($0)@BÜCHER.example",
                        domain: "xn--bcher-kva.example",
                        trackingID: "own-\(number)-\($0)",
                        mergeFields: []
                    )
                }
                _ = try await fixture.store.addRecipients(
                    drafts,
                    to: id,
                    in: .everything,
                    deliveryClass: .bulk,
                    at: fixture.now
                )
                try await fixture.deliverAll(satellite)
            }
            _ = try await fixture.store.deleteMailing(ids[0], in: .everything, at: fixture.now)
            // Deleted events go in transactions of their own, before this one.
            while try await fixture.replay().count > 3 {}
            fixture.pass(.seconds(1))
            #expect(try await fixture.store.purgeEvents(before: fixture.now) == (3, false))
            #expect(
                try await fixture.store.feed(after: 6, filter: RecipientFilter(), in: .everything, limit: 1).horizon
                    == 6
            )
        }
    }

    @Test("stops at an event that is too young, and leaves older ones behind it", arguments: StoreFactory.all)
    func clockSetBack(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            let begin = fixture.now
            for seconds in [0, 500, -400] {
                fixture.pass(.seconds(seconds))
                try await fixture.add(1, to: id, prefix: "at\(seconds)-")
                try await fixture.deliverAll(satellite)
            }
            let limit = begin.advanced(by: .seconds(200))
            #expect(try await fixture.store.purgeEvents(before: limit) == (1, false))
            #expect(try await fixture.replay().map(\.position) == [2, 3])
        }
    }

    @Test("a reader beside the purge skips nothing without notice", arguments: StoreFactory.all)
    func readerBeside(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            for part in 0..<6 { try await fixture.add(1_000, to: id, domain: "d\(part).example") }
            try await fixture.deliverAll(satellite)
            fixture.pass(.seconds(1))
            let (store, now) = (fixture.store, fixture.now)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { while try await store.purgeEvents(before: now).isMoreLeft {} }
                group.addTask {
                    var position: Int64 = 0
                    while true {
                        let page = try await store.feed(
                            after: position,
                            filter: RecipientFilter(),
                            in: .everything,
                            limit: 70
                        )
                        let first = page.entries.first?.position ?? page.next + 1
                        // Where there is a gap, the horizon of the same page shows it.
                        #expect(first == position + 1 || page.horizon > position)
                        if page.entries.isEmpty { return }
                        #expect(page.entries.map(\.position) == Array(first...page.next))
                        position = page.next
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
