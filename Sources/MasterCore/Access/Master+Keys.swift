// SPDX-License-Identifier: Apache-2.0

import Logging
public import MailingModel
public import MasterStore

extension Master {
    /// Makes an API key.
    ///
    /// - Parameters:
    ///   - name: A name for people.
    ///   - account: The account that it acts for.
    ///   - autoescape: The default for mailings created with it; `nil` leaves it to the configuration.
    /// - Returns: The key with its secret, which is not to be had again.
    /// - Throws: ``MasterError/Code/storeFailed``.
    public func createKey(
        name: String,
        account: AccountID = .root,
        autoescape: Bool? = nil
    ) async throws -> CreatedKey {
        try await self.call {
            let created = KeyRing.makeKey(name: name, account: account, autoescape: autoescape, at: self.now())
            try await self.store.addKey(created.record)
            self.keys.insert(created.record)
            self.logger.info("API key created", metadata: ["key": "\(created.record.publicID)"])
            return created
        }
    }

    /// All API keys, newest last, revoked ones included.
    public func apiKeys() async throws -> [APIKeyRecord] { try await self.call { try await self.store.keys() } }

    /// Revokes an API key; it is refused from the moment that this returns.
    ///
    /// - Throws: ``MasterError/Code/unknownKey(_:)``.
    public func revokeKey(_ publicID: String) async throws {
        try await self.call {
            guard try await self.store.revokeKey(publicID, at: self.now()) else {
                throw MasterError(.unknownKey(publicID), "there is no API key \(publicID)")
            }
            self.keys.remove(publicID)
            self.logger.info("API key revoked", metadata: ["key": "\(publicID)"])
        }
    }

    /// The key whose secret this is, or `nil`; takes the same time for every wrong secret, and never waits.
    public func authenticate(secret: String) -> APIKeyRecord? { self.keys.authenticate(secret: secret) }
}
