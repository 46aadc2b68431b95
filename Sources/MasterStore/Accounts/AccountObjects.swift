// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Statements on the objects of accounts, whose contents are stored as JSON, sealed where they hold a secret.
enum AccountObjects {
    private static let columns = "id, account, kind, name, contents, created"

    static func all(of account: AccountID, _ transaction: StoreTransaction) throws -> [AccountObject] {
        try Self.objects(
            transaction.prepare(
                "SELECT \(Self.columns) FROM account_object WHERE account = ? AND removed IS NULL ORDER BY id"
            ).bind(1, Int(account.rawValue)),
            transaction
        )
    }

    static func all(
        of account: AccountID,
        _ kind: AccountObject.Kind,
        _ transaction: StoreTransaction
    ) throws -> [AccountObject] {
        try Self.objects(
            transaction.prepare(
                """
                SELECT \(Self.columns) FROM account_object WHERE account = ? AND kind = ? AND removed IS NULL ORDER BY id
                """
            ).bind(1, Int(account.rawValue)).bind(2, kind.rawValue),
            transaction
        )
    }

    static func add(_ object: AccountObject, _ transaction: StoreTransaction) throws -> AccountObject {
        let account = try Accounts.required(object.account, transaction)
        let kind = object.contents.kind
        let folded = kind.ignoresCase ? object.name.lowercased() : object.name
        let api = object.contents.api?.rawValue
        let isUsed =
            try transaction.prepare(
                """
                SELECT 1 FROM account_object
                WHERE account = ? AND kind = ? AND coalesce(api, '') = ? AND folded = ? AND removed IS NULL
                """
            ).bind(1, Int(object.account.rawValue)).bind(2, kind.rawValue).bind(3, api ?? "").bind(4, folded)
            .first { _ in true } ?? false
        guard !isUsed else {
            let what = AccountItem.Kind.object(kind).words + (api.map { " of \($0)" } ?? "")
            throw StoreError(.conflict, "account \(account.name) has a \(what) \(object.name) already")
        }
        let number = try transaction.insert(
            transaction.prepare(
                """
                INSERT INTO account_object(account, kind, api, name, folded, contents, created)
                VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
                """
            ).bind(1, Int(object.account.rawValue)).bind(2, kind.rawValue).bind(3, api).bind(4, object.name)
                .bind(5, folded).bind(6, try Self.encode(object.contents, transaction)).bind(7, object.created)
        )
        var object = object
        object.id = AccountObjectID(rawValue: number)
        return object
    }

    static func remove(
        _ id: AccountObjectID,
        of account: AccountID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        let user = try transaction.prepare(
            "SELECT name FROM credential WHERE unsubscribe_page = ? AND removed IS NULL ORDER BY id"
        ).bind(1, id.rawValue).first { try $0.text(0) }
        if let user { throw StoreError(.conflict, "credential \(user) uses the unsubscribe page \(id)") }
        try transaction.prepare(
            "UPDATE account_object SET removed = ? WHERE id = ? AND account = ? AND removed IS NULL"
        ).bind(1, now).bind(2, id.rawValue).bind(3, Int(account.rawValue)).run()
        guard transaction.changedRows > 0 else { throw StoreError(.unknownRecord, "there is no object \(id)") }
    }

    /// The case of a name that is stored.
    static func name<Name: RawRepresentable>(_ text: String) throws -> Name where Name.RawValue == String {
        guard let name = Name(rawValue: text) else {
            throw StoreError(.corrupt, "a stored \(Name.self) is unknown: \(text)")
        }
        return name
    }

    private static func objects(
        _ statement: any StoreStatement,
        _ transaction: StoreTransaction
    ) throws -> [AccountObject] {
        var found: [AccountObject] = []
        try statement.rows { row in
            found.append(
                AccountObject(
                    id: AccountObjectID(rawValue: try row.int64(0)),
                    account: AccountID(rawValue: try row.integer(1)),
                    name: try row.text(3),
                    contents: try Self.decode(Self.name(row.text(2)), row.blob(4), transaction),
                    created: try row.timestamp(5)
                )
            )
        }
        return found
    }

    // MARK: Contents

    private static func encode(_ contents: AccountObject.Contents, _ transaction: StoreTransaction) throws -> [UInt8] {
        func json(_ value: some Encodable) throws -> [UInt8] { [UInt8](try JSONEncoder().encode(value)) }
        return switch contents {
        case .template(let template): try json(template)
        case .seedList(let list): try json(list)
        case .urlDomain, .bounceEmail: []
        case .unsubscribePage(let page): try json(page)
        case .virtualMTA(let mta): try json(mta)
        // Its URL may hold a password.
        case .databaseConnection(let connection): try transaction.context.secrets.seal(json(connection))
        }
    }

    private static func decode(
        _ kind: AccountObject.Kind,
        _ bytes: [UInt8],
        _ transaction: StoreTransaction
    ) throws -> AccountObject.Contents {
        func json<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
            do {
                return try JSONDecoder().decode(type, from: Data(bytes))
            } catch {
                throw StoreError(
                    .corrupt,
                    "the contents of a stored \(kind.rawValue) cannot be read",
                    underlying: error
                )
            }
        }
        return switch kind {
        case .template: .template(try json(AccountObject.Template.self, bytes))
        case .seedList: .seedList(try json(AccountObject.SeedList.self, bytes))
        case .urlDomain: .urlDomain
        case .bounceEmail: .bounceEmail
        case .unsubscribePage: .unsubscribePage(try json(AccountObject.UnsubscribePage.self, bytes))
        case .virtualMTA: .virtualMTA(try json(AccountObject.VirtualMTA.self, bytes))
        case .databaseConnection:
            .databaseConnection(
                try json(AccountObject.DatabaseConnection.self, transaction.context.secrets.open(bytes))
            )
        }
    }
}
