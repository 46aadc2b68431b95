// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Secrets
import Synchronization

/// The accounts and the credentials that are in force, in memory, and the check of their secrets.
///
/// A wrong secret, a credential that is not known and the first use of a chosen secret cost one slow hash each. That a chosen
/// secret was right is remembered, by a MAC under a key of this process, for as long as its credential is in force, so that
/// later calls cost next to nothing.
final class AccountDirectory: Sendable {
    /// What credentials are found by: names are compared byte by byte, as in the store.
    private struct Name: Hashable {
        let api: APIName
        let bytes: [UInt8]

        init(_ api: APIName, _ name: String) {
            self.api = api
            self.bytes = Array(name.utf8)
        }
    }

    private struct Contents {
        var accounts: [AccountID: Account] = [:]
        var credentials: [Name: CredentialRecord] = [:]
        var names: [CredentialID: Name] = [:]
        /// The MAC of the right secret of credentials that have shown it.
        var proofs: [CredentialID: [UInt8]] = [:]
        /// Counts changes, so that a stale read of the store can't restore what was removed or hide what was added.
        var changes = 0
        var observers = AccessObservers<CredentialID>()

        mutating func insert(_ record: CredentialRecord) {
            let name = Name(record.api, record.name)
            self.credentials[name] = record
            self.names[record.id] = name
        }

        mutating func remove(_ id: CredentialID) {
            if let name = self.names.removeValue(forKey: id) { self.credentials[name] = nil }
            self.proofs[id] = nil
        }

        mutating func remember(_ proof: [UInt8], of id: CredentialID) {
            while self.proofs.count >= AccountDirectory.maximumProofs, let other = self.proofs.first {
                self.proofs[other.key] = nil
            }
            self.proofs[id] = proof
        }

        mutating func takeBereaved() -> [@Sendable () -> Void] {
            self.observers.take { self.names[$0] == nil }
        }
    }

    /// Of how many credentials it is remembered that their secret was right.
    static let maximumProofs = 16_384

    private let contents = Mutex(Contents())
    private let hashing = SlowHashing()
    private let proofKey = MACKey.generate()
    /// What secrets are compared with that can't be right, so that they take as long as others.
    private let decoy = PasswordHash.unmatchable()
    private let compare: @Sendable (_ hash: PasswordHash, _ secret: String) -> Bool

    /// Makes an empty directory.
    ///
    /// - Parameter compare: Compares a chosen secret with its hash; tests count the calls.
    init(compare: @escaping @Sendable (PasswordHash, String) -> Bool = { $0.matches($1) }) { self.compare = compare }

    // MARK: Keeping up with the store

    /// Takes the accounts and credentials of the store that are not removed.
    func reload(from store: MailingStore) async throws {
        while true {
            let changes = self.changes
            let accounts = try await store.accounts()
            let credentials = try await store.credentials()
            let bereaved = self.contents.withLock { contents -> [@Sendable () -> Void]? in
                guard contents.changes == changes else { return nil }
                contents.changes += 1
                contents.accounts = Dictionary(accounts.map { ($0.id, $0) }) { _, last in last }
                contents.credentials = [:]
                contents.names = [:]
                for record in credentials { contents.insert(record) }
                contents.proofs = contents.proofs.filter { contents.names[$0.key] != nil }
                return contents.takeBereaved()
            }
            guard let bereaved else { continue }
            return bereaved.forEach { $0() }
        }
    }

    /// A count of changes, to be read before the store adds what ``insert(_:since:)`` takes.
    var changes: Int { self.contents.withLock { $0.changes } }

    /// Takes an account that the store has added; `false` if something else has changed meanwhile, and the store has to be read.
    func insert(_ account: Account, since changes: Int) -> Bool {
        self.insert(since: changes) { $0.accounts[account.id] = account }
    }

    /// Takes a credential that the store has added; `false` if something else has changed meanwhile, and the store has to be read.
    func insert(_ record: CredentialRecord, since changes: Int) -> Bool {
        self.insert(since: changes) { $0.insert(record) }
    }

