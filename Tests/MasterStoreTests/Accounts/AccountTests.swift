// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Accounts")
struct AccountTests {
    @Test("are numbered from 1 beside the root account, and stay after a restart", arguments: StoreFactory.all)
    func adding(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let acme = try await fixture.store.addAccount(named: "Acme", at: fixture.now)
            let zoe = try await fixture.store.addAccount(named: "Zoë & Söhne", at: fixture.now)
            #expect(acme.id.rawValue == 1 && zoe.id.rawValue == 2)
            try await fixture.reopen()
            let all = try await fixture.store.accounts()
            #expect(all.map(\.name) == ["root", "Acme", "Zoë & Söhne"])
            #expect(all[0].id == .root && all[0].created > Timestamp(seconds: 1_700_000_000))
            #expect(all[1] == acme)
            #expect(try await fixture.store.account(named: "ACME") == acme)
            #expect(try await fixture.store.account(named: "ZOË & SÖHNE") == zoe)
            #expect(try await fixture.store.account(named: "nobody") == nil)
        }
    }

    @Test("have names that are unique without regard to case, until they are removed", arguments: StoreFactory.all)
    func names(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let first = try await fixture.store.addAccount(named: "Ärzte", at: fixture.now)
            for name in ["Ärzte", "äRZTE", "ROOT"] {
                let taken = await #expect(throws: StoreError.self) {
                    _ = try await fixture.store.addAccount(named: name, at: fixture.now)
                }
                #expect(taken?.code == .conflict)
            }
            let removed = try await fixture.store.removeAccount(first.id, at: fixture.now)
            #expect(removed.account == first && removed.keys.isEmpty && removed.credentials.isEmpty)
            #expect(try await fixture.store.account(named: "Ärzte") == nil)
            let second = try await fixture.store.addAccount(named: "ärzte", at: fixture.now)
            #expect(second.id.rawValue > first.id.rawValue)
        }
    }

    @Test("take their keys, credentials and objects with them, and nobody else's", arguments: StoreFactory.all)
    func removal(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (acme, other) = (try await fixture.account("acme"), try await fixture.account("other"))
            for account in [acme, other] {
                _ = try await fixture.store.addAccountKey(fixture.key("k\(account.id.rawValue)", of: account))
                _ = try await fixture.store.addCredential(fixture.credential("c\(account.id.rawValue)", of: account))
                _ = try await fixture.store.addObject(fixture.object("list", of: account))
            }
            _ = try await fixture.store.revokeKey("k1", at: fixture.now)
            _ = try await fixture.store.addAccountKey(fixture.key("k3", of: acme))
            let gone = try await fixture.store.credentials(of: acme.id).map(\.id)
            let removed = try await fixture.store.removeAccount(acme.id, at: fixture.now)
            #expect(removed.keys == ["k3"] && removed.credentials == gone)
            try await fixture.reopen()
            #expect(try await fixture.store.keys().filter { $0.revoked == nil }.map(\.publicID) == ["k2"])
            #expect(try await fixture.store.credentials().map(\.name) == ["c2"])
            #expect(try await fixture.store.objects(of: acme.id).isEmpty)
            #expect(try await fixture.store.objects(of: other.id).count == 1)
            for operation in [
                { _ = try await fixture.store.removeAccount(acme.id, at: fixture.now) },
                { _ = try await fixture.store.addAccountKey(fixture.key("late", of: acme)) },
                { _ = try await fixture.store.addCredential(fixture.credential("late", of: acme)) },
                { _ = try await fixture.store.addObject(fixture.object("late", of: acme)) },
            ] {
                let error = await #expect(throws: StoreError.self) { try await operation() }
                #expect(error?.code == .unknownRecord)
            }
        }
    }

    @Test("stay while they have mailings that are not deleted, and root always", arguments: StoreFactory.all)
    func busy(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let acme = try await fixture.account("acme")
            let mailings = [
                try await fixture.makeMailing(account: acme.id), try await fixture.makeMailing(account: acme.id),
            ]
            _ = try await fixture.store.addCredential(fixture.credential("c", of: acme))
            let busy = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.removeAccount(acme.id, at: fixture.now)
            }
            #expect(busy?.code == .conflict && busy?.message.contains("acme has 2 mailings") == true)
            #expect(try await fixture.store.mailingCount(of: acme.id) == 2)
            #expect(try await fixture.store.credentials().count == 1)
            for id in mailings { _ = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now) }
            _ = try await fixture.store.removeAccount(acme.id, at: fixture.now)
            let root = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.removeAccount(.root, at: fixture.now)
            }
            #expect(root?.code == .conflict)
        }
    }

    @Test("have keys whose names are unique while they are in force, and numbers", arguments: StoreFactory.all)
    func keys(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (acme, other) = (try await fixture.account("acme"), try await fixture.account("other"))
            let first = try await fixture.store.addAccountKey(fixture.key("k1", of: acme, name: "shop"))
            let taken = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.addAccountKey(fixture.key("k2", of: acme, name: "shop"))
            }
            #expect(taken?.code == .conflict)
            let second = try await fixture.store.addAccountKey(fixture.key("k2", of: other, name: "shop"))
            #expect(first.number > 0 && second.number > first.number)
            #expect(try await fixture.store.revokeKey("\(first.number)", at: fixture.now) == "k1")
            #expect(try await fixture.store.revokeKey("k2", at: fixture.now) == "k2")
            #expect(try await fixture.store.revokeKey("99", at: fixture.now) == nil)
            let again = try await fixture.store.addAccountKey(fixture.key("k3", of: acme, name: "shop"))
            try await fixture.reopen()
            #expect(try await fixture.store.keys().map(\.number) == [first, second, again].map(\.number))
            #expect(try await fixture.store.keys().map { $0.revoked == nil } == [false, false, true])
        }
    }
}

