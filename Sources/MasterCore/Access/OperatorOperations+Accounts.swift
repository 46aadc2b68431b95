// SPDX-License-Identifier: Apache-2.0

import Logging
public import MailingModel
import MasterStore
import Secrets

// What an operation on accounts has changed is in force when it returns.

extension OperatorOperations {
    // MARK: Accounts

    /// Creates an account.
    ///
    /// - Parameter name: 1 to 100 characters, unique without regard to case.
    /// - Returns: The account with its number.
    /// - Throws: ``MasterError/Code/badProperty(_:)``, ``MasterError/Code/accountExists(_:)``.
    public func createAccount(named name: String) async throws -> Account {
        try await self.call {
            try AccountRules.account(name)
            let changes = self.accountDirectory.changes
            let account: Account
            do {
                account = try await self.store.addAccount(named: name, at: self.now())
            } catch let error as StoreError where error.code == .conflict {
                throw MasterError(.accountExists(name), error.message)
            }
            if !self.accountDirectory.insert(account, since: changes) {
                try await self.accountDirectory.reload(from: self.store)
            }
            self.logger.info("account created", metadata: ["account": "\(account.name)"])
            return account
        }
    }

    /// All accounts in order of number, the root account first.
    public func accounts() async throws -> [Account] { try await self.call { try await self.store.accounts() } }

    /// The account of that name, in whatever case.
    ///
    /// - Throws: ``MasterError/Code/unknownAccount(_:)``.
    public func account(named name: String) async throws -> Account {
        try await self.call { try await self.requireAccount(name) }
    }

    /// Removes an account, revokes its keys and removes its credentials and objects.
    ///
    /// - Parameter name: The account's, in whatever case.
    /// - Returns: The account that is removed; its number is never used again.
    /// - Throws: ``MasterError/Code/unknownAccount(_:)``; ``MasterError/Code/accountBusy(mailings:)`` while it has mailings
    ///   that are not deleted, and for the root account.
    public func removeAccount(named name: String) async throws -> Account {
        try await self.call {
            let account = try await self.requireAccount(name)
            let removed: RemovedAccount
            do {
                removed = try await self.store.removeAccount(account.id, at: self.now())
            } catch let error as StoreError where error.code == .conflict {
                let mailings = try await self.store.mailingCount(of: account.id)
                throw MasterError(.accountBusy(mailings: mailings), error.message)
            } catch let error as StoreError where error.code == .unknownRecord {
                throw MasterError(.unknownAccount(name), error.message)
            }
            self.accountDirectory.remove(removed)
            for key in removed.keys { self.keys.remove(key) }
            // Those who wait for events look at their key again.
            self.engine.feedWatch.changed()
            self.logger.info("account removed", metadata: ["account": "\(account.name)"])
            return account
        }
    }

    private func requireAccount(_ name: String) async throws -> Account {
        guard let account = try await self.store.account(named: name) else {
            throw MasterError(.unknownAccount(name), "there is no account \(AccountRules.printable(name))")
        }
        return account
    }

    // MARK: What belongs to an account

    /// Adds a credential, a key or an object to an account.
    ///
    /// A secret that is not given is made; it can't be recovered, since only its hash is stored.
    ///
    /// - Parameters:
    ///   - draft: What to add.
    ///   - name: The account's, in whatever case.
    /// - Returns: The item with its number, and its secret if one was made.
    /// - Throws: ``MasterError/Code/unknownAccount(_:)``, ``MasterError/Code/badProperty(_:)``,
    ///   ``MasterError/Code/nameTaken(_:)``; ``MasterError/Code/unknownItem(_:)`` if an unsubscribe page is not the account's.
    public func add(_ draft: AccountItemDraft, toAccount name: String) async throws -> AddedAccountItem {
        try await self.call {
            let account = try await self.requireAccount(name)
            do {
                let added =
                    switch draft {
                    case .credential(let draft): try await self.addCredential(draft, to: account)
                    case .key(let name): try await self.addKey(name, to: account)
                    case .object(let name, let contents): try await self.addObject(name, contents, to: account)
                    }
                self.log("added", added.item, account)
                return added
            } catch let error as StoreError where error.code == .conflict {
                throw MasterError(.nameTaken(draft.name), error.message)
            } catch let error as StoreError where error.code == .unknownRecord {
                throw MasterError(.unknownItem(draft.name), error.message)
            }
        }
    }

    private func addCredential(_ draft: CredentialDraft, to account: Account) async throws -> AddedAccountItem {
        try AccountRules.credential(draft)
        let made: String?
        let hash: CredentialHash
        if let secret = draft.secret {
            made = nil
            hash = .chosen(try await self.accountDirectory.hash(of: secret))
        } else {
            let generated = CredentialHash.generate()
            (made, hash) = (generated.secret, generated.hash)
        }
        let changes = self.accountDirectory.changes
        let record = try await self.store.addCredential(
            CredentialRecord(
                id: CredentialID(rawValue: 0),
                account: account.id,
                api: draft.api,
                name: draft.name,
                secretHash: hash.text,
                smtpUser: draft.smtpUser,
                group: draft.group,
                settings: draft.settings,
                created: self.now()
            )
        )
        if !self.accountDirectory.insert(record, since: changes) {
            try await self.accountDirectory.reload(from: self.store)
        }
        return AddedAccountItem(item: .credential(record), secret: made)
    }

