// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Statements on the credentials of accounts.
enum Credentials {
    private static let columns = """
        id, account, api, name, hash, smtp_user, satellite_group, track_opens, track_clicks, subscription_tracking, \
        unsubscribe_page, created
        """

    static func all(_ transaction: StoreTransaction) throws -> [CredentialRecord] {
        try Self.records(
            transaction.prepare("SELECT \(Self.columns) FROM credential WHERE removed IS NULL ORDER BY id")
        )
    }

    static func all(of account: AccountID, _ transaction: StoreTransaction) throws -> [CredentialRecord] {
        try Self.records(
            transaction.prepare(
                "SELECT \(Self.columns) FROM credential WHERE account = ? AND removed IS NULL ORDER BY id"
            ).bind(1, Int(account.rawValue))
        )
    }

    static func add(_ record: CredentialRecord, _ transaction: StoreTransaction) throws -> CredentialRecord {
        let account = try Accounts.required(record.account, transaction)
        try Self.requireUnused(record, transaction)
        if let page = record.settings.unsubscribePage {
            let pages = try AccountObjects.all(of: account.id, .unsubscribePage, transaction)
            guard pages.contains(where: { $0.id == page }) else {
                throw StoreError(.unknownRecord, "account \(account.name) has no unsubscribe page \(page)")
            }
        }
        let settings = record.settings
        let number = try transaction.insert(
            transaction.prepare(
                """
                INSERT INTO credential(account, api, name, hash, smtp_user, satellite_group, track_opens, track_clicks,
                    subscription_tracking, unsubscribe_page, created)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
                """
            ).bind(1, Int(record.account.rawValue)).bind(2, record.api.rawValue).bind(3, record.name)
                .bind(4, record.secretHash).bind(5, record.smtpUser).bind(6, record.group)
                .bind(7, settings.trackOpens ? 1 : 0).bind(8, settings.trackClicks ? 1 : 0)
                .bind(9, settings.subscriptionTracking ? 1 : 0).bind(10, settings.unsubscribePage?.rawValue)
                .bind(11, record.created)
        )
        var record = record
        record.id = CredentialID(rawValue: number)
        return record
    }

    private static func requireUnused(_ record: CredentialRecord, _ transaction: StoreTransaction) throws {
        func isUsed(_ column: String, _ value: String) throws -> Bool {
            try transaction.prepare("SELECT 1 FROM credential WHERE api = ? AND \(column) = ? AND removed IS NULL")
                .bind(1, record.api.rawValue).bind(2, value).first { _ in true } ?? false
        }
        if try isUsed("name", record.name) {
            throw StoreError(.conflict, "a credential \(record.name) of \(record.api.rawValue) exists already")
        }
        if let user = record.smtpUser, try isUsed("smtp_user", user) {
            throw StoreError(.conflict, "an SMTP user \(user) of \(record.api.rawValue) exists already")
        }
    }

    static func remove(
        _ id: CredentialID,
        of account: AccountID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        try transaction.prepare(
            "UPDATE credential SET removed = ? WHERE id = ? AND account = ? AND removed IS NULL"
        ).bind(1, now).bind(2, id.rawValue).bind(3, Int(account.rawValue)).run()
        guard transaction.changedRows > 0 else { throw StoreError(.unknownRecord, "there is no credential \(id)") }
    }

    private static func records(_ statement: any StoreStatement) throws -> [CredentialRecord] {
        var found: [CredentialRecord] = []
        try statement.rows { row in
            found.append(
                CredentialRecord(
                    id: CredentialID(rawValue: try row.int64(0)),
                    account: AccountID(rawValue: try row.integer(1)),
                    api: try AccountObjects.name(row.text(2)),
                    name: try row.text(3),
                    secretHash: try row.text(4),
                    smtpUser: try row.optionalText(5),
                    group: try row.optionalText(6),
                    settings: CredentialSettings(
                        trackOpens: try row.bool(7),
                        trackClicks: try row.bool(8),
                        subscriptionTracking: try row.bool(9),
                        unsubscribePage: try row.optionalInt64(10).map { AccountObjectID(rawValue: $0) }
                    ),
                    created: try row.timestamp(11)
                )
            )
        }
        return found
    }
}
