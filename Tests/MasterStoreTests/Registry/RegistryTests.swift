// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Blobs, signing keys, satellites and API keys")
struct RegistryTests {
    @Test("stores a blob once under its hash and reads it again", arguments: StoreFactory.all)
    func blobs(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
            let hash = try await fixture.store.putBlob(bytes, at: fixture.now)
            #expect(try await fixture.store.putBlob(bytes, at: fixture.now) == hash)
            #expect(try await fixture.store.putBlob([], at: fixture.now) != hash)
            try await fixture.reopen()
            #expect(try await fixture.store.blob(hash) == bytes)
            let absent = try #require(BlobHash(bytes: [UInt8](repeating: 9, count: 32)))
            #expect(try await fixture.store.blob(absent) == nil)
        }
    }

    @Test("gives each recipient its own attachments in order", arguments: StoreFactory.all)
    func attachments(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let hashes = [
                try await fixture.store.putBlob([1], at: fixture.now),
                try await fixture.store.putBlob([2], at: fixture.now),
            ]
            let id = try await fixture.makeMailing()
            let draft = RecipientDraft(
                address: "a@b.example",
                domain: "b.example",
                mergeFields: [],
                attachments: hashes
            )
            _ = try await fixture.store.addRecipients(
                [draft],
                to: id,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            let grants = try await fixture.claimAll(try await fixture.makeSatellite())
            #expect(grants[0].entries[0].attachments == hashes)
        }
    }

    @Test("stores signing keys sealed and opens them again", arguments: StoreFactory.all)
    func signingKeys(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let pem = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"
            let hash = try await fixture.store.putSigningKey(pem: pem)
            #expect(try await fixture.store.putSigningKey(pem: pem) == hash)
            try await fixture.reopen()
            #expect(try await fixture.store.signingKey(hash) == pem)
            #expect(try await fixture.store.blob(hash) == nil)
        }
    }

    @Test("keeps satellites with their keys, affinity and names", arguments: StoreFactory.all)
    func satellites(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            var record = SatelliteRecord(
                id: SatelliteID(rawValue: 0),
                serial: "one",
                enabled: false,
                publicKeys: [[UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32)],
                sharedKey: "sesame",
                paired: fixture.now,
                group: "g",
                weight: 3,
                affinity: DomainAffinity(include: ["a.example"], exclude: ["b.example"]),
                version: "1.0"
            )
            record = try await fixture.store.addSatellite(record)
            #expect(record.id.rawValue > 0)
            let two = try await fixture.makeSatellite("two")
            try await fixture.reopen()
            #expect(try await fixture.store.satellites().map(\.id) == [record.id, two])
            #expect(try await fixture.store.satellites().first == record)
            let changed = try await fixture.store.updateSatellite(two) {
                $0.serial = "zwei"
                $0.publicKeys = []
            }
            #expect(changed.serial == "zwei" && changed.id == two)
            let taken = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.updateSatellite(two) { $0.serial = "one" }
            }
            #expect(taken?.code == .conflict)
            let again = await #expect(throws: StoreError.self) { _ = try await fixture.makeSatellite("one") }
            #expect(again?.code == .conflict)
            let keyOfOne = record.publicKeys[1]
            let borrowed = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.updateSatellite(two) { $0.publicKeys = [keyOfOne] }
            }
            #expect(borrowed?.code == .conflict && borrowed?.message.contains("one") == true)
            let spelled = await #expect(throws: StoreError.self) { _ = try await fixture.makeSatellite("ONE") }
            #expect(spelled?.code == .conflict)
            let absent = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.updateSatellite(SatelliteID(rawValue: 99)) { _ in }
            }
            #expect(absent?.code == .unknownRecord)
        }
    }

    @Test("removes a satellite only without leases; its number and name in reports stay", arguments: StoreFactory.all)
    func removal(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite("gone")
            let id = try await fixture.makeMailing()
            let recipient = try await fixture.add(1, to: id)[0]
            let grants = try await fixture.claimAll(satellite)
            let error = await #expect(throws: StoreError.self) {
                try await fixture.store.removeSatellite(satellite)
            }
            #expect(error?.code == .conflict)
            try await fixture.startAll(grants, by: satellite)
            try await fixture.reportAll(grants, from: satellite)
            try await fixture.store.removeSatellite(satellite)
            #expect(try await fixture.store.satellites().isEmpty)
            #expect(try await fixture.report(of: recipient).satellite == "gone")
            #expect(try await fixture.makeSatellite("gone") > satellite)
        }
    }

    @Test("keeps API keys in order and revokes them for good", arguments: StoreFactory.all)
    func apiKeys(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            var first = APIKeyRecord(
                publicID: "k1",
                secretHash: [1, 2],
                name: "first",
                account: .root,
                autoescape: false,
                created: fixture.now
            )
            var second = APIKeyRecord(
                publicID: "k0",
                secretHash: [3],
                name: "second",
                account: AccountID(rawValue: 2),
                created: fixture.now
            )
            first = try await fixture.store.addKey(first)
            second = try await fixture.store.addKey(second)
            #expect(first.number > 0 && second.number > first.number)
            let again = first
            let error = await #expect(throws: StoreError.self) { try await fixture.store.addKey(again) }
            #expect(error?.code == .conflict)
            #expect(try await fixture.store.keys() == [first, second])
            #expect(try await fixture.store.revokeKey("k1", at: fixture.now) == "k1")
            #expect(try await fixture.store.revokeKey("k1", at: fixture.now.advanced(by: .seconds(5))) == "k1")
            #expect(try await fixture.store.revokeKey("nobody", at: fixture.now) == nil)
            #expect(try await fixture.store.keys().first?.revoked == fixture.now)
        }
    }
}
