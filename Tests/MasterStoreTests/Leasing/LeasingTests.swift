// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Leasing and starting")
struct LeasingTests {
    @Test("leases each recipient once, complete and in order", arguments: StoreFactory.all)
    func leasesOnce(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients =
                try await fixture.add(25, to: id, domain: "a.example") + fixture.add(5, to: id, domain: "b.example")
            let satellite = try await fixture.makeSatellite()
            let grants = try await fixture.claimAll(satellite, limit: 10)
            let entries = grants.flatMap(\.entries)
            #expect(Set(entries.map(\.recipient)) == Set(recipients) && entries.count == 30)
            #expect(grants.allSatisfy { $0.entries.count <= 10 })
            for grant in grants { #expect(grant.entries.map(\.recipient) == grant.entries.map(\.recipient).sorted()) }
            let entry = try #require(entries.first { $0.recipient == recipients[3] })
            #expect(entry.attempt.rawValue == 1 && entry.address == "r3@a.example")
            #expect(entry.mergeFields == Array("m3".utf8) && entry.date == fixture.now)
            #expect(entry.trackingID == fixture.trackingIDs([recipients[3]])[0])
            #expect(grants[0].term == fixture.store.identity.term)
            #expect(grants[0].content == (try await fixture.mailing(id).content))
            #expect(try await fixture.report(of: recipients[3]).inProgress)
        }
    }

    @Test("ends a lease at its bytes, unleased and retries, and loses nobody", arguments: StoreFactory.all)
    func bytes(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let drafts = (0..<40).map { number in
                RecipientDraft(
                    address: "r\(number)@a.example",
                    domain: "a.example",
                    trackingID: nil,
                    mergeFields: [UInt8](repeating: 120, count: number == 7 ? 300_000 : 50_000)
                )
            }
            _ = try await fixture.store.addRecipients(
                drafts,
                to: id,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            let satellite = try await fixture.makeSatellite()
            for isRetry in [false, true] {
                var seen: [RecipientID] = []
                var serials: [LeaseSerial] = []
                while let row = try await fixture.store.backlog(at: fixture.now).first(where: { $0.count > 0 }) {
                    #expect(row.isRetry == isRetry)
                    let request = ClaimRequest(
                        mailing: id,
                        bucket: row.bucket,
                        deliveryClass: .bulk,
                        isRetry: row.isRetry,
                        satellite: satellite,
                        affinity: DomainAffinity(),
                        limit: 1_000,
                        maximumBytes: 250_000
                    )
                    let grants = try await fixture.store.claim([request], at: fixture.now, lifetime: .seconds(60))
                    let grant = try #require(grants.first)
                    let bytes = grant.entries.reduce(0) { $0 + $1.mergeFields.count }
                    #expect(bytes <= 250_000 || grant.entries.count == 1)
                    seen += grant.entries.map(\.recipient)
                    serials.append(grant.serial)
                }
                #expect(seen.count == 40 && Set(seen).count == 40)
                _ = try await fixture.store.revoke(serials, at: fixture.now)
            }
        }
    }

