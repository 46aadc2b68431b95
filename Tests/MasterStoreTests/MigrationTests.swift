// SPDX-License-Identifier: Apache-2.0

import GRDB
import MailingModel
import PostgreSQL
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
            _ = try await fixture.store.addRecipients(
                [draft],
                to: waiting,
                in: .everything,
                deliveryClass: .bulk,
                at: fixture.now
            )
            let key = APIKeyRecord(publicID: "k", secretHash: [1], name: "n", account: .root, created: fixture.now)
            try await fixture.store.addKey(key)
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
            for id in [sent, waiting] { #expect(try await fixture.store.content(of: id, in: .everything) != nil) }
            let grants = try await fixture.claimAll(satellite)
            #expect(grants.flatMap(\.entries).map(\.attachments) == [Array(attachments[..<2])])
            // Mailings and keys are the root account's, and others can be added.
            #expect(try await fixture.store.accounts().map(\.name) == ["root"])
            #expect(try await fixture.store.account(named: "Root")?.id == .root)
            #expect(try await fixture.store.mailingCount(of: .root) == 2)
            #expect(try await fixture.store.keys().map(\.account) == [.root])
            let account = try await fixture.store.addAccount(named: "acme", at: fixture.now)
            #expect(account.id.rawValue > 0)
            _ = try await fixture.store.addCredential(fixture.credential("1", of: account))
            _ = try await fixture.store.addObject(fixture.object("list", of: account))
        }
    }

    @Test("has, when the steps are undone, the tables that the earlier version made", arguments: Case.all)
    func undone(older: Case) async throws {
        try await older.factory.withStore { fixture in
            try await fixture.undoSteps(to: older.version)
            let undone = try await fixture.columns()
            #expect(undone.count > 10)
            #expect(try await fixture.columns(madeBy: older.version) == undone)
            try await fixture.reopen()
        }
    }
}

