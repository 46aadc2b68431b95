// SPDX-License-Identifier: Apache-2.0

import Dispatch
import MailingModel
import PostgreSQL
import Synchronization
import Testing

@testable import MasterStore

@Suite("Purging partitions", .timeLimit(.minutes(15)))
struct PartitionPurgeTests {
    /// A mailing with so many recipients, delivered, each with an id of the client's own.
    private func makeDelivered(_ count: Int, tracked: String?, _ fixture: Fixture) async throws -> MailingID {
        let id = try await fixture.makeMailing()
        let drafts = Fixture.drafts(0..<count).map { draft in
            var draft = draft
            draft.trackingID = tracked.map { "\($0)\(draft.address)" }
            return draft
        }
        _ = try await fixture.store.addRecipients(
            drafts,
            to: id,
            in: .everything,
            deliveryClass: .bulk,
            at: fixture.now
        )
        let satellite = try await fixture.makeSatellite("for \(id)")
        for _ in 0..<100 {
            let grants = try await fixture.claimAll(satellite, of: id)
            if grants.isEmpty { break }
            try await fixture.startAll(grants, by: satellite)
            try await fixture.reportAll(grants, from: satellite)
        }
        return id
    }

    @Test(
        "deleting a large mailing removes its tables and its rows, and nothing of others",
        arguments: StoreFactory.all
    )
    func deletion(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 100) { fixture in
            let small = try await self.makeDelivered(50, tracked: "small-", fixture)
            let kept = try await self.makeDelivered(300, tracked: "kept-", fixture)
            let gone = try await self.makeDelivered(2_500, tracked: "gone-", fixture)
            let plain = try await self.makeDelivered(300, tracked: nil, fixture)
            let others = try await PartitionTables.names(fixture).filter { name in
                ![gone, plain].contains { name.contains("_\($0)") }
            }
            for id in [gone, plain] { _ = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now) }
            // At once for every reader.
            let left = try await fixture.store.reports(of: ["gone-r2400@example.com"], account: .root)
            #expect(left.isEmpty)
            try await PartitionTables.purged(fixture)
            #expect(try await PartitionTables.names(fixture) == others)
            for table in ["recipient", "delivery"] {
                #expect(try await PartitionTables.count(table, fixture) == 150)
                #expect(try await PartitionTables.count("\(table)_\(kept)", fixture) == 200)
            }
            #expect(try await PartitionTables.count("tracking", fixture) == 350)
            #expect(try await PartitionTables.count("event", fixture) == 350)
            for id in [small, kept] { try await fixture.checkTotals(id) }
            // The freed ids may be given again.
            let again = try await self.makeDelivered(300, tracked: "gone-", fixture)
            #expect(try await fixture.counters(again).delivered == 300)
        }
    }

    @Test("a purge goes on after a crash at any of its steps", arguments: StoreFactory.all)
    func crash(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 10) { fixture in
            for steps in 0..<7 {
                let kept = try await self.makeDelivered(20, tracked: "kept-\(steps)-", fixture)
                let gone = try await self.makeDelivered(1_600, tracked: "gone-\(steps)-", fixture)
                // The steps that a master took before it died, with nobody to take the others.
                let now = fixture.now
                try await fixture.store.write { transaction in
                    _ = try Deletion.delete(gone, in: .everything, at: now, transaction)
                }
                for _ in 0..<steps {
                    _ = try await fixture.store.write { try Deletion.purge(skipping: [], $0) }
                }
                try await fixture.reopen()
                try await PartitionTables.purged(fixture)
                #expect(try await PartitionTables.names(fixture).contains { $0.contains("_\(gone)") } == false)
                #expect(try await PartitionTables.count("tracking", fixture) == 20 * (steps + 1))
                #expect(try await PartitionTables.count("recipient", fixture) == 10 * (steps + 1))
                #expect(try await PartitionTables.count("event", fixture) == 20 * (steps + 1))
                try await fixture.checkTotals(kept)
            }
        }
    }

    @Test("late reports of a deleted large mailing are counted and dropped", arguments: StoreFactory.all)
    func lateReports(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 10) { fixture in
            let satellite = try await fixture.makeSatellite()
            let (gone, kept) = (try await fixture.makeMailing(), try await fixture.makeMailing())
            for id in [gone, kept] { try await fixture.add(30, to: id) }
            let grants = try await fixture.claimAll(satellite)
            try await fixture.startAll(grants, by: satellite)
            _ = try await fixture.store.deleteMailing(gone, in: .everything, at: fixture.now)
            try await PartitionTables.purged(fixture)
            let result = try await fixture.reportAll(grants, from: satellite)
            #expect(result.applied == 30 && result.dropped == 30)
            try await fixture.checkTotals(kept)
        }
    }

    @Test("recipients are added, leased and reported while others are purged", arguments: StoreFactory.all)
    func concurrency(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 20) { fixture in
            var made: [MailingID] = []
            for number in 0..<6 { made.append(try await self.makeDelivered(200, tracked: "gone-\(number)-", fixture)) }
            let (store, now, gone) = (fixture.store, fixture.now, made)
            let kept = try await fixture.makeMailing()
            let satellite = try await fixture.makeSatellite()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for id in gone { group.addTask { _ = try await store.deleteMailing(id, in: .everything, at: now) } }
                for part in 0..<10 {
                    group.addTask {
                        let drafts = Fixture.drafts(part * 20..<part * 20 + 20)
                        _ = try await store.addRecipients(
                            drafts,
                            to: kept,
                            in: .everything,
                            deliveryClass: .bulk,
                            at: now
                        )
                    }
                    // Readers of what is being removed find it whole or not at all.
                    group.addTask {
                        for id in gone {
                            let names = ["gone-\(part % 6)-r150@example.com"]
                            let found = try await store.reports(of: names, account: .root).count
                            let differences = try await store.reconcileCounters(of: id)
                            #expect(found <= 1 && differences == 0)
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await fixture.deliverAll(satellite)
            try await PartitionTables.purged(fixture)
            #expect(try await fixture.counters(kept).delivered == 200)
            try await fixture.checkTotals(kept)
            #expect(try await PartitionTables.count("recipient", fixture) == 20)
        }
    }

    // MARK: SQLite

    @Test("an SQLite connection keeps a bounded number of compiled statements, however many partitions it has seen")
    func statements() async throws {
        try await StoreFactory.sqlite.withStore(partitionThreshold: 0) { fixture in
            let satellite = try await fixture.makeSatellite()
            for number in 0..<120 {
                try await fixture.add(2, to: try await fixture.makeMailing(), prefix: "m\(number)-")
                try await fixture.deliverAll(satellite)
            }
            let count = try await fixture.store.write { transaction in
                (transaction.connection as? SQLiteConnection)?.compiledStatements ?? 0
            }
            #expect(count > 20 && count < 600)
        }
    }

    // MARK: PostgreSQL

    @Test("tables that somebody reads are dropped when he has finished; nobody waits for that")
    func busy() async throws {
        try await StoreFactory.postgreSQL.withStore(partitionThreshold: 10) { fixture in
            let gone = try await self.makeDelivered(200, tracked: "gone-", fixture)
            let next = try await self.makeDelivered(200, tracked: "next-", fixture)
            let dump = try PostgreSQLConnection(try PostgreSQLConfiguration(try fixture.location.postgreSQL().url))
            try dump.execute(script: "BEGIN; LOCK TABLE recipient_\(gone) IN ACCESS SHARE MODE")
            for id in [gone, next] { _ = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now) }
            // All else goes meanwhile: the rows of this mailing, and the other one.
            while try await PartitionTables.names(fixture).contains(where: { $0.contains("_\(next)") }) {
                try Task.checkCancellation()
            }
            for table in ["recipient", "delivery", "event"] {
                while try await PartitionTables.count(table, fixture) > 0 { try Task.checkCancellation() }
            }
            #expect(try await PartitionTables.names(fixture).contains("recipient_\(gone)"))
            let again = try await self.makeDelivered(200, tracked: nil, fixture)
            #expect(try await fixture.counters(again).delivered == 200)
            try dump.execute(script: "COMMIT")
            dump.close()
            try await PartitionTables.purged(fixture)
            #expect(try await PartitionTables.names(fixture).contains { $0.contains("_\(gone)") } == false)
        }
    }

    @Test("a reader whose snapshot still had the mailing reads again when its tables have gone")
    func oldSnapshot() async throws {
        try await StoreFactory.postgreSQL.withStore(partitionThreshold: 10) { fixture in
            let gone = try await self.makeDelivered(20, tracked: nil, fixture)
            let database = fixture.store
            let runs = Mutex(0)
            let (snapshots, hasSnapshot) = AsyncStream.makeStream(of: Void.self)
            let mayGoOn = DispatchSemaphore(value: 0)
            async let found = database.read { transaction -> Int? in
                let row = try transaction.mailing(gone)
                let run = runs.withLock { runs in
                    runs += 1
                    return runs
                }
                if run == 1 {
                    hasSnapshot.yield()
                    // The connection's own thread.
                    mayGoOn.wait()
                }
                return try row?.partitions.reduce(0) { sum, partition in
                    let statement = try transaction.prepare("SELECT count(*) FROM \(partition.recipients)")
                    return try sum + (statement.first { try $0.int(0) } ?? 0)
                }
            }
            for await _ in snapshots { break }
            _ = try await fixture.store.deleteMailing(gone, in: .everything, at: fixture.now)
            try await PartitionTables.purged(fixture)
            mayGoOn.signal()
            #expect(try await found == nil)
            #expect(runs.withLock { $0 } == 2)
        }
    }
}