@Suite("Credentials")
struct CredentialTests {
    @Test("are stored with all that they have, and found again after a restart", arguments: StoreFactory.all)
    func adding(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let acme = try await fixture.account("acme")
            let page = try await fixture.store.addObject(
                fixture.object("bye", of: acme, .unsubscribePage(.init(language: "de", html: "<p>Tschüß</p>")))
            )
            var record = fixture.credential("user", of: acme, .sendcloud)
            record.group = "eu"
            record.settings = CredentialSettings(
                trackOpens: true,
                trackClicks: false,
                subscriptionTracking: true,
                unsubscribePage: page.id
            )
            record = try await fixture.store.addCredential(record)
            var user = fixture.credential("7", of: acme, .sendclean)
            user.smtpUser = "smtp-7"
            user = try await fixture.store.addCredential(user)
            #expect(record.id.rawValue > 0 && user.id > record.id)
            try await fixture.reopen()
            #expect(try await fixture.store.credentials() == [record, user])
            #expect(try await fixture.store.credentials(of: acme.id) == [record, user])
            #expect(try await fixture.store.credentials(of: .root).isEmpty)
        }
    }

    @Test("have names that are unique in their API, byte by byte, until they are removed", arguments: StoreFactory.all)
    func names(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (acme, other) = (try await fixture.account("acme"), try await fixture.account("other"))
            let first = try await fixture.store.addCredential(fixture.credential("Zoë", of: acme))
            for account in [acme, other] {
                let taken = await #expect(throws: StoreError.self) {
                    _ = try await fixture.store.addCredential(fixture.credential("Zoë", of: account))
                }
                #expect(taken?.code == .conflict && taken?.message.contains("Zoë") == true)
            }
            for (name, api) in [("Zoë", APIName.inboxfirst), ("zoë", .sendclean), ("Zoe\u{308}", .sendclean)] {
                _ = try await fixture.store.addCredential(fixture.credential(name, of: other, api))
            }
            let foreign = await #expect(throws: StoreError.self) {
                try await fixture.store.removeCredential(first.id, of: other.id, at: fixture.now)
            }
            #expect(foreign?.code == .unknownRecord)
            try await fixture.store.removeCredential(first.id, of: acme.id, at: fixture.now)
            let gone = await #expect(throws: StoreError.self) {
                try await fixture.store.removeCredential(first.id, of: acme.id, at: fixture.now)
            }
            #expect(gone?.code == .unknownRecord)
            #expect(try await fixture.store.addCredential(fixture.credential("Zoë", of: other)).id > first.id)
        }
    }

    @Test("have SMTP users that are unique in their API", arguments: StoreFactory.all)
    func smtpUsers(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let acme = try await fixture.account("acme")
            func record(_ name: String, _ api: APIName = .sendclean) -> CredentialRecord {
                var record = fixture.credential(name, of: acme, api)
                record.smtpUser = "user"
                return record
            }
            let first = try await fixture.store.addCredential(record("1"))
            let taken = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.addCredential(record("2"))
            }
            #expect(taken?.code == .conflict && taken?.message.contains("SMTP user") == true)
            _ = try await fixture.store.addCredential(record("2", .sendcloud))
            for name in ["3", "4"] { _ = try await fixture.store.addCredential(fixture.credential(name, of: acme)) }
            try await fixture.store.removeCredential(first.id, of: acme.id, at: fixture.now)
            _ = try await fixture.store.addCredential(record("2"))
        }
    }

    @Test("name an unsubscribe page of their own account, which stays as long as they do", arguments: StoreFactory.all)
    func pages(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (acme, other) = (try await fixture.account("acme"), try await fixture.account("other"))
            let page = try await fixture.store.addObject(
                fixture.object("bye", of: acme, .unsubscribePage(.init(language: "en")))
            )
            let list = try await fixture.store.addObject(fixture.object("bye", of: acme))
            func record(_ account: Account, _ id: AccountObjectID) -> CredentialRecord {
                var record = fixture.credential("user", of: account, .sendcloud)
                record.settings.unsubscribePage = id
                return record
            }
            for (account, id) in [(other, page.id), (acme, list.id), (acme, AccountObjectID(rawValue: 99))] {
                let unknown = await #expect(throws: StoreError.self) {
                    _ = try await fixture.store.addCredential(record(account, id))
                }
                #expect(unknown?.code == .unknownRecord)
            }
            let credential = try await fixture.store.addCredential(record(acme, page.id))
            let used = await #expect(throws: StoreError.self) {
                try await fixture.store.removeObject(page.id, of: acme.id, at: fixture.now)
            }
            #expect(used?.code == .conflict && used?.message.contains("user") == true)
            try await fixture.store.removeCredential(credential.id, of: acme.id, at: fixture.now)
            try await fixture.store.removeObject(page.id, of: acme.id, at: fixture.now)
        }
    }
}

