// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Adding recipients")
struct AdmissionTests {
    @Test("answers in input order with ids that find the recipient again", arguments: StoreFactory.all)
    func answers(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing(start: false)
            let drafts =
                Fixture.drafts(0..<3, domain: "a.example") + Fixture.drafts(3..<5, domain: "b.example")
            let admissions = try await fixture.store.addRecipients(
                drafts,
                to: id,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            #expect(admissions.count == 5)
            let trackingIDs = admissions.map { if case .accepted(_, let id) = $0 { id } else { "" } }
            #expect(Set(trackingIDs).count == 5 && trackingIDs.allSatisfy { $0.count < 50 && !$0.isEmpty })
            let reports = try await fixture.store.reports(of: trackingIDs, account: .root)
            #expect(reports.map(\.address) == drafts.map(\.address))
            #expect(reports.map(\.trackingID) == trackingIDs)
            #expect(reports.allSatisfy { $0.state == .waiting && !$0.inProgress && $0.created == fixture.now })
            #expect(try await fixture.counters(id).total == 5)
            #expect(try await fixture.mailing(id).lastAdded == fixture.now)
        }
    }

    @Test("finds ids of every kind in one list, in the order asked, as often as asked", arguments: StoreFactory.all)
    func mixedIDs(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            var drafts = Fixture.drafts(0..<4)
            for (index, own) in [(1, "K1"), (3, "other")] { drafts[index].trackingID = own }
            let admissions = try await fixture.store.addRecipients(
                drafts,
                to: id,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            let recipients = admissions.compactMap { if case .accepted(let id, _) = $0 { id } else { nil } }
            try #require(recipients.count == drafts.count)
            let generated = fixture.trackingIDs(recipients)
            // The Kelvin sign is a K to Unicode, but not to a database.
            let asked = [
                "other", generated[2], "none", "\u{212A}1", "K1", generated[0], "K1", "k1", "\0", generated[2],
            ]
            let found = try await fixture.store.reports(of: asked, account: .root)
            #expect(found.map(\.address) == [3, 2, 1, 0, 1, 2].map { drafts[$0].address })
        }
    }