    private func insert(since changes: Int, _ change: (inout Contents) -> Void) -> Bool {
        self.contents.withLock { contents in
            guard contents.changes == changes else { return false }
            contents.changes += 1
            change(&contents)
            return true
        }
    }

    func remove(_ id: CredentialID) { self.change { $0.remove(id) } }

    func remove(_ removed: RemovedAccount) {
        self.change { contents in
            contents.accounts[removed.account.id] = nil
            for id in removed.credentials { contents.remove(id) }
        }
    }

    private func change(_ change: (inout Contents) -> Void) {
        let bereaved = self.contents.withLock { contents in
            contents.changes += 1
            change(&contents)
            return contents.takeBereaved()
        }
        bereaved.forEach { $0() }
    }

    // MARK: Looking up

    /// The account of that number; `nil` if it is removed.
    func account(_ id: AccountID) -> Account? { self.contents.withLock { $0.accounts[id] } }

    func isInForce(_ id: CredentialID) -> Bool { self.contents.withLock { $0.names[id] != nil } }

    /// Calls `removed` once, when the credential is removed; immediately if it already is.
    ///
    /// - Returns: The observer's number, for ``forget(_:)``.
    func observe(_ id: CredentialID, removed: @escaping @Sendable () -> Void) -> UInt64 {
        let (number, bereaved) = self.contents.withLock { contents in
            (contents.observers.add(id, removed), contents.takeBereaved())
        }
        bereaved.forEach { $0() }
        return number
    }

    func forget(_ observer: UInt64) { self.contents.withLock { $0.observers.forget(observer) } }

    // MARK: Authentication

    /// The credential of that name, if it has this secret.
    ///
    /// - Throws: ``MasterError/Code/busy`` if too many secrets wait to be verified; `CancellationError` while waiting.
    func authenticate(api: APIName, name: String, secret: String) async throws -> CredentialRecord? {
        let name = Name(api, name)
        let record = self.contents.withLock { $0.credentials[name] }
        let proof = self.proof(of: record?.id, secret)
        let isRight: Bool
        switch record.flatMap({ CredentialHash(stored: $0.secretHash) }) {
        case .generated(let hash) where hash.matches(secret: Array(secret.utf8)): isRight = true
        case .chosen(let hash): isRight = try await self.matches(secret, hash, of: record?.id, proof)
        case .generated, nil:
            _ = try await self.hashing.run { self.compare(self.decoy, secret) }
            isRight = false
        }
        guard isRight, let record, self.isInForce(record.id) else { return nil }
        return record
    }

    private func matches(
        _ secret: String,
        _ hash: PasswordHash,
        of id: CredentialID?,
        _ proof: [UInt8]
    ) async throws -> Bool {
        guard let id else { return false }
        if self.isRemembered(proof, of: id) { return true }
        // Several calls with one secret may wait; the first of them answers for all.
        let isRight = try await self.hashing.run {
            self.isRemembered(proof, of: id) || self.compare(hash, secret)
        }
        guard isRight else { return false }
        self.contents.withLock { contents in
            if contents.names[id] != nil { contents.remember(proof, of: id) }
        }
        return true
    }

    private func isRemembered(_ proof: [UInt8], of id: CredentialID) -> Bool {
        guard let known = self.contents.withLock({ $0.proofs[id] }) else { return false }
        return SecureBytes.areEqual(known, proof)
    }

    private func proof(of id: CredentialID?, _ secret: String) -> [UInt8] {
        let number = UInt64(bitPattern: id?.rawValue ?? 0)
        let prefix = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
        return self.proofKey.sign(prefix + Array(secret.utf8))
    }

    // MARK: Hashing

    /// The hash of a secret that a person chose.
    ///
    /// - Throws: As ``authenticate(api:name:secret:)`` does; `SecretsError` if there is not enough memory.
    func hash(of secret: String) async throws -> PasswordHash {
        try await self.hashing.run { Result { try PasswordHash(of: secret) } }.get()
    }
}
