// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

/// Stores that were made before there were partitions.
@Suite("Partitions in older stores", .timeLimit(.minutes(15)))
struct PartitionUpgradeTests {
    @Test(
        "a store of an earlier version goes on with what is in it, and places further recipients in partitions",
        arguments: StoreFactory.all,
        [1, 2, 3, 4]
    )
    func upgrade(factory: StoreFactory, version: Int) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let (large, small) = (try await fixture.makeMailing(), try await fixture.makeMailing())
            let old = try await fixture.add(30, to: large)
            try await fixture.add(5, to: small)
            // Some of it reported, some leased, some unleased.
            let grants = try await fixture.claimAll(satellite, limit: 10, of: small)
            try await fixture.startAll(grants, by: satellite)
            try await fixture.reportAll(grants, from: satellite, Outcomes.deferred)
            let gone = try await fixture.makeMailing()
            try await fixture.add(5, to: gone)
            _ = try await fixture.store.deleteMailing(gone, in: .everything, at: fixture.now)
            let newest = fixture.store.identity.schemaVersion
            try await fixture.undoSteps(to: version)
            try await fixture.reopen(partitionThreshold: 20)
            #expect(fixture.store.identity.schemaVersion == newest)
            let new = try await fixture.add(12, to: large, prefix: "new")
            #expect(try await PartitionTables.count("recipient_\(large)", fixture) == 12)
            #expect(Set(old + new).count == 42)
            fixture.pass(.seconds(100_000))
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.counters(large).delivered == 42)
            #expect(try await fixture.counters(small).delivered == 5)
            for id in [large, small] { try await fixture.checkTotals(id) }
            _ = try await fixture.store.deleteMailing(large, in: .everything, at: fixture.now)
            try await PartitionTables.purged(fixture)
            #expect(try await PartitionTables.names(fixture) == [])
            #expect(try await PartitionTables.count("recipient", fixture) == 5)
        }
    }

    @Test("a backup has the partitions, and goes on with them")
    func backup() async throws {
        try await StoreFactory.sqlite.withStore(partitionThreshold: 10) { fixture in
            let id = try await fixture.makeMailing()
            let added = try await fixture.add(30, to: id)
            let path = fixture.location.directory + "/copy.db"
            try await fixture.store.backup(to: path)
            let copy = try await MailingStore.open(SQLiteConfiguration(path: path), secrets: TestSecrets.make())
            #expect(try await copy.reports(of: fixture.trackingIDs(added), account: .root).count == 30)
            #expect(try await copy.reconcileCounters() == 0)
            _ = try await copy.deleteMailing(id, in: .everything, at: fixture.now)
            while try await copy.read({ transaction in
                try transaction.prepare("SELECT count(*) FROM sqlite_master WHERE name LIKE 'recipient_%'")
                    .first { try $0.int(0) }
            }) != 0 { try Task.checkCancellation() }
            try await copy.close()
        }
    }
}
