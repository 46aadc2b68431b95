// SPDX-License-Identifier: Apache-2.0

internal import GRDB

/// The tables, as an ordered list of steps that are never edited once released; a change is a further step.
///
/// A recipient's row never changes. What happens to it lies in `delivery`, which has a row only for recipients that
/// were reported, requeued or skipped: an unleased one costs nothing. Claiming unleased recipients moves a watermark
/// in `bucket` and writes one `lease`, both in one transaction.
enum Schema {
    /// The newest version that this code can read.
    static var newest: Int { Self.steps.count }

    /// "TLST": distinguishes a store from another program's database.
    static let applicationID = 0x544C_5354

    /// Brings a database up to date.
    ///
    /// - Throws: ``StoreError/Code/newerSchema`` if it was written by a newer version, ``StoreError/Code/corrupt`` if it
    ///   is another program's.
    static func migrate(
        _ database: Database,
        _ steps: [SchemaStep] = Self.steps,
        onStep: (SchemaProgress) -> Void = { _ in }
    ) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let owner = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        guard owner == Self.applicationID || (owner == 0 && version == 0) else {
            throw StoreError(.corrupt, "the file is another program's database (application id \(owner))")
        }
        guard version <= Self.newest else {
            throw StoreError(
                .newerSchema,
                "the store has schema version \(version), this program knows \(Self.newest): install a newer one"
            )
        }
        try SchemaStep.run(steps, from: version, on: Editor(database: database), onStep: onStep)
        try database.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
    }

    // MARK: Partitions

    struct Editor: SchemaEditor {
        let database: Database

        func run(_ script: String) throws { try self.database.execute(sql: script) }

        func tables(_ table: PartitionedTable) throws -> [String] {
            let name = table.rawValue
            return try String.fetchAll(
                self.database,
                sql: """
                    SELECT name FROM sqlite_master WHERE type = 'table' AND (name = ?1
                    OR (name GLOB ?1 || '_[0-9]*' AND NOT substr(name, length(?1) + 2) GLOB '*[^0-9]*')) ORDER BY name
                    """,
                arguments: [name]
            )
        }

        func note(version: Int) throws { try self.database.execute(sql: "PRAGMA user_version = \(version)") }
    }

    /// Makes the tables and indexes of a mailing's own partition as the shared ones are now, from their own SQL.
    static func makeTables(of partition: Partition, _ database: Database) throws {
        for (shared, own) in [
            (Partition.shared.recipients, partition.recipients), (Partition.shared.deliveries, partition.deliveries),
        ] {
            let definitions = try Row.fetchAll(
                database,
                sql: """
                    SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL
                    ORDER BY type = 'index', name
                    """,
                arguments: [shared]
            )
            for definition in definitions {
                let (name, definitionSQL): (String, String) = (definition[0], definition[1])
                let (opening, renamed) =
                    name == shared
                    ? ("CREATE TABLE \(shared)(", "CREATE TABLE \(own)(")
                    : (
                        "CREATE INDEX \(name) ON \(shared)(",
                        "CREATE INDEX \(own)\(name.trimmingPrefix(shared)) ON \(own)("
                    )
                guard definitionSQL.hasPrefix(opening) else {
                    throw StoreError(.corrupt, "the definition of \(name) is not as this program made it")
                }
                try database.execute(sql: renamed + definitionSQL.dropFirst(opening.count))
            }
        }
    }

    /// Step `i` leads from version `i` to `i + 1`; never edit one.
    static let steps: [SchemaStep] = [
        SchemaStep(
            "first tables",
            """
            CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
            INSERT INTO meta VALUES ('store_id', lower(hex(randomblob(16)))), ('term', 0), ('feed', 0), ('horizon', 0);

            CREATE TABLE account(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
            INSERT INTO account(id, name) VALUES (0, 'root');

            CREATE TABLE blob(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);
            CREATE TABLE signing_key(hash BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;

            CREATE TABLE mailing(
                id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, status INTEGER NOT NULL,
                domain TEXT NOT NULL, owner TEXT, satellite_group TEXT, properties BLOB NOT NULL,
                content BLOB NOT NULL, revision INTEGER NOT NULL, subject TEXT NOT NULL,
                created INTEGER NOT NULL, submitted INTEGER, started INTEGER, ended INTEGER,
                last_added INTEGER, ending INTEGER, no_grace INTEGER NOT NULL DEFAULT 0,
                total INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
                expired INTEGER NOT NULL DEFAULT 0, deferred INTEGER NOT NULL DEFAULT 0,
                uncertain INTEGER NOT NULL DEFAULT 0, unrenderable INTEGER NOT NULL DEFAULT 0);
            CREATE INDEX mailing_status ON mailing(status);
            CREATE TABLE revision(
                mailing INTEGER NOT NULL, number INTEGER NOT NULL, content BLOB NOT NULL, created INTEGER NOT NULL,
                PRIMARY KEY(mailing, number)) WITHOUT ROWID;
            CREATE TABLE cohort(id INTEGER PRIMARY KEY AUTOINCREMENT, mailing INTEGER NOT NULL UNIQUE);
            CREATE TABLE tombstone(mailing INTEGER PRIMARY KEY, account INTEGER NOT NULL, deleted INTEGER NOT NULL,
                purged INTEGER, late_reports INTEGER NOT NULL DEFAULT 0);

            CREATE TABLE bucket(
                mailing INTEGER NOT NULL, bucket INTEGER NOT NULL, class INTEGER NOT NULL, domain TEXT,
                fill INTEGER NOT NULL DEFAULT 0, watermark INTEGER NOT NULL DEFAULT 0, waiting INTEGER NOT NULL DEFAULT 0,
                PRIMARY KEY(mailing, bucket)) WITHOUT ROWID;
            CREATE TABLE domain_count(
                mailing INTEGER NOT NULL, domain TEXT NOT NULL, count INTEGER NOT NULL,
                PRIMARY KEY(mailing, domain)) WITHOUT ROWID;
            CREATE TABLE affinity_domain(domain TEXT PRIMARY KEY) WITHOUT ROWID;

            CREATE TABLE recipient(
                id INTEGER PRIMARY KEY, cohort INTEGER NOT NULL, address TEXT NOT NULL, domain TEXT NOT NULL,
                tracking TEXT, flags INTEGER NOT NULL, created INTEGER NOT NULL, attachments BLOB, merge BLOB NOT NULL);
            CREATE TABLE tracking(
                account INTEGER NOT NULL, tracking TEXT NOT NULL, recipient INTEGER NOT NULL,
                PRIMARY KEY(account, tracking)) WITHOUT ROWID;

            CREATE TABLE delivery(
                id INTEGER PRIMARY KEY, state INTEGER NOT NULL, attempt INTEGER NOT NULL, reported INTEGER NOT NULL,
                missing BLOB, settled INTEGER NOT NULL, flags INTEGER NOT NULL, try_count INTEGER NOT NULL,
                first_try INTEGER, message_date INTEGER, due INTEGER, lease INTEGER, revision INTEGER,
                stage INTEGER, code INTEGER, enhanced TEXT, text TEXT, mx TEXT,
                satellite INTEGER, leased_at INTEGER, modified INTEGER NOT NULL);
            CREATE INDEX delivery_due ON delivery(id >> 22, due) WHERE due IS NOT NULL;
            CREATE INDEX delivery_uncertain ON delivery(id) WHERE state = 5;

            CREATE TABLE lease(
                serial INTEGER PRIMARY KEY AUTOINCREMENT, term INTEGER NOT NULL, satellite INTEGER NOT NULL,
                mailing INTEGER NOT NULL, bucket INTEGER NOT NULL, class INTEGER NOT NULL, revision INTEGER NOT NULL,
                first INTEGER NOT NULL, size INTEGER NOT NULL, entries BLOB,
                started BLOB NOT NULL, closed BLOB NOT NULL, open INTEGER NOT NULL,
                granted INTEGER NOT NULL, revoked INTEGER);
            CREATE INDEX lease_satellite ON lease(satellite);
            CREATE INDEX lease_place ON lease(mailing, bucket);

            CREATE TABLE event(
                seq INTEGER PRIMARY KEY, account INTEGER NOT NULL, mailing INTEGER NOT NULL, state INTEGER NOT NULL,
                snapshot BLOB NOT NULL);
            CREATE INDEX event_mailing ON event(mailing, seq);

            CREATE TABLE satellite(
                id INTEGER PRIMARY KEY AUTOINCREMENT, serial TEXT NOT NULL, enabled INTEGER NOT NULL, keys BLOB NOT NULL,
                shared_key BLOB, paired INTEGER, satellite_group TEXT, weight INTEGER NOT NULL, affinity BLOB NOT NULL,
                version TEXT, removed INTEGER);
            CREATE UNIQUE INDEX satellite_serial ON satellite(serial) WHERE removed IS NULL;
            CREATE TABLE api_key(
                id INTEGER PRIMARY KEY AUTOINCREMENT, public_id TEXT NOT NULL UNIQUE, hash BLOB NOT NULL,
                name TEXT NOT NULL, account INTEGER NOT NULL, autoescape INTEGER, created INTEGER NOT NULL, revoked INTEGER);
            """
        ),
        // Leases are numbered by a counter of our own, as events are.
        SchemaStep(
            "counter of leases",
            """
            INSERT INTO meta(name, value)
            VALUES ('lease', coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'lease'), 0));
            """
        ),
        // Which lines of an import that may be repeated have become recipients.
        SchemaStep(
            "lines of imports",
            """
            CREATE TABLE import_block(
                mailing INTEGER NOT NULL, import TEXT NOT NULL, block INTEGER NOT NULL, entries BLOB NOT NULL,
                PRIMARY KEY(mailing, import, block));
            """
        ),
        // Which mailings need a blob, so that it can go with the last of them.
        SchemaStep(
            "uses of blobs",
            """
            CREATE TABLE blob_use(
                mailing INTEGER NOT NULL, hash BLOB NOT NULL, since INTEGER NOT NULL, PRIMARY KEY(mailing, hash)) WITHOUT ROWID;
            CREATE INDEX blob_use_hash ON blob_use(hash);
            CREATE INDEX blob_use_since ON blob_use(mailing, since);
            \(BlobUse.firstUses)
            """
        ),
        // Large mailings have partitions of their own.
        SchemaStep(
            "partitions of large mailings",
            """
            ALTER TABLE mailing ADD COLUMN segment INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE mailing ADD COLUMN segment_tracked INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE tombstone ADD COLUMN segment INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE tombstone ADD COLUMN tracked INTEGER;
            """
        ),
        // The openings of the store and their commits, and how far each satellite's journal was seen.
        SchemaStep(
            "openings, and what was seen of journals",
            """
            CREATE TABLE leadership(term INTEGER PRIMARY KEY, nonce TEXT NOT NULL, "commit" INTEGER NOT NULL);
            CREATE TABLE satellite_journal(
                satellite INTEGER PRIMARY KEY, journal TEXT NOT NULL, boot TEXT NOT NULL, session INTEGER NOT NULL,
                incarnation INTEGER NOT NULL, written INTEGER NOT NULL, synced INTEGER NOT NULL,
                distrusted INTEGER NOT NULL);
            """
        ),
        // Accounts beside the root account, the credentials of their clients, and what those refer to.
        SchemaStep(
            "accounts, credentials and objects",
            """
            ALTER TABLE account ADD COLUMN folded TEXT NOT NULL DEFAULT '';
            ALTER TABLE account ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE account ADD COLUMN removed INTEGER;
            UPDATE account SET folded = lower(name), created = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
            CREATE UNIQUE INDEX account_name ON account(folded) WHERE removed IS NULL;

            CREATE TABLE credential(
                id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, api TEXT NOT NULL, name TEXT NOT NULL,
                hash TEXT NOT NULL, smtp_user TEXT, satellite_group TEXT, track_opens INTEGER NOT NULL,
                track_clicks INTEGER NOT NULL, subscription_tracking INTEGER NOT NULL, unsubscribe_page INTEGER,
                created INTEGER NOT NULL, removed INTEGER);
            CREATE UNIQUE INDEX credential_name ON credential(api, name) WHERE removed IS NULL;
            CREATE UNIQUE INDEX credential_smtp_user ON credential(api, smtp_user) WHERE removed IS NULL;
            CREATE INDEX credential_account ON credential(account) WHERE removed IS NULL;

            CREATE TABLE account_object(
                id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, kind TEXT NOT NULL, api TEXT,
                name TEXT NOT NULL, folded TEXT NOT NULL, contents BLOB NOT NULL, created INTEGER NOT NULL,
                removed INTEGER);
            CREATE UNIQUE INDEX account_object_name ON account_object(account, kind, coalesce(api, ''), folded)
            WHERE removed IS NULL;
            """
        ),
    ]
}