@Suite("Objects of accounts")
struct AccountObjectTests {
    private static let contents: [AccountObject.Contents] = [
        .template(.init(api: .sendclean, subject: "Hello {{NAME}}", html: "<p>Zoë</p>", plain: "Zoë")),
        .template(.init(api: .sendcloud, subject: "Hello %name%", html: "")),
        .seedList(.init(addresses: ["a@example.com", "b@example.com"])),
        .urlDomain, .bounceEmail,
        .unsubscribePage(.init(language: "pt-BR", html: "<p>Adeus</p>")),
        .virtualMTA(.init(group: "eu")),
        .databaseConnection(.init(url: "postgresql://list:sesame@db.example/lists")),
    ]

    @Test("of every kind are stored with their contents, in order", arguments: StoreFactory.all)
    func adding(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let acme = try await fixture.account("acme")
            var added: [AccountObject] = []
            for contents in Self.contents {
                added.append(try await fixture.store.addObject(fixture.object("one", of: acme, contents)))
            }
            try await fixture.reopen()
            #expect(try await fixture.store.objects(of: acme.id) == added)
            for kind in AccountObject.Kind.allCases {
                #expect(
                    try await fixture.store.objects(of: acme.id, kind) == added.filter { $0.contents.kind == kind }
                )
            }
            #expect(try await fixture.store.objects(of: .root).isEmpty)
            let bounce = try #require(added.first { $0.contents == .bounceEmail })
            #expect(bounce.bounceEmailID == "\(bounce.id)@\(acme.id.rawValue)")
        }
    }

    @Test("have names that are unique in their account for their kind and API", arguments: StoreFactory.all)
    func names(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (acme, other) = (try await fixture.account("acme"), try await fixture.account("other"))
            for contents in Self.contents {
                _ = try await fixture.store.addObject(fixture.object("Track.example", of: acme, contents))
            }
            for contents in Self.contents {
                let taken = await #expect(throws: StoreError.self) {
                    _ = try await fixture.store.addObject(fixture.object("Track.example", of: acme, contents))
                }
                #expect(taken?.code == .conflict && taken?.message.contains("Track.example") == true)
                _ = try await fixture.store.addObject(fixture.object("Track.example", of: other, contents))
                let lower = fixture.object("track.EXAMPLE", of: acme, contents)
                if contents.kind.ignoresCase {
                    await #expect(throws: StoreError.self) { _ = try await fixture.store.addObject(lower) }
                } else {
                    _ = try await fixture.store.addObject(lower)
                }
            }
        }
    }

    @Test("are removed from their own account only, and their numbers are not used again", arguments: StoreFactory.all)
    func removal(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let (acme, other) = (try await fixture.account("acme"), try await fixture.account("other"))
            let list = try await fixture.store.addObject(fixture.object("list", of: acme))
            let foreign = await #expect(throws: StoreError.self) {
                try await fixture.store.removeObject(list.id, of: other.id, at: fixture.now)
            }
            #expect(foreign?.code == .unknownRecord)
            try await fixture.store.removeObject(list.id, of: acme.id, at: fixture.now)
            let gone = await #expect(throws: StoreError.self) {
                try await fixture.store.removeObject(list.id, of: acme.id, at: fixture.now)
            }
            #expect(gone?.code == .unknownRecord)
            try await fixture.reopen()
            #expect(try await fixture.store.objects(of: acme.id).isEmpty)
            #expect(try await fixture.store.addObject(fixture.object("list", of: acme)).id > list.id)
        }
    }
}

extension Fixture {
    func account(_ name: String) async throws -> Account {
        try await self.store.addAccount(named: name, at: self.now)
    }

    func key(_ publicID: String, of account: Account, name: String? = nil) -> APIKeyRecord {
        APIKeyRecord(
            publicID: publicID,
            secretHash: [1],
            name: name ?? publicID,
            account: account.id,
            created: self.now
        )
    }

    func credential(_ name: String, of account: Account, _ api: APIName = .sendclean) -> CredentialRecord {
        CredentialRecord(
            id: CredentialID(rawValue: 0),
            account: account.id,
            api: api,
            name: name,
            secretHash: "hash of \(name)",
            created: self.now
        )
    }

    func object(
        _ name: String,
        of account: Account,
        _ contents: AccountObject.Contents = .seedList(.init(addresses: ["a@example.com"]))
    ) -> AccountObject {
        AccountObject(
            id: AccountObjectID(rawValue: 0),
            account: account.id,
            name: name,
            contents: contents,
            created: self.now
        )
    }
}
