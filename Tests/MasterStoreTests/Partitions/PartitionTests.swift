// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

/// What the tests of partitions ask the database itself.
enum PartitionTables {
    /// How many rows a table has.
    static func count(_ table: String, _ fixture: Fixture) async throws -> Int {
        try await fixture.store.read { transaction in
            try transaction.prepare("SELECT count(*) FROM \(table)").first { try $0.int(0) } ?? 0
        }
    }

    /// The names of the tables and indexes of own partitions.
    static func names(_ fixture: Fixture) async throws -> [String] {
        let isSQLite = fixture.factory.name == "SQLite"
        return try await fixture.store.write { transaction in
            var names: [String] = []
            let catalogue =
                isSQLite
                ? "SELECT name FROM sqlite_master" : "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'i')"
            try transaction.prepare(catalogue).rows { names.append(try $0.text(0)) }
            return names.filter { name in
                let parts = name.split(separator: "_")
                return ["recipient", "delivery"].contains(parts[0]) && parts.count > 1 && Int(parts[1]) != nil
            }.sorted()
        }
    }

    /// Returns once everything is gone of the mailings that were deleted.
    static func purged(_ fixture: Fixture) async throws {
        try await fixture.untilPurged()
    }

    /// Whether a recipient lies in its mailing's own partition.
    static func isOwn(_ id: RecipientID, _ fixture: Fixture) async throws -> Bool {
        try await fixture.store.read { try $0.partition(of: id.mailing, id.bucket) != .shared }
    }
}

@Suite("Partitions")
struct PartitionTests {
    private static let domains = ["a.example", "b.example", "c.example"]

    /// Recipients of several domains, with ids of the client's own if wanted.
    private static func drafts(_ range: Range<Int>, tracked: String? = nil) -> [RecipientDraft] {
        range.map { number in
            let domain = Self.domains[number % Self.domains.count]
            return RecipientDraft(
                address: "r\(number)@\(domain)",
                domain: domain,
                trackingID: tracked.map { "\($0)\(number)" },
                mergeFields: Array("m\(number)".utf8)
            )
        }
    }

    private static func add(
        _ range: Range<Int>,
        to id: MailingID,
        tracked: String? = nil,
        _ fixture: Fixture
    ) async throws -> [RecipientID] {
        try await fixture.store.addRecipients(
            Self.drafts(range, tracked: tracked),
            to: id,
            in: .everything,
            deliveryClass: .bulk,
            at: fixture.now
        ).compactMap { if case .accepted(let id, _) = $0 { id } else { nil } }
    }

    // MARK: Placing

    @Test(
        "a mailing that passes the threshold within a call has the rest in its partition",
        arguments: StoreFactory.all
    )
    func withinOneCall(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 10) { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            let added = try await Self.add(0..<25, to: id, fixture)
            #expect(Set(added).count == 25)
            for (number, recipient) in added.enumerated() {
                #expect(try await PartitionTables.isOwn(recipient, fixture) == (number >= 10))
            }
            #expect(try await PartitionTables.count("recipient", fixture) == 10)
            #expect(try await PartitionTables.count("recipient_\(id)", fixture) == 15)
            let grants = try await fixture.claimAll(satellite)
            #expect(grants.flatMap(\.entries).map(\.recipient).sorted() == added.sorted())
            let addresses = Dictionary(uniqueKeysWithValues: zip(added, Self.drafts(0..<25).map(\.address)))
            for entry in grants.flatMap(\.entries) { #expect(entry.address == addresses[entry.recipient]) }
            try await fixture.startAll(grants, by: satellite)
            // All in one batch, from both partitions.
            let result = try await fixture.reportAll(grants, from: satellite)
            #expect(result.applied == 25)
            #expect(try await PartitionTables.count("delivery", fixture) == 10)
            #expect(try await PartitionTables.count("delivery_\(id)", fixture) == 15)
            #expect(try await fixture.counters(id).delivered == 25)
            try await fixture.checkTotals(id)
            #expect(try await fixture.store.finishIfComplete(id, at: fixture.now, grace: .zero) != nil)
        }
    }

