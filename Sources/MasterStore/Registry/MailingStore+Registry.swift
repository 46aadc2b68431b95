// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension MailingStore {
    /// Stores a blob under its hash; storing it again changes nothing.
    ///
    /// It stays as long as a mailing needs it, and in any case until ``purgeBlobs(before:)`` with a later timestamp.
    public func putBlob(_ bytes: [UInt8], at now: Timestamp) async throws -> BlobHash {
        try await self.putBlobs([bytes], at: now)[0]
    }

    /// Stores blobs as ``putBlob(_:at:)`` does, all of them or none; returns their hashes in order.
    public func putBlobs(_ blobs: [[UInt8]], at now: Timestamp) async throws -> [BlobHash] {
        let hashes = blobs.map(self.context.secrets.digest)
        guard !blobs.isEmpty else { return [] }
        let different = Dictionary(zip(hashes, blobs)) { first, _ in first }
        try await self.write { transaction in
            for (hash, bytes) in different { try Registry.putBlob(bytes, hash, transaction) }
            try BlobUse.reserve(Set(different.keys), at: now, transaction)
        }
        return hashes
    }

    /// Removes blobs that were stored before `timestamp` and that no mailing has come to use: one step, so that other operations
    /// get their turn.
    ///
    /// - Returns: How many were looked at, and whether to call again.
    public func purgeBlobs(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool) {
        try await self.write { try BlobUse.purge(before: timestamp, $0) }
    }

    /// The blob of that name.
    public func blob(_ hash: BlobHash) async throws -> [UInt8]? {
        try await self.read { try Registry.blob(hash, $0) }
    }

    /// Stores a signing key, encrypted, under the SHA-256 of its PEM text.
    public func putSigningKey(pem: String) async throws -> BlobHash {
        let bytes = Array(pem.utf8)
        let hash = self.context.secrets.digest(bytes)
        let sealed = try self.context.secrets.seal(bytes)
        try await self.write { try Registry.putKey(sealed: sealed, hash, $0) }
        return hash
    }

    /// The PEM text of a signing key.
    public func signingKey(_ hash: BlobHash) async throws -> String? {
        let sealed = try await self.read { try Registry.key(hash, $0) }
        return try sealed.map { String(decoding: try self.context.secrets.open($0), as: UTF8.self) }
    }

    /// Adds a satellite; its number is assigned.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if its serial, in whatever case, or its key is another's.
    public func addSatellite(_ satellite: SatelliteRecord) async throws -> SatelliteRecord {
        try await self.write { try Registry.add(satellite, $0) }
    }

    /// All satellites in order of number.
    public func satellites() async throws -> [SatelliteRecord] {
        try await self.read { try Registry.satellites($0) }
    }

    /// Reads, changes and writes one satellite.
    public func updateSatellite(
        _ id: SatelliteID,
        _ change: @escaping @Sendable (inout SatelliteRecord) throws -> Void
    ) async throws -> SatelliteRecord {
        try await self.write { transaction in
            let old = try Registry.satellite(id, transaction)
            var record = old
            try change(&record)
            record.id = id
            try Registry.update(record, replacing: old, transaction)
            return record
        }
    }

    /// Removes a satellite; its leases must have been resolved.
    ///
    /// - Throws: ``StoreError/Code/conflict`` while it holds leases.
    public func removeSatellite(_ id: SatelliteID) async throws {
        try await self.write { try Registry.remove(id, $0) }
    }

    /// Stores an API key; its number is assigned.
    @discardableResult
    public func addKey(_ key: APIKeyRecord) async throws -> APIKeyRecord {
        try await self.write { try Registry.add(key, $0) }
    }

    /// All keys, newest last.
    public func keys() async throws -> [APIKeyRecord] { try await self.read { try Registry.keys($0) } }

    /// Revokes the key of a public id, or of a number.
    ///
    /// - Returns: The key's public id; `nil` if there is no such key.
    public func revokeKey(_ key: String, at now: Timestamp) async throws -> String? {
        try await self.write { try Registry.revoke(key, at: now, $0) }
    }
}