@Suite("Steps of the schema")
struct SchemaStepTests {
    @Test("released ones are never edited")
    func released() throws {
        let sqlite = try Schema.steps.map(SchemaRecorder.fingerprint)
        #expect(
            sqlite == [
                3_119_139_496_274_206_159, 11_079_694_168_065_406_449, 10_137_258_800_554_762_450,
                16_659_214_880_431_441_913, 1_749_085_536_823_359_368, 2_656_973_945_915_226_374,
                10_257_978_503_627_219_745,
            ]
        )
        let postgreSQL = try PostgreSQLSchema.steps.map(SchemaRecorder.fingerprint)
        #expect(
            postgreSQL == [
                9_698_860_756_271_785_503, 429_735_464_310_512_436, 16_053_912_833_995_510_915,
                226_125_772_438_081_669, 5_350_333_681_336_703_851, 3_629_911_850_731_888_087,
                3_317_409_246_140_267_465,
            ]
        )
    }

    @Test(
        "one changes the tables of every partition, also of a mailing that is being removed",
        arguments: StoreFactory.all
    )
    func partitions(factory: StoreFactory) async throws {
        try await factory.withStore(partitionThreshold: 10) { fixture in
            let satellite = try await fixture.makeSatellite()
            let (large, removed) = (try await fixture.makeMailing(), try await fixture.makeMailing())
            for id in [large, removed] { try await fixture.add(40, to: id) }
            // As a removal leaves it that was interrupted after the first of its two tables.
            try await fixture.store.write { try $0.prepare("DROP TABLE recipient_\(removed)").run() }
            let step = SchemaStep("notes of recipients and deliveries") { editor in
                try editor.run(onEach: .recipients) { "ALTER TABLE \($0) ADD COLUMN note text" }
                try editor.run(onEach: .deliveries) { "ALTER TABLE \($0) ADD COLUMN note text" }
            }
            try await fixture.closeIfLocal()
            try await fixture.edit(step.apply)
            let columns = try await fixture.columns()
            for table in ["recipient", "recipient_\(large)", "delivery", "delivery_\(large)", "delivery_\(removed)"] {
                #expect(columns.contains { $0.lowercased().hasPrefix("\(table).note text") }, "\(table)")
            }
            #expect(columns.count { $0.contains(".note ") } == 5)
            if factory.name == StoreFactory.sqlite.name { try await fixture.reopen() }
            // A partition that is made from now on is as the shared tables are.
            let later = try await fixture.makeMailing()
            try await fixture.add(40, to: later)
            try await fixture.deliverAll(satellite, of: large)
            #expect(try await fixture.counters(large).delivered == 40)
            try await fixture.closeIfLocal()
            let all = try await fixture.columns()
            #expect(all.count { $0.contains(".note ") } == 7)
            if factory.name == StoreFactory.sqlite.name { try await fixture.reopen() }
        }
    }

    @Test("one that fails leaves the store as it was, and the next start goes on")
    func failure() async throws {
        try await withTemporaryDirectory { directory in
            let database = try DatabaseQueue(path: directory + "/store.db")
            let failing = SchemaStep("fails") { editor in
                try editor.run("CREATE TABLE half(x)")
                throw StoreError(.full, "in the middle")
            }
            func migrate(_ steps: [SchemaStep]) throws {
                try database.inDatabase { database in
                    try database.inTransaction {
                        try Schema.migrate(database, steps)
                        return .commit
                    }
                }
            }
            func version() throws -> Int? {
                try database.inDatabase { try Int.fetchOne($0, sql: "PRAGMA user_version") }
            }
            try migrate(Array(Schema.steps.prefix(3)))
            let error = #expect(throws: StoreError.self) { try migrate(Schema.steps + [failing]) }
            #expect(error?.code == .full)
            #expect(try version() == 3)
            try migrate(Schema.steps)
            #expect(try version() == Schema.newest)
            try database.close()
        }
    }

    @Test("each is announced, and a new store is distinguished from an old one")
    func progress() throws {
        let steps = [SchemaStep("one", "-- 1"), SchemaStep("two", "-- 2")]
        func announced(from version: Int) throws -> [SchemaProgress] {
            var seen: [SchemaProgress] = []
            try SchemaStep.run(steps, from: version, on: SchemaRecorder()) { seen.append($0) }
            return seen
        }
        let update = try announced(from: 1)
        #expect(update.map(\.isDone) == [false, true])
        #expect(update.allSatisfy { $0.step == "two" && $0.version == 2 && $0.newest == 2 && !$0.isNewStore })
        let new = try announced(from: 0)
        #expect(new.map(\.step) == ["one", "one", "two", "two"])
        #expect(new.allSatisfy { $0.isNewStore })
        #expect(try announced(from: 2).isEmpty)
    }
}

extension Fixture {
    private var isLocal: Bool { self.factory.name == StoreFactory.sqlite.name }

    /// What undoes each step of SQLite's schema, from the second on.
    private static let undoingSQLite: [[String]] = [
        ["DELETE FROM meta WHERE name = 'lease'", "INSERT INTO sqlite_sequence VALUES ('lease', 70)"],
        ["DROP TABLE import_block"],
        ["DROP TABLE blob_use"],
        Fixture.withoutPartitions,
        ["DROP TABLE satellite_journal", "DROP TABLE leadership"],
        Fixture.withoutAccounts,
    ]

    /// What undoes each step of PostgreSQL's schema, from the second on.
    private static let undoingPostgreSQL: [[String]] = [
        ["ALTER TABLE store DROP COLUMN origin"],
        ["DROP TABLE import_block"],
        ["DROP TABLE blob_use"],
        Fixture.withoutPartitions,
        ["DROP TABLE satellite_journal"],
        Fixture.withoutAccounts,
    ]