    private func addKey(_ name: String, to account: Account) async throws -> AddedAccountItem {
        try AccountRules.key(name)
        let made = APIKeyCache.makeKey(name: name, account: account.id, autoescape: nil, at: self.now())
        let record = try await self.store.addAccountKey(made.record)
        // The account may have been removed since, and the key revoked with it.
        try await self.keys.reload(from: self.store)
        return AddedAccountItem(item: .key(record), secret: made.secret)
    }

    private func addObject(
        _ name: String,
        _ contents: AccountObject.Contents,
        to account: Account
    ) async throws -> AddedAccountItem {
        try AccountRules.object(name, contents, maximumBytes: self.master.configuration.maximumContentBytes)
        let object = AccountObject(
            id: AccountObjectID(rawValue: 0),
            account: account.id,
            name: name,
            contents: contents,
            created: self.now()
        )
        return AddedAccountItem(item: .object(try await self.store.addObject(object)))
    }

    /// What belongs to an account: credentials, then keys that are in force, then objects, each in order of number.
    ///
    /// - Throws: ``MasterError/Code/unknownAccount(_:)``.
    public func items(ofAccount name: String) async throws -> [AccountItem] {
        try await self.call {
            let account = try await self.requireAccount(name).id
            return try await self.items(of: account, .credential) + self.items(of: account, .key)
                + self.store.objects(of: account).map { .object($0) }
        }
    }

    /// What belongs to an account and is of one kind, in order of number.
    ///
    /// - Throws: ``MasterError/Code/unknownAccount(_:)``.
    public func items(ofAccount name: String, _ kind: AccountItem.Kind) async throws -> [AccountItem] {
        try await self.call { try await self.items(of: self.requireAccount(name).id, kind) }
    }

    private func items(of account: AccountID, _ kind: AccountItem.Kind) async throws -> [AccountItem] {
        switch kind {
        case .credential: try await self.store.credentials(of: account).map { .credential($0) }
        case .key:
            try await self.store.keys().filter { $0.account == account && $0.revoked == nil }.map { .key($0) }
        case .object(let kind): try await self.store.objects(of: account, kind).map { .object($0) }
        }
    }

    /// Removes a credential or an object of an account, or revokes a key of it.
    ///
    /// - Parameters:
    ///   - kind: What it is.
    ///   - name: Its name; that of a domain or an address in whatever case.
    ///   - api: The API whose calls name it; `nil` if the name says enough.
    ///   - accountName: The account's name, in whatever case.
    /// - Returns: What was removed; its number is never used again.
    /// - Throws: ``MasterError/Code/unknownAccount(_:)``, ``MasterError/Code/unknownItem(_:)``;
    ///   ``MasterError/Code/badProperty(_:)`` if several have the name; ``MasterError/Code/itemInUse(_:)`` for the unsubscribe
    ///   page of a credential.
    public func remove(
        _ kind: AccountItem.Kind,
        named name: String,
        api: APIName?,
        ofAccount accountName: String
    ) async throws -> AccountItem {
        try await self.call {
            let account = try await self.requireAccount(accountName)
            let found = try await self.items(of: account.id, kind).filter {
                $0.hasName(name) && (api == nil || $0.api == api)
            }
            let unknown = MasterError(
                .unknownItem(name),
                "account \(account.name) has no \(kind.words) \(AccountRules.printable(name))"
            )
            guard let item = found.first else { throw unknown }
            guard found.count == 1 else { throw Self.ambiguous(found, account) }
            do {
                try await self.remove(item, of: account.id)
            } catch let error as StoreError where error.code == .unknownRecord {
                throw unknown
            } catch let error as StoreError where error.code == .conflict {
                throw MasterError(.itemInUse(name), error.message)
            }
            self.log("removed", item, account)
            return item
        }
    }

    private func remove(_ item: AccountItem, of account: AccountID) async throws {
        switch item {
        case .credential(let credential):
            try await self.store.removeCredential(credential.id, of: account, at: self.now())
            self.accountDirectory.remove(credential.id)
        case .key(let key):
            _ = try await self.store.revokeKey(key.publicID, at: self.now())
            self.keys.remove(key.publicID)
            self.engine.feedWatch.changed()
        case .object(let object): try await self.store.removeObject(object.id, of: account, at: self.now())
        }
    }

    private static func ambiguous(_ found: [AccountItem], _ account: Account) -> MasterError {
        let what = "account \(account.name) has \(found.count) items \(found[0].kind.rawValue) \(found[0].name)"
        if case .key = found[0] {
            return MasterError(.badProperty("name"), "\(what): revoke them by number with `telstar key revoke`")
        }
        let apis = found.compactMap { $0.api?.rawValue }.joined(separator: ", ")
        return MasterError(.badProperty("api"), "\(what): say of which API, one of \(apis)")
    }

    private func log(_ what: String, _ item: AccountItem, _ account: Account) {
        self.logger.info(
            "account changed",
            metadata: [
                "account": "\(account.name)", "change": "\(what)", "kind": "\(item.kind.rawValue)",
                "name": "\(item.name)",
            ]
        )
    }
}

extension AccountItemDraft {
    fileprivate var name: String {
        switch self {
        case .credential(let draft): draft.name
        case .key(let name), .object(let name, _): name
        }
    }
}

extension AccountItem {
    /// Whether it has this name: exactly, but for domains and addresses, which are compared without case.
    fileprivate func hasName(_ name: String) -> Bool {
        guard case .object(let object) = self, object.contents.kind.ignoresCase else {
            return self.name.utf8.elementsEqual(name.utf8)
        }
        return self.name.lowercased() == name.lowercased()
    }
}
