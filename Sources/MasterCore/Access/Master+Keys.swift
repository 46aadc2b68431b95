// SPDX-License-Identifier: Apache-2.0

public import MailingModel
import MasterStore
import Secrets
import Synchronization

extension Master {
    /// Whether a key is in force; never waits.
    public func isInForce(key publicID: String) -> Bool { self.keys.isInForce(publicID) }

    /// Watches a key, so that long calls can end when it is revoked.
    ///
    /// - Parameters:
    ///   - publicID: The key's.
    ///   - revoked: Called at most once, when the key is revoked; immediately if it already is.
    /// - Returns: The watch, to be ended with the call.
    public func watch(key publicID: String, revoked: @escaping @Sendable () -> Void) -> AccessWatch {
        let observer = self.keys.observe(publicID, revoked: revoked)
        return AccessWatch { self.keys.forget(observer) }
    }

    /// The public id of the key in force that a secret names, be it the right secret or not; `nil` for any other text.
    public func knownKey(named secret: String) -> String? {
        APIKey(parsing: secret).map(\.publicID).flatMap { self.isInForce(key: $0) ? $0 : nil }
    }

    /// Returns the key with this secret, or `nil`; takes the same time for every wrong secret, and never waits.
    public func authenticate(secret: String) -> APIKeyRecord? { self.keys.authenticate(secret: secret) }
}

/// The API keys that are in force, in memory, so that authentication never waits.
final class APIKeyCache: Sendable {
    private struct Contents {
        var records: [String: APIKeyRecord] = [:]
        /// Counts changes, so that a stale read of the store can't restore a revoked key or hide a new one.
        var changes = 0
        var observers = AccessObservers<String>()

        mutating func takeBereaved() -> [@Sendable () -> Void] {
            self.observers.take { self.records[$0] == nil }
        }
    }

    private let contents = Mutex(Contents())
    /// A hash to compare with when there is no such key, so that an unknown key takes as long as a wrong one.
    private let decoy = APIKey.generate().hash

    /// Takes the keys of the store that are not revoked.
    func reload(from store: MailingStore) async throws {
        while true {
            let changes = self.contents.withLock { $0.changes }
            let keys = try await store.keys().filter { $0.revoked == nil }
            let bereaved = self.contents.withLock { contents -> [@Sendable () -> Void]? in
                guard contents.changes == changes else { return nil }
                contents.changes += 1
                contents.records = Dictionary(keys.map { ($0.publicID, $0) }) { _, last in last }
                return contents.takeBereaved()
            }
            guard let bereaved else { continue }
            return bereaved.forEach { $0() }
        }
    }

    func insert(_ record: APIKeyRecord) { self.change { $0[record.publicID] = record } }

    func remove(_ publicID: String) { self.change { $0[publicID] = nil } }

    private func change(_ change: (inout [String: APIKeyRecord]) -> Void) {
        let bereaved = self.contents.withLock { contents in
            contents.changes += 1
            change(&contents.records)
            return contents.takeBereaved()
        }
        bereaved.forEach { $0() }
    }

    // MARK: Watching a key

    func isInForce(_ publicID: String) -> Bool { self.contents.withLock { $0.records[publicID] != nil } }

    /// Calls `revoked` once, when the key is revoked; immediately if it already is.
    ///
    /// - Returns: The observer's number, for ``forget(_:)``.
    func observe(_ publicID: String, revoked: @escaping @Sendable () -> Void) -> UInt64 {
        let (number, bereaved) = self.contents.withLock { contents in
            (contents.observers.add(publicID, revoked), contents.takeBereaved())
        }
        bereaved.forEach { $0() }
        return number
    }

    func forget(_ observer: UInt64) { self.contents.withLock { $0.observers.forget(observer) } }

    func authenticate(secret: String) -> APIKeyRecord? {
        guard let key = APIKey(parsing: secret) else { return self.chosen(secret) }
        let record = self.contents.withLock { $0.records[key.publicID] }
        guard let record, let hash = KeyHash(stored: record.secretHash) else {
            _ = self.decoy.matches(key)
            return nil
        }
        return hash.matches(key) ? record : nil
    }

    /// The key with a secret that its owner chose; every such key is compared with, whichever it is.
    private func chosen(_ secret: String) -> APIKeyRecord? {
        let bytes = Array(secret.utf8)
        var found: APIKeyRecord?
        for record in self.contents.withLock({ $0.records.values.filter { $0.publicID.hasPrefix(Self.chosenPrefix) } })
        where KeyHash(stored: record.secretHash)?.matches(secret: bytes) == true {
            found = record
        }
        return found
    }

    /// What the public ids of keys with chosen secrets begin with; no generated id has a dash.
    private static let chosenPrefix = "chosen-"

    /// The record of a key whose secret its owner chose.
    static func record(
        chosenSecret secret: String,
        name: String,
        account: AccountID,
        at now: Timestamp
    ) -> APIKeyRecord {
        APIKeyRecord(
            publicID: self.chosenPrefix + name,
            secretHash: KeyHash(of: Array(secret.utf8)).bytes,
            name: name,
            account: account,
            created: now
        )
    }

    /// A new key and its record.
    static func makeKey(name: String, account: AccountID, autoescape: Bool?, at now: Timestamp) -> CreatedKey {
        let key = APIKey.generate()
        let record = APIKeyRecord(
            publicID: key.publicID,
            secretHash: key.hash.bytes,
            name: name,
            account: account,
            autoescape: autoescape,
            created: now
        )
        return CreatedKey(record: record, secret: key.text)
    }
}