    private static let withoutPartitions = [
        "ALTER TABLE mailing DROP COLUMN segment", "ALTER TABLE mailing DROP COLUMN segment_tracked",
        "ALTER TABLE tombstone DROP COLUMN segment", "ALTER TABLE tombstone DROP COLUMN tracked",
    ]

    private static let withoutAccounts = [
        "DROP TABLE credential", "DROP TABLE account_object", "DROP INDEX account_name",
        "ALTER TABLE account DROP COLUMN folded", "ALTER TABLE account DROP COLUMN created",
        "ALTER TABLE account DROP COLUMN removed",
    ]

    /// Makes the tables as an earlier version had them, with what is in them; the store has to be opened again.
    func undoSteps(to version: Int) async throws {
        let undoing = self.isLocal ? Self.undoingSQLite : Self.undoingPostgreSQL
        let statements =
            undoing[(version - 1)...].reversed().flatMap(\.self)
            + [self.isLocal ? "PRAGMA user_version = \(version)" : "UPDATE store SET version = \(version)"]
        try await self.closeIfLocal()
        try await self.edit { editor in
            for statement in statements { try editor.run(statement) }
        }
    }

    /// Closes a store in SQLite, each of whose commits is counted in a table that may go.
    func closeIfLocal() async throws {
        if self.isLocal { try await self.close() }
    }

    /// Changes the tables; a store in SQLite has to be closed.
    func edit(_ change: @escaping @Sendable (any SchemaEditor) throws -> Void) async throws {
        if self.isLocal {
            let database = try DatabaseQueue(path: self.location.directory + "/store.db")
            try await database.write { try change(Schema.Editor(database: $0)) }
            try database.close()
        } else {
            // By the writer, since the store goes on with what it does by itself.
            try await self.store.write { transaction in
                let connection = try #require(transaction.connection as? PostgreSQLStoreConnection)
                try change(PostgreSQLSchema.Editor(connection: connection.connection))
            }
        }
    }

    /// The columns of all tables, each as `table.column type nullability`; a store in SQLite has to be closed.
    func columns() async throws -> Set<String> {
        if self.isLocal {
            return try await Self.columns(try DatabaseQueue(path: self.location.directory + "/store.db"))
        }
        return try await self.columns(inSchema: "public") { _ in }
    }

    /// The columns of the tables that the steps up to a version make.
    func columns(madeBy version: Int) async throws -> Set<String> {
        if self.isLocal {
            let database = try DatabaseQueue()
            try await database.write { try Schema.migrate($0, Array(Schema.steps[..<version])) }
            return try await Self.columns(database)
        }
        return try await self.columns(inSchema: "older") { connection in
            try connection.execute(script: "CREATE SCHEMA older; SET LOCAL search_path = older")
            try connection.execute(script: PostgreSQLSchema.foundation)
            let editor = PostgreSQLSchema.Editor(connection: connection)
            try SchemaStep.run(Array(PostgreSQLSchema.steps[..<version]), from: 0, on: editor) { _ in }
        }
    }

    private static func columns(_ database: DatabaseQueue) async throws -> Set<String> {
        let columns = try await database.read { database in
            try String.fetchSet(
                database,
                sql: """
                    SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull"
                    FROM sqlite_master m, pragma_table_info(m.name) c
                    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!'
                    """
            )
        }
        try database.close()
        return columns
    }

    private func columns(
        inSchema schema: String,
        _ prepare: (PostgreSQLConnection) throws -> Void
    ) async throws -> Set<String> {
        let connection = try PostgreSQLConnection(PostgreSQLConfiguration(try self.location.postgreSQL().url))
        defer { connection.close() }
        // What it makes is gone with the transaction.
        try connection.execute(script: "BEGIN")
        try prepare(connection)
        let rows = try connection.query(
            """
            SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
            FROM information_schema.columns WHERE table_schema = $1
            """,
            [.text(schema)]
        )
        let columns = Set(try rows.map { try $0.text(0) })
        try connection.execute(script: "ROLLBACK")
        return columns
    }
}
