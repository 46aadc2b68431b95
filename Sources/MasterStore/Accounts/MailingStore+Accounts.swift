// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What went with an account that was removed, for the caches that hold it.
public struct RemovedAccount: Sendable, Hashable {
    /// The account.
    public var account: Account
    /// The public ids of the keys that were in force.
    public var keys: [String]
    /// The credentials that were in force.
    public var credentials: [CredentialID]
}

extension MailingStore {
    // MARK: Accounts

    /// All accounts in order of number; the root account first.
    public func accounts() async throws -> [Account] { try await self.read { try Accounts.all($0) } }

    /// The account of that name, in whatever case; `nil` if there is none, or it was removed.
    public func account(named name: String) async throws -> Account? {
        try await self.read { try Accounts.named(name, $0) }
    }

    /// Adds an account; its number is assigned.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if another has the name, in whatever case.
    public func addAccount(named name: String, at now: Timestamp) async throws -> Account {
        try await self.write { try Accounts.add(name, at: now, $0) }
    }

    /// How many mailings an account has that are not deleted.
    public func mailingCount(of account: AccountID) async throws -> Int {
        try await self.read { try Accounts.mailingCount(of: account, $0) }
    }

    /// Removes an account, revokes its keys and removes its credentials and objects.
    ///
    /// - Throws: ``StoreError/Code/unknownRecord``; ``StoreError/Code/conflict`` for the root account, and while it has mailings.
    public func removeAccount(_ id: AccountID, at now: Timestamp) async throws -> RemovedAccount {
        try await self.write { try Accounts.remove(id, at: now, $0) }
    }

    // MARK: Keys

    /// Stores an API key of an account that must exist, under a name that none of its keys in force has.
    ///
    /// - Returns: The key with its number.
    /// - Throws: ``StoreError/Code/unknownRecord``, ``StoreError/Code/conflict``.
    public func addAccountKey(_ key: APIKeyRecord) async throws -> APIKeyRecord {
        try await self.write { transaction in
            let account = try Accounts.required(key.account, transaction)
            let keys = try Registry.keys(transaction)
            if keys.contains(where: { $0.account == key.account && $0.name == key.name && $0.revoked == nil }) {
                throw StoreError(.conflict, "account \(account.name) has a key \(key.name) already")
            }
            return try Registry.add(key, transaction)
        }
    }

    // MARK: Credentials

    /// All credentials in order of number.
    public func credentials() async throws -> [CredentialRecord] { try await self.read { try Credentials.all($0) } }

    /// The credentials of an account in order of number.
    public func credentials(of account: AccountID) async throws -> [CredentialRecord] {
        try await self.read { try Credentials.all(of: account, $0) }
    }

    /// Adds a credential; its number is assigned.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if another credential of its API has the name or the SMTP user;
    ///   ``StoreError/Code/unknownRecord`` if there is no such account, or the account has no such unsubscribe page.
    public func addCredential(_ record: CredentialRecord) async throws -> CredentialRecord {
        try await self.write { try Credentials.add(record, $0) }
    }

    /// Removes a credential of an account.
    ///
    /// - Throws: ``StoreError/Code/unknownRecord``.
    public func removeCredential(_ id: CredentialID, of account: AccountID, at now: Timestamp) async throws {
        try await self.write { try Credentials.remove(id, of: account, at: now, $0) }
    }

    // MARK: Objects

    /// The objects of an account in order of number.
    public func objects(of account: AccountID) async throws -> [AccountObject] {
        try await self.read { try AccountObjects.all(of: account, $0) }
    }

    /// The objects of one kind of an account in order of number.
    public func objects(of account: AccountID, _ kind: AccountObject.Kind) async throws -> [AccountObject] {
        try await self.read { try AccountObjects.all(of: account, kind, $0) }
    }

    /// Adds an object; its number is assigned.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if the account has one of its kind, API and name;
    ///   ``StoreError/Code/unknownRecord`` if there is no such account.
    public func addObject(_ object: AccountObject) async throws -> AccountObject {
        try await self.write { try AccountObjects.add(object, $0) }
    }

    /// Removes an object of an account.
    ///
    /// - Throws: ``StoreError/Code/unknownRecord``; ``StoreError/Code/conflict`` for the unsubscribe page of a credential.
    public func removeObject(_ id: AccountObjectID, of account: AccountID, at now: Timestamp) async throws {
        try await self.write { try AccountObjects.remove(id, of: account, at: now, $0) }
    }
}
