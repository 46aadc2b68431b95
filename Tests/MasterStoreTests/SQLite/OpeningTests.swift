// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import MailingModel
import Testing

@testable import MasterStore

func fileSize(_ path: String) throws -> Int {
    try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? -1
}

@Suite("Opening an SQLite store")
struct OpeningTests {
    private func open(_ directory: String) async throws -> MailingStore {
        try await MailingStore.open(
            SQLiteConfiguration(path: directory + "/store.db"),
            secrets: TestSecrets.make()
        )
    }

    @Test("keeps a second master out until the first has closed (C12)")
    func locked() async throws {
        try await withTemporaryDirectory { directory in
            let first = try await self.open(directory)
            let error = await #expect(throws: StoreError.self) { _ = try await self.open(directory) }
            #expect(error?.code == .locked)
            try await first.close()
            let second = try await self.open(directory)
            #expect(second.identity.storeID == first.identity.storeID)
            #expect(second.identity.term > first.identity.term)
            try await second.close()
        }
    }

    @Test("refuses every operation after closing")
    func closed() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await self.open(directory)
            try await store.close()
            await #expect(throws: StoreError.self) { _ = try await store.putBlob([1], at: Timestamp(seconds: 1)) }
            await #expect(throws: (any Error).self) { _ = try await store.feedHead() }
        }
    }

    @Test("carries out what waits when it is closed")
    func closeDrains() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await self.open(directory)
            let accepted = try await withThrowingTaskGroup(of: BlobHash?.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        do {
                            return try await store.putBlob([UInt8(number)], at: Timestamp(seconds: 1))
                        } catch is StoreError { return nil }
                    }
                }
                group.addTask {
                    try await store.close()
                    return nil
                }
                return try await group.reduce(into: [BlobHash]()) { if let hash = $1 { $0.append(hash) } }
            }
            let again = try await self.open(directory)
            for hash in accepted { #expect(try await again.blob(hash) != nil) }
            try await again.close()
        }
    }

    @Test("refuses a store that a newer version has written, and leaves it as it is")
    func newerSchema() async throws {
        try await withTemporaryDirectory { directory in
            try await self.open(directory).close()
            let path = directory + "/store.db"
            let other = try DatabaseQueue(path: path)
            try await other.write { try $0.execute(sql: "PRAGMA user_version = 99") }
            try other.close()
            let error = await #expect(throws: StoreError.self) { _ = try await self.open(directory) }
            #expect(error?.code == .newerSchema)
            let reader = try DatabaseQueue(path: path)
            #expect(try await reader.read { try Int.fetchOne($0, sql: "PRAGMA user_version") } == 99)
            try reader.close()
        }
    }

    @Test("refuses another program's database and a file that is none")
    func foreign() async throws {
        try await withTemporaryDirectory { directory in
            let other = try DatabaseQueue(path: directory + "/store.db")
            try await other.write { try $0.execute(sql: "PRAGMA application_id = 77; CREATE TABLE t(x)") }
            try other.close()
            let error = await #expect(throws: StoreError.self) { _ = try await self.open(directory) }
            #expect(error?.code == .corrupt)
        }
        try await withTemporaryDirectory { directory in
            let noise = Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            try noise.write(to: URL(fileURLWithPath: directory + "/store.db"))
            let error = await #expect(throws: StoreError.self) { _ = try await self.open(directory) }
            #expect(error?.code == .corrupt)
        }
    }

    @Test("lets nobody but its user read the files")
    func permissions() async throws {
        try await withTemporaryDirectory { directory in
            let store = try await self.open(directory)
            for suffix in ["", "-wal", ".lock"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: directory + "/store.db" + suffix)
                #expect((attributes[.posixPermissions] as? Int) == 0o600, "store.db\(suffix)")
            }
            try await store.close()
        }
    }

    @Test("brings a store of the first version up to date, and goes on with its lease serials")
    func firstVersion() async throws {
        try await withTemporaryDirectory { directory in
            let old = try DatabaseQueue(path: directory + "/store.db")
            try await old.write { database in
                try database.execute(sql: SchemaRecorder.script(of: Schema.steps[0]))
                try database.execute(
                    sql: """
                        INSERT INTO lease(serial, term, satellite, mailing, bucket, class, revision, first, size, started,
                            closed, open, granted)
                        VALUES (41, 1, 1, 1, 0, 0, 1, 0, 1, x'', x'', 1, 0), (42, 1, 1, 1, 0, 0, 1, 1, 1, x'', x'', 1, 0);
                        DELETE FROM lease WHERE serial = 42;
                        PRAGMA user_version = 1;
                        PRAGMA application_id = \(Schema.applicationID)
                        """
                )
            }
            try old.close()
            let store = try await self.open(directory)
            #expect(store.identity.schemaVersion == Schema.newest)
            #expect(try await store.highestLeaseSerial().rawValue == 42)
            #expect(try await store.leases(of: nil).map(\.serial.rawValue) == [41])
            try await store.close()
        }
    }

    @Test("a backup made while operations go on opens and equals one state of the original")
    func backup() async throws {
        try await StoreFactory.sqlite.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(500, to: id)
            let satellite = try await fixture.makeSatellite()
            try await fixture.deliverAll(satellite)
            let (store, now) = (fixture.store, fixture.now)
            let path = fixture.location.directory + "/copy.db"
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await store.backup(to: path) }
                group.addTask {
                    for part in 0..<20 {
                        let drafts = Fixture.drafts(part * 10..<part * 10 + 10, domain: "more.example")
                        _ = try await store.addRecipients(
                            drafts,
                            to: id,
                            in: .everything,
                            deliveryClass: .bulk,
                            at: now
                        )
                    }
                }
                try await group.waitForAll()
            }
            let copy = try await MailingStore.open(
                SQLiteConfiguration(path: path),
                secrets: TestSecrets.make()
            )
            let counters = try #require(try await copy.mailing(id, in: .everything)).counters
            #expect(counters.delivered == 500 && counters.total >= 500 && counters.total <= 700)
            #expect((counters.total - 500) % 10 == 0)
            #expect(try await copy.reconcileCounters() == 0)
            #expect(copy.identity.storeID == store.identity.storeID)
            let original = try await store.feed(after: 0, filter: RecipientFilter(), in: .everything, limit: 1000)
            let copied = try await copy.feed(after: 0, filter: RecipientFilter(), in: .everything, limit: 1000)
            #expect(copied.entries == original.entries && copied.entries.count == 500)
            // It knows that it is a copy, and so does a copy of it, until an operator confirms it.
            #expect(copy.identity.isCopy && !store.identity.isCopy)
            try await copy.backup(to: path + ".2")
            try await copy.adopt()
            try await copy.close()
            let adopted = try await MailingStore.open(SQLiteConfiguration(path: path), secrets: TestSecrets.make())
            #expect(!adopted.identity.isCopy)
            try await adopted.close()
            let second = try await MailingStore.open(
                SQLiteConfiguration(path: path + ".2"),
                secrets: TestSecrets.make()
            )
            #expect(second.identity.isCopy)
            try await second.close()
        }
    }
}
