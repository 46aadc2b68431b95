// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Blobs, signing keys, satellites and API keys.
enum Registry {
    // MARK: Blobs

    static func putBlob(_ bytes: [UInt8], _ hash: BlobHash, _ transaction: StoreTransaction) throws {
        try transaction.prepare("INSERT INTO blob(hash, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(1, hash.bytes).bind(2, bytes).run()
    }

    static func blob(_ hash: BlobHash, _ transaction: StoreTransaction) throws -> [UInt8]? {
        try transaction.prepare("SELECT bytes FROM blob WHERE hash = ?").bind(1, hash.bytes).first { try $0.blob(0) }
    }

    static func putKey(sealed: [UInt8], _ hash: BlobHash, _ transaction: StoreTransaction) throws {
        try transaction.prepare("INSERT INTO signing_key(hash, sealed) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(1, hash.bytes).bind(2, sealed).run()
    }

    static func key(_ hash: BlobHash, _ transaction: StoreTransaction) throws -> [UInt8]? {
        try transaction.prepare("SELECT sealed FROM signing_key WHERE hash = ?").bind(1, hash.bytes)
            .first { try $0.blob(0) }
    }

    // MARK: Satellites

    private static let satelliteColumns =
        "id, serial, enabled, keys, shared_key, paired, satellite_group, weight, affinity, version"

    static func satellites(_ transaction: StoreTransaction) throws -> [SatelliteRecord] {
        var found: [SatelliteRecord] = []
        try transaction.prepare("SELECT \(Self.satelliteColumns) FROM satellite WHERE removed IS NULL ORDER BY id")
            .rows { found.append(try Self.satellite($0, transaction)) }
        return found
    }

    static func satellite(_ id: SatelliteID, _ transaction: StoreTransaction) throws -> SatelliteRecord {
        let found =
            try transaction
            .prepare("SELECT \(Self.satelliteColumns) FROM satellite WHERE id = ? AND removed IS NULL")
            .bind(1, Int(id.rawValue)).first { try Self.satellite($0, transaction) }
        guard let found else { throw StoreError(.unknownRecord, "there is no satellite \(id.rawValue)") }
        return found
    }

    static func add(_ record: SatelliteRecord, _ transaction: StoreTransaction) throws -> SatelliteRecord {
        try Self.requireUnused(record.serial, record.publicKeys, by: nil, transaction)
        let statement = try transaction.prepare(
            """
            INSERT INTO satellite(serial, enabled, keys, shared_key, paired, satellite_group, weight, affinity, version)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
            """
        )
        let id = try transaction.insert(Self.bind(record, statement, transaction))
        var record = record
        record.id = SatelliteID(rawValue: Int32(truncatingIfNeeded: id))
        try Self.noteAffinities(transaction)
        return record
    }

    /// Writes a satellite's changed record.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if its new serial or a new key of its is another's.
    static func update(
        _ record: SatelliteRecord,
        replacing old: SatelliteRecord,
        _ transaction: StoreTransaction
    ) throws {
        // What it has already may collide with another's in a store of an older version; that must not keep it from
        // being disabled.
        try Self.requireUnused(
            record.serial == old.serial ? nil : record.serial,
            record.publicKeys.filter { !old.publicKeys.contains($0) },
            by: record.id,
            transaction
        )
        let statement = try transaction.prepare(
            """
            UPDATE satellite SET serial = ?, enabled = ?, keys = ?, shared_key = ?, paired = ?, satellite_group = ?,
            weight = ?, affinity = ?, version = ? WHERE id = ?
            """
        )
        try Self.bind(record, statement, transaction).bind(10, Int(record.id.rawValue)).run()
        try Self.noteAffinities(transaction)
    }

    private static func requireUnused(
        _ serial: String?,
        _ keys: [[UInt8]],
        by id: SatelliteID?,
        _ transaction: StoreTransaction
    ) throws {
        guard serial != nil || !keys.isEmpty else { return }
        for other in try Self.satellites(transaction) where other.id != id {
            if let serial, other.hasSerial(serial) {
                throw StoreError(.conflict, "a satellite \(other.serial) exists already")
            }
            if !Set(other.publicKeys).isDisjoint(with: keys) {
                throw StoreError(.conflict, "the public key belongs to satellite \(other.serial) already")
            }
        }
    }

    /// Marks a satellite as removed; its row stays for the name in old reports.
    static func remove(_ id: SatelliteID, _ transaction: StoreTransaction) throws {
        _ = try Self.satellite(id, transaction)
        guard try LeaseRow.fetch(of: id, transaction).isEmpty else {
            throw StoreError(.conflict, "satellite \(id.rawValue) still holds leases")
        }
        try transaction.prepare("UPDATE satellite SET removed = 1, keys = ?, shared_key = NULL WHERE id = ?")
            .bind(1, [UInt8]()).bind(2, Int(id.rawValue)).run()
        try JournalMarks.remove(id, transaction)
        try Self.noteAffinities(transaction)
    }

    /// Keeps the set of domains that some affinity names; they get buckets of their own.
    private static func noteAffinities(_ transaction: StoreTransaction) throws {
        var domains: Set<String> = []
        for satellite in try Self.satellites(transaction) {
            domains.formUnion(satellite.affinity.include)
            domains.formUnion(satellite.affinity.exclude)
        }
        try transaction.prepare("DELETE FROM affinity_domain").run()
        for domain in domains.sorted() {
            try transaction.prepare("INSERT INTO affinity_domain(domain) VALUES (?)").bind(1, domain).run()
        }
    }

    private static func bind(
        _ record: SatelliteRecord,
        _ statement: any StoreStatement,
        _ transaction: StoreTransaction
    ) throws -> any StoreStatement {
        let sealed = try record.sharedKey.map { try transaction.context.secrets.seal(Array($0.utf8)) }
        return statement.bind(1, record.serial).bind(2, record.enabled ? 1 : 0)
            .bind(3, record.publicKeys.flatMap { $0 }).bind(4, sealed).bind(5, record.paired)
            .bind(6, record.group).bind(7, record.weight)
            .bind(8, [UInt8](try JSONEncoder().encode(record.affinity))).bind(9, record.version)
    }

    private static func satellite(_ row: any StoreRow, _ transaction: StoreTransaction) throws -> SatelliteRecord {
        let keys = try row.blob(3)
        let sharedKey = try row.optionalBlob(4).map { try transaction.context.secrets.open($0) }
        return SatelliteRecord(
            id: SatelliteID(rawValue: try row.integer(0)),
            serial: try row.text(1),
            enabled: try row.bool(2),
            publicKeys: stride(from: 0, to: keys.count, by: 32).map { Array(keys[$0..<min($0 + 32, keys.count)]) },
            sharedKey: sharedKey.map { String(decoding: $0, as: UTF8.self) },
            paired: try row.optionalTimestamp(5),
            group: try row.optionalText(6),
            weight: try row.int(7),
            affinity: try JSONDecoder().decode(DomainAffinity.self, from: Data(try row.blob(8))),
            version: try row.optionalText(9)
        )
    }

    // MARK: API keys

    static func add(_ key: APIKeyRecord, _ transaction: StoreTransaction) throws -> APIKeyRecord {
        let number = try transaction.insert(
            transaction.prepare(
                """
                INSERT INTO api_key(public_id, hash, name, account, autoescape, created, revoked)
                VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
                """
            ).bind(1, key.publicID).bind(2, key.secretHash).bind(3, key.name).bind(4, Int(key.account.rawValue))
                .bind(5, key.autoescape.map { $0 ? 1 : 0 }).bind(6, key.created).bind(7, key.revoked)
        )
        var key = key
        key.number = number
        return key
    }

    static func keys(_ transaction: StoreTransaction) throws -> [APIKeyRecord] {
        var found: [APIKeyRecord] = []
        try transaction.prepare(
            "SELECT public_id, hash, name, account, autoescape, created, revoked, id FROM api_key ORDER BY id"
        ).rows { row in
            found.append(
                APIKeyRecord(
                    number: try row.int64(7),
                    publicID: try row.text(0),
                    secretHash: try row.blob(1),
                    name: try row.text(2),
                    account: AccountID(rawValue: try row.integer(3)),
                    autoescape: try row.optionalInt64(4).map { $0 != 0 },
                    created: try row.timestamp(5),
                    revoked: try row.optionalTimestamp(6)
                )
            )
        }
        return found
    }

    /// Revokes the key of a public id, or of a number if no public id is the same; revoking it again keeps the first time.
    ///
    /// - Returns: The key's public id; `nil` if there is no such key.
    static func revoke(_ key: String, at now: Timestamp, _ transaction: StoreTransaction) throws -> String? {
        func revoke(_ condition: String, _ bind: (any StoreStatement) -> any StoreStatement) throws -> String? {
            let statement = try transaction.prepare(
                "UPDATE api_key SET revoked = coalesce(revoked, ?) WHERE \(condition) RETURNING public_id"
            ).bind(1, now)
            return try bind(statement).first { try $0.text(0) }
        }
        if let publicID = try revoke("public_id = ?", { $0.bind(2, key) }) { return publicID }
        guard let number = Int64(key) else { return nil }
        return try revoke("id = ?") { $0.bind(2, number) }
    }
}
