// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("Old mailings", .timeLimit(.minutes(15)))
struct OldMailingTests {
    @Test("finds the mailings that ended before a timestamp", arguments: StoreFactory.all)
    func filter(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            var ids: [MailingID] = []
            for _ in 0..<3 { ids.append(try await fixture.makeMailing()) }
            for id in ids[..<2] {
                try await fixture.add(1, to: id)
                try await fixture.deliverAll(satellite)
                fixture.pass(.seconds(10))
                #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: .zero) != nil)
            }
            var filter = MailingFilter()
            filter.statuses = [.finished]
            filter.endedBefore = fixture.now
            #expect(try await fixture.store.mailings(filter, in: .everything).map(\.id) == [ids[0]])
            #expect(try await fixture.store.countMailings(filter, in: .everything) == 1)
            filter.endedBefore = fixture.now.advanced(by: .milliseconds(1))
            filter.statuses = nil
            #expect(try await fixture.store.mailings(filter, in: .everything).map(\.id) == Array(ids[..<2]))
        }
    }

    @Test("many mailings deleted at once are all gone soon, with everything of theirs", arguments: StoreFactory.all)
    func deletion(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let kept = try await fixture.makeMailing()
            try await fixture.add(10, to: kept)
            var ids: [MailingID] = []
            for number in 0..<20 {
                let id = try await fixture.makeMailing()
                try await fixture.add(150, to: id, prefix: "m\(number)-")
                ids.append(id)
            }
            try await fixture.deliverAll(satellite)
            let (store, now) = (fixture.store, fixture.now)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in ids { group.addTask { _ = try await store.deleteMailing(id, in: .everything, at: now) } }
                try await group.waitForAll()
            }
            let database = fixture.store
            try await fixture.untilPurged()
            for table in ["recipient", "delivery", "event"] {
                let left = try await database.read { transaction in
                    try transaction.prepare("SELECT count(*) FROM \(table)").first { try $0.int(0) }
                }
                #expect(left == 10, "\(table)")
            }
        }
    }
}