    @Test("finds nothing for ids that were not given out, or of another account", arguments: StoreFactory.all)
    func unknownIDs(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let recipient = try #require(try await fixture.add(1, to: id).first)
            let trackingID = fixture.trackingIDs([recipient])[0]
            let forged = TestSecrets.make(key: 8).recipientIDs.encode(recipient)
            let absent = fixture.trackingIDs([
                RecipientID(mailing: id, bucket: recipient.bucket, ordinal: recipient.ordinal + 1)
            ])[0]
            #expect(try await fixture.store.reports(of: [forged, absent, "", "x"], account: .root) == [])
            #expect(try await fixture.store.reports(of: [trackingID], account: AccountID(rawValue: 9)) == [])
            #expect(try await fixture.store.reports(of: [trackingID.uppercased()], account: .root).count == 1)
        }
    }

    @Test("keeps the client's own ids unique within the account", arguments: StoreFactory.all)
    func ownIDs(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            func draft(_ trackingID: String) -> RecipientDraft {
                RecipientDraft(address: "a@b.example", domain: "b.example", trackingID: trackingID, mergeFields: [])
            }
            let generated = fixture.trackingIDs(try await fixture.add(1, to: id))[0]
            let first = try await fixture.store.addRecipients(
                [draft("one"), draft("one"), draft("two"), draft(generated)],
                to: id,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            guard case .accepted(let recipient, "one") = first[0], case .accepted(_, "two") = first[2] else {
                Issue.record("not accepted: \(first)")
                return
            }
            #expect(first[1] == .trackingIDTaken && first[3] == .trackingIDTaken)
            let other = try await fixture.makeMailing()
            let again = try await fixture.store.addRecipients(
                [draft("two")],
                to: other,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            #expect(again == [.trackingIDTaken])
            let elsewhere = try await fixture.makeMailing(account: AccountID(rawValue: 4))
            let theirs = try await fixture.store.addRecipients(
                [draft("two")],
                to: elsewhere,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            #expect(theirs != [.trackingIDTaken])
            let report = try #require(try await fixture.store.reports(of: ["one"], account: .root).first)
            #expect(report.recipient == recipient && report.trackingID == "one")
            // By the number that its position would have generated it is not found.
            #expect(try await fixture.store.reports(of: fixture.trackingIDs([recipient]), account: .root) == [])
            #expect(try await fixture.counters(id).total == 3)
        }
    }

    @Test("frees the client's own ids when their mailing is deleted", arguments: StoreFactory.all)
    func ownIDsAfterDeletion(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let draft = RecipientDraft(address: "a@b.c", domain: "b.c", trackingID: "mine", mergeFields: [])
            let first = try await fixture.makeMailing()
            _ = try await fixture.store.addRecipients(
                [draft],
                to: first,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            _ = try await fixture.store.deleteMailing(first, in: .everything, at: fixture.now)
            let second = try await fixture.makeMailing()
            let admissions = try await fixture.store.addRecipients(
                [draft],
                to: second,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            #expect(admissions != [.trackingIDTaken])
            try await fixture.reopen()
            let report = try #require(try await fixture.store.reports(of: ["mine"], account: .root).first)
            #expect(report.recipient.mailing == second)
        }
    }

    @Test("puts a domain into one bucket with dense ordinals, the same after a restart", arguments: StoreFactory.all)
    func buckets(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let first = try await fixture.add(3, to: id, domain: "one.example")
            try await fixture.reopen()
            let second = try await fixture.add(3, to: id, domain: "one.example")
            #expect(Set((first + second).map(\.bucket)).count == 1)
            #expect((first + second).map(\.ordinal) == [0, 1, 2, 3, 4, 5])
            #expect(first[0].bucket.rawValue < Bucket.hashedCount)
        }
    }

    @Test(
        "gives a domain that an affinity names a bucket of its own; what is placed stays",
        arguments: StoreFactory.all
    )
    func affinityBuckets(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            let before = try await fixture.add(2, to: id, domain: "big.example")
            _ = try await fixture.makeSatellite("s", affinity: DomainAffinity(include: ["big.example"]))
            let after = try await fixture.add(2, to: id, domain: "big.example")
            #expect(before.allSatisfy { $0.bucket.rawValue < Bucket.hashedCount })
            #expect(after.allSatisfy { $0.bucket.rawValue >= Bucket.hashedCount })
            let backlog = try await fixture.store.backlog(at: fixture.now)
            #expect(backlog.first { $0.bucket == after[0].bucket }?.domain == "big.example")
            #expect(backlog.first { $0.bucket == before[0].bucket }?.domain == nil)
        }
    }

    @Test("gives a domain past 20,000 recipients a bucket of its own", arguments: StoreFactory.all)
    func largeDomains(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            var recipients: [RecipientID] = []
            for _ in 0..<7 { recipients += try await fixture.add(3_000, to: id, domain: "big.example") }
            let hashed = recipients.filter { $0.bucket.rawValue < Bucket.hashedCount }
            #expect(hashed.count == 20_000)
            #expect(Set(recipients.dropFirst(20_000).map(\.bucket)).count == 1)
            #expect(Set(recipients).count == 21_000)
            let small = try await fixture.add(1, to: id, domain: "small.example")
            #expect(small[0].bucket.rawValue < Bucket.hashedCount)
        }
    }

    @Test("refuses recipients for a finished or ending mailing", arguments: StoreFactory.all)
    func finished(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            _ = try await fixture.store.expireRemaining(id, at: fixture.now)
            #expect(try await fixture.mailing(id).status == .finished)
            let error = await #expect(throws: StoreError.self) { try await fixture.add(1, to: id) }
            #expect(error?.code == .mailingFinished)
        }
    }

    @Test("leaves the buckets of the rest alone when a test send comes while filling", arguments: StoreFactory.all)
    func testSends(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing(start: false)
            try await fixture.add(2, to: id)
            let tests = try await fixture.add(1, to: id, prefix: "test", .express)
            let satellite = try await fixture.makeSatellite()
            let grants = try await fixture.claimAll(satellite)
            #expect(grants.flatMap(\.entries).map(\.recipient) == tests)
            #expect(grants.first?.deliveryClass == .express)
            let decisions = try await fixture.startAll(grants, by: satellite)
            #expect(decisions[0].granted.count == 1)
            try await fixture.reportAll(grants, from: satellite)
            let mailing = try await fixture.mailing(id)
            #expect(mailing.status == .filling && mailing.started == nil)
            #expect(mailing.counters.total == 3 && mailing.counters.delivered == 1)
            #expect(try await fixture.report(of: tests[0]).isTest)
            try await fixture.start(id)
            let rest = try await fixture.claimAll(satellite)
            #expect(rest.flatMap(\.entries).count == 2)
            try await fixture.checkTotals(id)
        }
    }
}