    @Test("what was placed stays, and further calls go on in both orders of buckets", arguments: StoreFactory.all)
    func overSeveralCalls(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 20) { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            var added: [RecipientID] = []
            for part in 0..<6 {
                added += try await Self.add(part * 7..<part * 7 + 7, to: id, fixture)
                if part == 3 { try await fixture.reopen() }
            }
            #expect(Set(added).count == 42)
            #expect(try await PartitionTables.count("recipient", fixture) == 20)
            #expect(try await PartitionTables.count("recipient_\(id)", fixture) == 22)
            // A bucket's ordinals are dense, in either partition.
            for (_, recipients) in Dictionary(grouping: added, by: \.bucket) {
                #expect(recipients.map(\.ordinal).sorted() == (0..<UInt32(recipients.count)).map { $0 })
            }
            for row in try await fixture.store.backlog(at: fixture.now) {
                // A domain has one owner, wherever its recipients lie.
                #expect(row.home.rawValue < Bucket.hashedCount)
                if row.bucket.rawValue < Bucket.hashedCount { #expect(row.home == row.bucket) }
            }
            #expect(Set(try await fixture.store.backlog(at: fixture.now).map(\.home)).count == 3)
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.counters(id).delivered == 42)
            try await fixture.checkTotals(id)
        }
    }

    @Test("express recipients and single domains have their buckets in the partition too", arguments: StoreFactory.all)
    func ownBuckets(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 10) { fixture in
            let affinity = DomainAffinity(include: ["a.example"])
            let satellite = try await fixture.makeSatellite(affinity: affinity)
            let id = try await fixture.makeMailing()
            for prefix in ["one", "two"] {
                try await fixture.add(4, to: id, domain: "a.example", prefix: prefix)
                try await fixture.add(4, to: id, domain: "b.example", prefix: prefix)
                try await fixture.add(2, to: id, domain: "c.example", prefix: prefix, .express)
            }
            let backlog = try await fixture.store.backlog(at: fixture.now)
            #expect(backlog.count { $0.domain == "a.example" } == 2)
            #expect(backlog.count { $0.deliveryClass == .express } == 2)
            #expect(try await PartitionTables.count("recipient_\(id)", fixture) == 10)
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.counters(id).delivered == 20)
            try await fixture.checkTotals(id)
        }
    }

    @Test("a mailing whose single domains took up the numbers stays in the shared tables", arguments: StoreFactory.all)
    func noNumbersLeft(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 300) { fixture in
            let names = (0..<300).map { "d\($0).example" }
            let satellite = try await fixture.makeSatellite(affinity: DomainAffinity(include: names))
            let id = try await fixture.makeMailing()
            let drafts = names.map { RecipientDraft(address: "r@\($0)", domain: $0, mergeFields: []) }
            for _ in 0..<2 {
                _ = try await fixture.store.addRecipients(
                    drafts,
                    to: id,
                    in: .everything,
                    deliveryClass: .bulk,
                    at: fixture.now
                )
            }
            #expect(try await PartitionTables.names(fixture) == [])
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.counters(id).delivered == 600)
        }
    }

    @Test("small mailings make no tables, and an operation that fails leaves none", arguments: StoreFactory.all)
    func nothingExtra(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 10) { fixture in
            for _ in 0..<5 { _ = try await Self.add(0..<10, to: try await fixture.makeMailing(), fixture) }
            #expect(try await PartitionTables.names(fixture) == [])
            let id = try await fixture.makeMailing()
            let (database, now) = (fixture.store, fixture.now)
            // Alone, and beside others whose work stands.
            for isAlone in [true, false] {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<(isAlone ? 0 : 20) {
                        group.addTask { _ = try await database.putBlob([UInt8(number)], at: now) }
                    }
                    group.addTask {
                        await #expect(throws: StoreError.self) {
                            try await database.write { transaction in
                                _ = try Admission.add(
                                    Self.drafts(0..<30),
                                    to: id,
                                    in: .everything,
                                    .bulk,
                                    at: now,
                                    transaction
                                )
                                try transaction.flush()
                                throw StoreError(.conflict, "after all")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await PartitionTables.names(fixture) == [])
            }
            #expect(try await Self.add(0..<30, to: id, fixture).count == 30)
            let names = try await PartitionTables.names(fixture)
            #expect(names.contains("recipient_\(id)") && names.contains("delivery_\(id)"))
            // Indexes as on the shared tables: two on SQLite, where the key is the table; with the keys four elsewhere.
            #expect(names.count == (factory.name == "SQLite" ? 4 : 6))
            try await fixture.deliverAll(try await fixture.makeSatellite())
            #expect(try await fixture.counters(id).delivered == 30)
            try await fixture.checkTotals(id)
        }
    }

    // MARK: Operations on both sides

    @Test("every operation works on both sides, and two large mailings do not mix", arguments: StoreFactory.all)
    func operations(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 8) { fixture in
            let satellite = try await fixture.makeSatellite()
            let ids = [
                try await fixture.makeMailing { $0.uncertainPolicy = .hold },
                try await fixture.makeMailing { $0.uncertainPolicy = .hold },
            ]
            var added: [MailingID: [RecipientID]] = [:]
            for id in ids { added[id] = try await Self.add(0..<20, to: id, tracked: "t\(id)-", fixture) }
            // Ids of clients are taken on both sides.
            #expect(try await Self.add(0..<20, to: ids[1], tracked: "t\(ids[0])-", fixture).isEmpty)
            let own = ["t\(ids[0])-3", "t\(ids[0])-15", "t\(ids[1])-15"]
            #expect(try await fixture.store.reports(of: own, account: .root).map(\.trackingID) == own)

            // Claimed, partly started, paused: what was not started waits again.
            let grants = try await fixture.claimAll(satellite)
            #expect(grants.reduce(0) { $0 + $1.entries.count } == 40)
            for grant in grants {
                _ = try await fixture.store.start(
                    [StartRequest(lease: grant.serial, entries: EntryBitmap([0]))],
                    by: satellite,
                    at: fixture.now
                )
            }
            for id in ids { _ = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) { _ in } }
            let started = grants.map { Fixture.report($0.entries[0], of: $0, Outcomes.deferred, at: fixture.now) }
            #expect(try await fixture.store.apply(started, from: satellite, at: fixture.now).applied == started.count)
            for id in ids { try await fixture.start(id) }

            // The rest is uncertain, and resolved by hand: as failed in one mailing, sent again in the other.
            try await fixture.deliverAll(satellite, Outcomes.uncertain)
            for id in ids { #expect(try await fixture.counters(id).uncertain == 20 - started.count / 2) }
            #expect(
                try await fixture.store.resolveUncertain(ids[0], in: .everything, as: .failed, at: fixture.now) == 20
                    - started.count / 2
            )
            #expect(
                try await fixture.store.resolveUncertain(ids[1], in: .everything, as: .resend, at: fixture.now) == 20
                    - started.count / 2
            )
            fixture.pass(.seconds(100_000))
            try await fixture.deliverAll(satellite)
            #expect(try await fixture.counters(ids[1]).delivered == 20)

            // Failed ones are requeued, in both partitions at once.
            let failed = try #require(added[ids[0]])
            let reset = try await fixture.store.resetRecipients(
                fixture.trackingIDs(failed),
                account: .root,
                at: fixture.now
            )
            #expect(reset == 20)
            try await fixture.deliverAll(satellite)
            for id in ids {
                #expect(try await fixture.counters(id).delivered == 20)
                try await fixture.checkTotals(id)
                #expect(try await PartitionTables.count("delivery_\(id)", fixture) == 12)
            }
            let states = try await fixture.store.reports(of: own, account: .root).map(\.state)
            #expect(states == [.delivered, .delivered, .delivered])
        }
    }

    @Test("expiry, requeueing and resolving reach both sides", arguments: StoreFactory.all)
    func endings(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 5) { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing { $0.uncertainPolicy = .hold }
            let added = try await Self.add(0..<12, to: id, fixture)
            let grants = try await fixture.claimAll(satellite)
            try await fixture.startAll(grants, by: satellite)
            for grant in grants {
                try await fixture.store.requeue(
                    grant.serial,
                    entries: EntryBitmap([0]),
                    from: satellite,
                    at: fixture.now
                )
            }
            // Those that were requeued wait, the others are out; five more are unleased.
            _ = try await Self.add(12..<17, to: id, fixture)
            _ = try await fixture.store.expireRemaining(id, at: fixture.now)
            #expect(try await fixture.counters(id).expired == grants.count + 5)
            #expect(try await fixture.store.resolveStarted(of: id, at: fixture.now) == 12 - grants.count)
            let mailing = try await fixture.mailing(id)
            #expect(mailing.status == .finished && mailing.counters.uncertain == 12 - grants.count)
            #expect(try await fixture.report(of: added[11]).recipient == added[11])
            try await fixture.checkTotals(id)
        }
    }
}
