// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Secrets
import Synchronization

/// The API keys that are in force, in memory, so that authentication never waits.
final class KeyRing: Sendable {
    private let records = Mutex<[String: APIKeyRecord]>([:])
    /// Compared with when there is no such key, so that an unknown key takes as long as a wrong one.
    private let decoy = APIKey.generate().hash

    /// Takes the keys of the store that are not revoked.
    func reload(from store: any MailingStore) async throws {
        let keys = try await store.keys().filter { $0.revoked == nil }
        self.records.withLock { $0 = Dictionary(keys.map { ($0.publicID, $0) }) { _, last in last } }
    }

    func insert(_ record: APIKeyRecord) { self.records.withLock { $0[record.publicID] = record } }

    func remove(_ publicID: String) { self.records.withLock { $0[publicID] = nil } }

    func authenticate(secret: String) -> APIKeyRecord? {
        guard let key = APIKey(parsing: secret) else { return nil }
        let record = self.records.withLock { $0[key.publicID] }
        guard let record, let hash = KeyHash(stored: record.secretHash) else {
            _ = self.decoy.matches(key)
            return nil
        }
        return hash.matches(key) ? record : nil
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
