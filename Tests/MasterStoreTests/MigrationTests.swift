// SPDX-License-Identifier: Apache-2.0

import GRDB
import MailingModel
import Testing

@testable import MasterStore

/// Stores are led back to an earlier version by undoing the steps, with all that is in them, and opened.
@Suite("A store of an earlier version")
struct MigrationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let factory: StoreFactory
        let version: Int

        var testDescription: String { "\(self.factory.name), version \(self.version)" }

        static let all =
            (1..<Schema.newest).map { Case(factory: .sqlite, version: $0) }
            + (1..<PostgreSQLSchema.newest).map { Case(factory: .postgreSQL, version: $0) }
    }

    @Test("is brought up to date with what is in it", arguments: Case.all)
    func migration(of older: Case) async throws {
        let factory = older.factory
        try await factory.withStore { fixture in
            let newest = fixture.store.identity.schemaVersion
            let satellite = try await fixture.makeSatellite()
            let sent = try await fixture.makeMailing()
            try await fixture.add(3, to: sent)
            try await fixture.deliverAll(satellite)
            let waiting = try await fixture.makeMailing()
            var attachments: [BlobHash] = []
            for byte in UInt8(1)...3 {
                attachments.append(try await fixture.store.putBlob([byte], at: fixture.now))
            }
            let draft = RecipientDraft(
                address: "a@b.example",
                domain: "b.example",
                mergeFields: [],
                attachments: Array(attachments[..<2])
            )
            _ = try await fixture.store.addRecipients([draft], to: waiting, deliveryClass: .bulk, at: fixture.now)
            fixture.pass(.seconds(60))

            try await fixture.undoSteps(to: older.version)
            try await fixture.reopen()

            #expect(fixture.store.identity.schemaVersion == newest && !fixture.store.identity.isCopy)
            #expect(try await fixture.counters(sent).delivered == 3)
            try await fixture.checkTotals(sent)
            // Nothing that a mailing needs is taken for unused, and nothing else stays.
            _ = try await fixture.store.purgeBlobs(before: fixture.now)
            for hash in attachments[..<2] { #expect(try await fixture.store.blob(hash) != nil) }
            #expect(try await fixture.store.blob(attachments[2]) == nil)
            for id in [sent, waiting] { #expect(try await fixture.store.content(of: id) != nil) }
            let grants = try await fixture.claimAll(satellite)
            #expect(grants.flatMap(\.entries).map(\.attachments) == [Array(attachments[..<2])])
        }
    }
}

extension Fixture {
    /// Makes the tables as an earlier version had them, with what is in them; the store has to be opened again.
    func undoSteps(to version: Int) async throws {
        let isLocal = self.factory.name == StoreFactory.sqlite.name
        // What undoes the step from version `i + 1` to `i + 2`.
        let undoing = [
            isLocal
                ? ["DELETE FROM meta WHERE name = 'lease'", "INSERT INTO sqlite_sequence VALUES ('lease', 70)"]
                : ["ALTER TABLE store DROP COLUMN origin"],
            ["DROP TABLE import_block"],
            ["DROP TABLE blob_use"],
            [
                "ALTER TABLE mailing DROP COLUMN segment", "ALTER TABLE mailing DROP COLUMN segment_tracked",
                "ALTER TABLE tombstone DROP COLUMN segment", "ALTER TABLE tombstone DROP COLUMN tracked",
            ],
            ["DROP TABLE satellite_journal"] + (isLocal ? ["DROP TABLE leadership"] : []),
        ]
        let statements =
            undoing[(version - 1)...].reversed().flatMap(\.self)
            + [isLocal ? "PRAGMA user_version = \(version)" : "UPDATE store SET version = \(version)"]
        if isLocal {
            // Not by the store, each of whose commits is counted in a table that goes.
            try await self.close()
            try await DatabaseQueue(path: self.location.directory + "/store.db").write { database in
                for sql in statements { try database.execute(sql: sql) }
            }
        } else {
            try await self.database.write { transaction in
                for sql in statements { try transaction.prepare(sql).run() }
            }
        }
    }
}