    @Test("dates anew what waits longer than any retry may, and nothing else", arguments: StoreFactory.all)
    func dateAnew(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            let right = fixture.now
            fixture.pass(.seconds(3 * 86_400))
            try await fixture.deliverAll(satellite, Outcomes.deferred)
            #expect(try await fixture.store.dateAnew(at: fixture.now) == 0)
            fixture.now = right
            #expect(try await fixture.store.dateAnew(at: right) == 3)
            #expect(try await fixture.store.dateAnew(at: right) == 0)
            let due = try #require(try await fixture.store.nextDue(after: right, finishGrace: .zero))
            #expect(due <= right.advanced(by: .seconds(6 * 3_600)))
            fixture.now = due
            #expect(try await fixture.claimAll(satellite).flatMap(\.entries).count == 3)
            try await fixture.checkTotals(id)
        }
    }

    @Test("sets a mailing running with its first lease and keeps that time", arguments: StoreFactory.all)
    func firstLease(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(2, to: id)
            #expect(try await fixture.mailing(id).status == .ready)
            let satellite = try await fixture.makeSatellite()
            let began = fixture.now
            _ = try await fixture.claimAll(satellite, limit: 1)
            fixture.pass(.seconds(5))
            try await fixture.add(1, to: id)
            _ = try await fixture.claimAll(satellite)
            let mailing = try await fixture.mailing(id)
            #expect(mailing.status == .running && mailing.started == began)
        }
    }

    @Test("has no work before the scheduled start, after the end, in filling and in pause", arguments: StoreFactory.all)
    func schedule(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let start = fixture.now.advanced(by: .seconds(60))
            let end = fixture.now.advanced(by: .seconds(120))
            let id = try await fixture.makeMailing(start: false) {
                $0.scheduledStart = start
                $0.scheduledEnd = end
            }
            let recipients = try await fixture.add(1, to: id)
            func works() async throws -> Bool { !(try await fixture.store.backlog(at: fixture.now)).isEmpty }
            #expect(try await !works())
            try await fixture.start(id)
            #expect(try await !works())
            #expect(try await fixture.store.nextDue(after: fixture.now, finishGrace: .seconds(60)) == start)
            fixture.now = start
            #expect(try await works())
            #expect(try await fixture.store.nextDue(after: fixture.now, finishGrace: .seconds(60)) == end)
            _ = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) { _ in }
            #expect(try await !works())
            try await fixture.start(id)
            fixture.now = end
            #expect(try await !works())
            let direct = try await fixture.store.claim(
                [
                    ClaimRequest(
                        mailing: id,
                        bucket: recipients[0].bucket,
                        deliveryClass: .bulk,
                        isRetry: false,
                        satellite: SatelliteID(rawValue: 1),
                        affinity: DomainAffinity(),
                        limit: 10
                    )
                ],
                at: fixture.now,
                lifetime: .seconds(1)
            )
            #expect(direct.isEmpty)
        }
    }

    @Test(
        "turns recipients that the satellite may not take into retry entries for others",
        arguments: StoreFactory.all
    )
    func affinity(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            // Two domains in one hashed bucket: the affinity is set after they were placed.
            let pair = try await Self.sharingBucket(fixture, id)
            let one = try await fixture.makeSatellite("one")
            let two = try await fixture.makeSatellite("two")
            let first = try await fixture.claimAll(one, affinity: DomainAffinity(exclude: [pair.excluded]))
            #expect(Set(first.flatMap(\.entries).map(\.recipient)) == Set(pair.allowedIDs))
            let backlog = try await fixture.store.backlog(at: fixture.now)
            #expect(backlog.count == 1 && backlog[0].isRetry && backlog[0].count == pair.excludedIDs.count)
            let second = try await fixture.claimAll(two)
            #expect(Set(second.flatMap(\.entries).map(\.recipient)) == Set(pair.excludedIDs))
            #expect(second.flatMap(\.entries).allSatisfy { $0.attempt.rawValue == 1 })
            try await fixture.startAll(first, by: one)
            try await fixture.startAll(second, by: two)
            try await fixture.reportAll(first, from: one)
            try await fixture.reportAll(second, from: two)
            #expect(try await fixture.counters(id).delivered == pair.allowedIDs.count + pair.excludedIDs.count)
            try await fixture.checkTotals(id)
        }
    }

    private static func sharingBucket(
        _ fixture: Fixture,
        _ id: MailingID
    ) async throws -> (excluded: String, excludedIDs: [RecipientID], allowedIDs: [RecipientID]) {
        var byBucket: [Bucket: RecipientID] = [:]
        for number in 0..<2000 {
            let domain = "d\(number).example"
            let recipient = try await fixture.add(1, to: id, domain: domain)[0]
            if byBucket[recipient.bucket] != nil { return (domain, [recipient], Array(byBucket.values)) }
            byBucket[recipient.bucket] = recipient
        }
        throw StoreError(.conflict, "2,000 domains share no bucket")
    }

    @Test(
        "finds the waiting recipients that a satellite may take behind any number that it may not",
        arguments: StoreFactory.all
    )
    func waitingBehindForbidden(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let pair = try await Self.sharingBucket(fixture, id)
            try await fixture.add(600, to: id, domain: pair.excluded)
            let one = try await fixture.makeSatellite("one")
            let leases = try await fixture.claimAll(one)
            // Those of the excluded domain have waited longer.
            func returnEntries(_ isReturned: (LeaseEntry) -> Bool) async throws {
                for lease in leases {
                    let indices = lease.entries.indices.filter { isReturned(lease.entries[$0]) }
                    try await fixture.store.requeue(
                        lease.serial,
                        entries: EntryBitmap(indices),
                        from: one,
                        at: fixture.now
                    )
                }
            }
            try await returnEntries { $0.address.hasSuffix("@" + pair.excluded) }
            fixture.pass(.seconds(1))
            try await returnEntries { !$0.address.hasSuffix("@" + pair.excluded) }
            let picky = try await fixture.makeSatellite("picky")
            let found = try await fixture.claimAll(picky, limit: 1, affinity: DomainAffinity(exclude: [pair.excluded]))
            #expect(Set(found.flatMap(\.entries).map(\.recipient)) == Set(pair.allowedIDs))
            #expect(try await fixture.claimAll(one).flatMap(\.entries).count == 601)
        }
    }

    @Test("does not lease from a bucket whose only domain is forbidden", arguments: StoreFactory.all)
    func ownBucketForbidden(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let affinity = DomainAffinity(exclude: ["big.example"])
            let satellite = try await fixture.makeSatellite("s", affinity: affinity)
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id, domain: "big.example")
            #expect(try await fixture.claimAll(satellite, affinity: affinity).isEmpty)
            let backlog = try await fixture.store.backlog(at: fixture.now)
            #expect(backlog.count == 1 && !backlog[0].isRetry && backlog[0].count == 3)
        }
    }

    @Test("grants a start again to the same satellite and to no other", arguments: StoreFactory.all)
    func startAgain(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(4, to: id)
            let satellite = try await fixture.makeSatellite()
            let other = try await fixture.makeSatellite("other")
            let grant = try #require(try await fixture.claimAll(satellite).first)
            func start(_ indices: [Int], by satellite: SatelliteID) async throws -> StartDecision {
                try await fixture.store.start(
                    [StartRequest(lease: grant.serial, entries: EntryBitmap(indices))],
                    by: satellite,
                    at: fixture.now
                )[0]
            }
            #expect(try await start([0, 1, 77], by: satellite).granted == EntryBitmap([0, 1]))
            let again = try await start([1, 2], by: satellite)
            #expect(again.granted == EntryBitmap([1, 2]) && again.refused.indices.isEmpty)
            let stolen = try await start([0, 3], by: other)
            #expect(stolen.granted.indices.isEmpty && stolen.refused.indices == [0, 3])
            let summary = try #require(try await fixture.store.leases(of: satellite).first)
            #expect(summary.started == 3 && summary.open == 4 && summary.size == 4)
            let unknown = try await fixture.store.start(
                [StartRequest(lease: LeaseSerial(rawValue: 999), entries: EntryBitmap([0]))],
                by: satellite,
                at: fixture.now
            )
            #expect(unknown[0].refused.indices == [0])
        }
    }

    @Test(
        "never uses a lease serial again, whatever was closed and however often it restarts",
        arguments: StoreFactory.all
    )
    func serials(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            var seen: Set<LeaseSerial> = []
            var last = LeaseSerial(rawValue: 0)
            for _ in 0..<3 {
                let id = try await fixture.makeMailing()
                try await fixture.add(3, to: id)
                let grants = try await fixture.claimAll(satellite)
                try await fixture.startAll(grants, by: satellite)
                try await fixture.reportAll(grants, from: satellite)
                for grant in grants {
                    #expect(grant.serial > last && seen.insert(grant.serial).inserted)
                    last = grant.serial
                }
                #expect(try await fixture.store.leases(of: nil).isEmpty)
                try await fixture.reopen()
            }
        }
    }

    @Test("keeps a recipient's content revision from its first started attempt on", arguments: StoreFactory.all)
    func revisions(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipients = try await fixture.add(3, to: id)
            let satellite = try await fixture.makeSatellite()
            let old = try await fixture.mailing(id).content
            let first = try await fixture.claimAll(satellite)
            _ = try await fixture.store.start(
                [StartRequest(lease: first[0].serial, entries: EntryBitmap([0]))],
                by: satellite,
                at: fixture.now
            )
            _ = try await fixture.store.apply(
                [Fixture.report(first[0].entries[0], of: first[0], Outcomes.deferred, at: fixture.now)],
                from: satellite,
                at: fixture.now
            )
            _ = try await fixture.store.updateMailing(id, in: .everything, at: fixture.now) {
                MailingContent(
                    mailing: $0.id,
                    subject: "2",
                    body: .mime([2]),
                    mailFrom: "a@b.c",
                    senderName: ""
                )
            }
            _ = try await fixture.store.revoke(first.map(\.serial), at: fixture.now)
            fixture.pass(.seconds(3600))
            let second = try await fixture.claimAll(satellite)
            #expect(second.count == 2)
            for grant in second {
                let isFirst = grant.entries.contains { $0.recipient == recipients[0] }
                #expect(grant.content == (isFirst ? old : (try await fixture.mailing(id).content)))
                #expect(grant.entries.count == (isFirst ? 1 : 2))
            }
            // The Date is that of the first grant.
            #expect(second.flatMap(\.entries).allSatisfy { $0.date == first[0].entries[0].date })
        }
    }

    @Test("counts what is leased, waiting and due", arguments: StoreFactory.all)
    func summary(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(10, to: id)
            let satellite = try await fixture.makeSatellite()
            let began = fixture.now
            let grants = try await fixture.store.claim(
                fixture.store.backlog(at: began).map {
                    ClaimRequest(
                        mailing: id,
                        bucket: $0.bucket,
                        deliveryClass: .bulk,
                        isRetry: false,
                        satellite: satellite,
                        affinity: DomainAffinity(),
                        limit: 4
                    )
                },
                at: began,
                lifetime: .seconds(1)
            )
            fixture.pass(.seconds(10))
            let summary = try await fixture.store.summary(at: fixture.now)
            #expect(summary.leased == 4 && summary.pending == 6 && summary.oldestLease == began)
            #expect(summary.mailings == [.running: 1])
            try await fixture.startAll(grants, by: satellite)
            try await fixture.reportAll(grants, from: satellite, Outcomes.uncertain)
            let after = try await fixture.store.summary(at: fixture.now)
            #expect(after.leased == 0 && after.uncertain == 4 && after.feedHead == 4 && after.oldestLease == nil)
        }
    }
}
