// SPDX-License-Identifier: Apache-2.0

import Logging
public import MailingModel
import MasterStore

/// A new API key with its secret, which is shown only once.
public struct CreatedKey: Sendable, Hashable {
    /// The record that is stored.
    public var record: APIKeyRecord
    /// The secret: what a client sends as password.
    public var secret: String
}

extension OperatorOperations {
    /// Makes an API key.
    ///
    /// - Parameters:
    ///   - name: A name for people.
    ///   - account: The account that it acts for.
    ///   - autoescape: The default for mailings created with it; `nil` leaves it to the configuration.
    /// - Returns: The key with its secret, which can't be recovered; only its hash is stored.
    /// - Throws: ``MasterError/Code/storeFailed``.
    public func createKey(
        name: String,
        account: AccountID,
        autoescape: Bool? = nil
    ) async throws -> CreatedKey {
        try await self.call {
            var created = APIKeyCache.makeKey(name: name, account: account, autoescape: autoescape, at: self.now())
            created.record = try await self.store.addKey(created.record)
            self.keys.insert(created.record)
            self.logger.info("API key created", metadata: ["key": "\(created.record.publicID)"])
            return created
        }
    }

    /// Ensures that a key with a secret chosen by the operator is in force.
    ///
    /// A generated secret is safer: whoever guesses a chosen one has full access.
    ///
    /// - Parameters:
    ///   - secret: What clients send.
    ///   - name: Names the key; one name has one secret.
    ///   - account: The account that it acts for.
    /// - Throws: ``MasterError/Code/badProperty(_:)`` if the name has a key with another secret.
    public func ensureKey(secret: String, name: String, account: AccountID) async throws {
        try await self.call {
            try await self.keys.reload(from: self.store)
            guard self.keys.authenticate(secret: secret) == nil else { return }
            let record = APIKeyCache.record(chosenSecret: secret, name: name, account: account, at: self.now())
            do {
                try await self.store.addKey(record)
            } catch let error as StoreError where error.code == .conflict {
                throw MasterError(.badProperty("name"), "the name \(name) has a key with another secret")
            }
            self.keys.insert(record)
        }
    }

    /// All API keys, newest last, revoked ones included.
    public func apiKeys() async throws -> [APIKeyRecord] { try await self.call { try await self.store.keys() } }

    /// Revokes an API key; it is refused as soon as this returns.
    ///
    /// - Parameter id: Its public id, or its number.
    /// - Throws: ``MasterError/Code/unknownKey(_:)``.
    public func revokeKey(_ id: String) async throws {
        try await self.call {
            guard let publicID = try await self.store.revokeKey(id, at: self.now()) else {
                throw MasterError(.unknownKey(id), "there is no API key \(id)")
            }
            self.keys.remove(publicID)
            // Those who wait for events look at their key again.
            self.engine.feedWatch.changed()
            self.logger.info("API key revoked", metadata: ["key": "\(publicID)"])
        }
    }
}
