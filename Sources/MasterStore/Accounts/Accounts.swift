// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Statements on accounts.
///
/// A removed account, credential or object leaves its row, marked, so that its number is never used again.
enum Accounts {
    private static let columns = "id, name, created"

    static func all(_ transaction: StoreTransaction) throws -> [Account] {
        var found: [Account] = []
        try transaction.prepare("SELECT \(Self.columns) FROM account WHERE removed IS NULL ORDER BY id")
            .rows { found.append(try Self.account($0)) }
        return found
    }

    static func named(_ name: String, _ transaction: StoreTransaction) throws -> Account? {
        try transaction.prepare("SELECT \(Self.columns) FROM account WHERE folded = ? AND removed IS NULL")
            .bind(1, name.lowercased()).first { try Self.account($0) }
    }

    /// The account, which must exist and not be removed.
    static func required(_ id: AccountID, _ transaction: StoreTransaction) throws -> Account {
        let found = try transaction.prepare("SELECT \(Self.columns) FROM account WHERE id = ? AND removed IS NULL")
            .bind(1, Int(id.rawValue)).first { try Self.account($0) }
        guard let found else { throw StoreError(.unknownRecord, "there is no account \(id.rawValue)") }
        return found
    }

    static func add(_ name: String, at now: Timestamp, _ transaction: StoreTransaction) throws -> Account {
        if let other = try Self.named(name, transaction) {
            throw StoreError(.conflict, "an account \(other.name) exists already")
        }
        let number = try transaction.insert(
            transaction.prepare("INSERT INTO account(name, folded, created) VALUES (?, ?, ?) RETURNING id")
                .bind(1, name).bind(2, name.lowercased()).bind(3, now)
        )
        guard let id = Int32(exactly: number) else { throw StoreError(.full, "all account numbers are used up") }
        return Account(id: AccountID(rawValue: id), name: name, created: now)
    }

    static func mailingCount(of account: AccountID, _ transaction: StoreTransaction) throws -> Int {
        try transaction.prepare("SELECT count(*) FROM mailing WHERE account = ?").bind(1, Int(account.rawValue))
            .first { try $0.int(0) } ?? 0
    }

    static func remove(
        _ id: AccountID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> RemovedAccount {
        let account = try Self.required(id, transaction)
        guard id != .root else { throw StoreError(.conflict, "the account \(account.name) cannot be removed") }
        let mailings = try Self.mailingCount(of: id, transaction)
        guard mailings == 0 else {
            throw StoreError(
                .conflict,
                "account \(account.name) has \(mailings == 1 ? "a mailing" : "\(mailings) mailings"); delete them first"
            )
        }
        let keys = try Registry.keys(transaction).filter { $0.account == id && $0.revoked == nil }.map(\.publicID)
        let credentials = try Credentials.all(of: id, transaction).map(\.id)
        for key in keys { _ = try Registry.revoke(key, at: now, transaction) }
        for table in ["credential", "account_object"] {
            try transaction.prepare("UPDATE \(table) SET removed = ? WHERE account = ? AND removed IS NULL")
                .bind(1, now).bind(2, Int(id.rawValue)).run()
        }
        try transaction.prepare("UPDATE account SET removed = ? WHERE id = ?").bind(1, now).bind(2, Int(id.rawValue))
            .run()
        return RemovedAccount(account: account, keys: keys, credentials: credentials)
    }

    private static func account(_ row: any StoreRow) throws -> Account {
        Account(
            id: AccountID(rawValue: try row.integer(0)),
            name: try row.text(1),
            created: try row.timestamp(2)
        )
    }
}
