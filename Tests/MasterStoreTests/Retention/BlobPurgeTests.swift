// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("Blobs that nobody needs", .timeLimit(.minutes(15)))
struct BlobPurgeTests {
    private static func addOne(with attachment: BlobHash, to mailing: MailingID, _ fixture: Fixture) async throws {
        let draft = RecipientDraft(
            address: "a@b.example",
            domain: "b.example",
            mergeFields: [],
            attachments: [attachment]
        )
        let admissions = try await fixture.store.addRecipients(
            [draft],
            to: mailing,
            in: .everything,
            deliveryClass: .bulk,
            at: fixture.now
        )
        guard case .accepted = admissions[0] else { throw StoreError(.conflict, "not accepted") }
    }

    /// Deletes a mailing and waits until nothing of it is left.
    private static func delete(_ mailing: MailingID, _ fixture: Fixture) async throws {
        _ = try await fixture.store.deleteMailing(mailing, in: .everything, at: fixture.now)
        try await fixture.untilPurged()
    }

    @Test("an attachment goes with the last mailing that needs it", arguments: StoreFactory.all)
    func shared(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let shared = try await fixture.store.putBlob([1, 2, 3], at: fixture.now)
            let first = try await fixture.makeMailing()
            let second = try await fixture.makeMailing()
            try await Self.addOne(with: shared, to: first, fixture)
            try await Self.addOne(with: shared, to: second, fixture)
            fixture.pass(.seconds(60))
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (1, false))
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (0, false))
            try await Self.delete(first, fixture)
            #expect(try await fixture.store.blob(shared) == [1, 2, 3])
            try await Self.delete(second, fixture)
            #expect(try await fixture.store.blob(shared) == nil)
        }
    }

    @Test("content goes with its mailing, all its revisions", arguments: StoreFactory.all)
    func content(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let kept = try await fixture.makeMailing()
            let gone = try await fixture.makeMailing()
            let first = try await fixture.mailing(gone).content
            let now = fixture.now
            _ = try await fixture.store.updateMailing(gone, in: .everything, at: now) { _ in
                MailingContent(
                    mailing: gone,
                    subject: "Other",
                    body: .alternative(html: "<p>other</p>", plain: nil),
                    mailFrom: "n@e.example",
                    senderName: "N"
                )
            }
            let second = try await fixture.mailing(gone).content
            #expect(first != second)
            try await Self.delete(gone, fixture)
            for hash in [first, second] { #expect(try await fixture.store.blob(hash) == nil) }
            #expect(try await fixture.store.blob(fixture.mailing(kept).content) != nil)
        }
    }

    @Test("large ones go a few at a time", arguments: StoreFactory.all)
    func large(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            for number in 0..<UInt8(5) {
                let bytes = [UInt8](repeating: number, count: 3 << 20)
                _ = try await fixture.store.putBlob(bytes, at: fixture.now)
            }
            fixture.pass(.seconds(60))
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (2, true))
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (2, true))
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (1, false))
        }
    }

    @Test("what was stored for a call that failed goes after a time, in steps", arguments: StoreFactory.all)
    func unused(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            var hashes: [BlobHash] = []
            for number in 0..<UInt8(130) { hashes.append(try await fixture.store.putBlob([number], at: fixture.now)) }
            let mailing = try await fixture.makeMailing()
            try await Self.addOne(with: hashes[7], to: mailing, fixture)
            fixture.pass(.seconds(60))
            // Stored again is as good as new.
            _ = try await fixture.store.putBlob([8], at: fixture.now)
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (100, true))
            #expect(try await fixture.store.purgeBlobs(before: fixture.now) == (29, false))
            for (number, hash) in hashes.enumerated() {
                #expect(try await fixture.store.blob(hash) == ([7, 8].contains(number) ? [UInt8(number)] : nil))
            }
        }
    }
}
