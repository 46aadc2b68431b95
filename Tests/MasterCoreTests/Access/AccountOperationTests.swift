// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterCore
import Synchronization
import Testing

@Suite("Operations on accounts")
struct AccountOperationTests {
    private static func code(_ body: () async throws -> some Sendable) async -> MasterError.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? MasterError)?.code
        }
    }

    private static func added(
        _ test: TestMaster,
        _ draft: AccountItemDraft,
        to account: String = "acme"
    ) async -> MasterError.Code? {
        await Self.code { try await test.master.operator.add(draft, toAccount: account) }
    }

    private static func credential(_ name: String, _ api: APIName, secret: String? = nil) -> AccountItemDraft {
        .credential(CredentialDraft(api: api, name: name, secret: secret))
    }

    @Test("create accounts of acceptable and unused names")
    func creating() async throws {
        try await TestMaster.run { test in
            try await test.master.load()
            let acme = try await test.master.operator.createAccount(named: "Acme & Söhne")
            #expect(try await test.master.operator.accounts().map(\.name) == ["root", "Acme & Söhne"])
            #expect(try await test.master.operator.account(named: "ACME & söhne") == acme)
            #expect(test.master.knownAccount(acme.id) == acme && test.master.knownAccount(.root)?.name == "root")
            for name in ["acme & söhne", "Root"] {
                #expect(
                    await Self.code { try await test.master.operator.createAccount(named: name) }
                        == .accountExists(name)
                )
            }
            for name in ["", " acme", "acme ", "a\nb", "a\u{7F}", String(repeating: "x", count: 101)] {
                #expect(
                    await Self.code { try await test.master.operator.createAccount(named: name) }
                        == .badProperty("name")
                )
                #expect(
                    await Self.code { try await test.master.operator.account(named: name) } == .unknownAccount(name)
                )
            }
        }
    }

    @Test("add credentials that are in force at once and until they are removed")
    func credentials() async throws {
        try await TestMaster.run { test in
            _ = try await test.master.operator.createAccount(named: "acme")
            let chosen = try await test.master.operator.add(
                Self.credential("ann@example.com", .emailicious, secret: "pass:wörd \n"),
                toAccount: "ACME"
            )
            let made = try await test.master.operator.add(
                Self.credential("ann@example.com", .sendclean),
                toAccount: "acme"
            )
            let secret = try #require(made.secret)
            #expect(chosen.secret == nil && secret.count == 52)
            func isKnown(_ api: APIName, _ secret: String) async throws -> Bool {
                try await test.master.authenticate(api: api, name: "ann@example.com", secret: secret) != nil
            }
            #expect(try await isKnown(.emailicious, "pass:wörd \n"))
            #expect(try await isKnown(.emailicious, "pass:wörd \n"))
            #expect(try await !isKnown(.emailicious, "pass:wörd "))
            #expect(try await isKnown(.sendclean, secret))
            #expect(try await !isKnown(.sendclean, secret.uppercased()))
            #expect(try await !isKnown(.sendcloud, secret))

            guard case .credential(let record) = chosen.item else { throw TestFailure("no credential") }
            #expect(record.secretHash.hasPrefix("scrypt$") && !record.secretHash.contains("wörd"))
            let calls = Atomic(0)
            let watch = test.master.watch(credential: record.id) { calls.add(1, ordering: .relaxed) }
            #expect(test.master.isInForce(credential: record.id))
            let name = record.name
            #expect(
                await Self.code {
                    try await test.master.operator.remove(.credential, named: name, api: nil, ofAccount: "acme")
                } == .badProperty("api")
            )
            _ = try await test.master.operator.remove(.credential, named: name, api: .emailicious, ofAccount: "acme")
            #expect(calls.load(ordering: .relaxed) == 1 && !test.master.isInForce(credential: record.id))
            watch.end()
            #expect(try await !isKnown(.emailicious, "pass:wörd \n"))
            #expect(try await isKnown(.sendclean, secret))
            _ = try await test.master.operator.remove(.credential, named: name, api: nil, ofAccount: "acme")
            #expect(try await !isKnown(.sendclean, secret))
        }
    }

    @Test("refuse credentials whose ID, secret or options are not acceptable")
    func badCredentials() async throws {
        try await TestMaster.run { test in
            _ = try await test.master.operator.createAccount(named: "acme")
            for secret in ["", String(repeating: "ä", count: 257)] {
                #expect(
                    await Self.added(test, Self.credential("7", .sendclean, secret: secret)) == .badProperty("secret")
                )
            }
            for secret in ["x", String(repeating: "ä", count: 256)] {
                let name = "\(secret.count)"
                #expect(await Self.added(test, Self.credential(name, .inboxfirst, secret: secret)) == nil)
                #expect(
                    try await test.master.authenticate(api: .inboxfirst, name: name, secret: secret)?.name == name
                )
            }
            let bad: [(String, APIName)] = [
                ("", .sendclean), (String(repeating: "x", count: 257), .sendclean), ("a\tb", .sendcloud),
                ("ann", .emailicious), ("ann:x@example.com", .emailicious), ("1:2", .inboxfirst),
            ]
            for (name, api) in bad {
                #expect(await Self.added(test, Self.credential(name, api)) == .badProperty("name"))
            }
            #expect(await Self.added(test, Self.credential(String(repeating: "x", count: 256), .sendclean)) == nil)
            #expect(await Self.added(test, Self.credential("7", .native)) == .badProperty("api"))
            var draft = CredentialDraft(api: .sendcloud, name: "7", smtpUser: "user")
            #expect(await Self.added(test, .credential(draft)) == .badProperty("smtp_user"))
            draft = CredentialDraft(api: .sendclean, name: "7", settings: CredentialSettings(trackOpens: true))
            #expect(await Self.added(test, .credential(draft)) == .badProperty("api"))
            draft = CredentialDraft(api: .sendclean, name: "7", group: " x")
            #expect(await Self.added(test, .credential(draft)) == .badProperty("group"))
            let page = CredentialSettings(unsubscribePage: AccountObjectID(rawValue: 9))
            draft = CredentialDraft(api: .sendcloud, name: "7", settings: page)
            #expect(await Self.added(test, .credential(draft)) == .unknownItem("7"))
            #expect(await Self.added(test, Self.credential("7", .sendclean), to: "nobody") == .unknownAccount("nobody"))
            #expect(await Self.added(test, Self.credential("7", .sendclean), to: "root") == nil)
            #expect(await Self.added(test, Self.credential("7", .sendclean)) == .nameTaken("7"))
            #expect(await Self.added(test, Self.credential("7", .sendcloud)) == nil)
        }
    }

    @Test("add objects whose contents are acceptable, list them by kind and remove them by name")
    func objects() async throws {
        try await TestMaster.run { test in
            _ = try await test.master.operator.createAccount(named: "acme")
            let good: [(String, AccountObject.Contents)] = [
                ("t", .template(.init(api: .sendclean, subject: "s", html: "<p></p>"))),
                ("t", .template(.init(api: .native, subject: "s", html: ""))),
                ("s", .seedList(.init(addresses: ["a@example.com"]))), ("Track.example.com", .urlDomain),
                ("Bounce@example.com", .bounceEmail), ("p", .unsubscribePage(.init(language: "pt-BR"))),
                ("v", .virtualMTA(.init(group: "eu"))), ("d", .databaseConnection(.init(url: "mysql://u:p@h/d"))),
            ]
            for (name, contents) in good {
                #expect(await Self.added(test, .object(name, contents)) == nil)
                #expect(await Self.added(test, .object(name, contents)) == .nameTaken(name))
                #expect(await Self.added(test, .object(name, contents), to: "root") == nil)
            }
            let bad: [(String, AccountObject.Contents, String)] = [
                ("", .virtualMTA(.init(group: "eu")), "name"), ("a\nb", .virtualMTA(.init(group: "eu")), "name"),
                ("v", .virtualMTA(.init(group: "")), "group"), ("s", .seedList(.init(addresses: [])), "addresses"),
                ("s", .seedList(.init(addresses: ["nobody"])), "addresses"), ("nowhere", .urlDomain, "name"),
                ("a b.example", .urlDomain, "name"), ("nobody", .bounceEmail, "name"),
                ("p", .unsubscribePage(.init(language: "e\"n")), "language"),
                ("d", .databaseConnection(.init(url: "host")), "url"),
                ("t", .template(.init(api: .emailicious, subject: "s", html: "")), "api"),
                ("t", .template(.init(api: .sendclean, subject: "a\nb", html: "")), "subject"),
                (
                    "t",
                    .template(.init(api: .sendclean, subject: "s", html: String(repeating: "x", count: 9 << 20))),
                    "html"
                ),
            ]
            for (name, contents, property) in bad {
                #expect(await Self.added(test, .object(name, contents)) == .badProperty(property), "\(contents)")
            }
            let items = try await test.master.operator.items(ofAccount: "acme")
            #expect(items.map(\.name) == good.map(\.0))
            for kind in AccountObject.Kind.allCases {
                #expect(
                    try await test.master.operator.items(ofAccount: "acme", .object(kind))
                        == items.filter { $0.kind == .object(kind) }
                )
            }
            func remove(_ kind: AccountObject.Kind, _ name: String, _ api: APIName? = nil) async -> MasterError.Code? {
                await Self.code {
                    try await test.master.operator.remove(.object(kind), named: name, api: api, ofAccount: "acme")
                }
            }
            #expect(await remove(.template, "t") == .badProperty("api"))
            #expect(await remove(.template, "t", .native) == nil)
            #expect(await remove(.template, "t") == nil)
            #expect(await remove(.template, "t") == .unknownItem("t"))
            #expect(await remove(.urlDomain, "TRACK.example.com") == nil)
            #expect(await remove(.bounceEmail, "bounce@example.com") == nil)
            #expect(await remove(.virtualMTA, "V") == .unknownItem("V"))
            #expect(try await test.master.operator.items(ofAccount: "root").count == good.count)
        }
    }

    @Test("keep the unsubscribe page of a credential")
    func usedPage() async throws {
        try await TestMaster.run { test in
            _ = try await test.master.operator.createAccount(named: "acme")
            let page = try await test.master.operator.add(
                .object("p", .unsubscribePage(.init(language: "en"))),
                toAccount: "acme"
            )
            guard case .object(let object) = page.item else { throw TestFailure("no object") }
            let settings = CredentialSettings(subscriptionTracking: true, unsubscribePage: object.id)
            let draft = CredentialDraft(api: .sendcloud, name: "7", settings: settings)
            #expect(await Self.added(test, .credential(draft)) == nil)
            #expect(
                await Self.code {
                    try await test.master.operator.remove(
                        .object(.unsubscribePage),
                        named: "p",
                        api: nil,
                        ofAccount: "acme"
                    )
                } == .itemInUse("p")
            )
        }
    }

    @Test("make keys for an account, which are revoked by number, by name and with the account")
    func keys() async throws {
        try await TestMaster.run { test in
            let acme = try await test.master.operator.createAccount(named: "acme")
            func make(_ name: String) async throws -> (record: APIKeyRecord, secret: String) {
                let added = try await test.master.operator.add(.key(name), toAccount: "acme")
                guard case .key(let record) = added.item, let secret = added.secret else { throw TestFailure("no key") }
                #expect(test.master.authenticate(secret: secret)?.account == acme.id)
                return (record, secret)
            }
            let first = try await make("one")
            #expect(await Self.added(test, .key("one")) == .nameTaken("one"))
            #expect(await Self.added(test, .key("")) == .badProperty("name"))
            try await test.master.operator.revokeKey("\(first.record.number)")
            #expect(test.master.authenticate(secret: first.secret) == nil)
            let second = try await make("one")
            _ = try await test.master.operator.remove(.key, named: "one", api: nil, ofAccount: "acme")
            #expect(test.master.authenticate(secret: second.secret) == nil)
            let third = try await make("one")
            let own = try await test.master.operator.createKey(name: "one", account: .root).secret
            _ = try await test.master.operator.add(Self.credential("7", .sendclean, secret: "x"), toAccount: "acme")
            #expect(try await test.master.authenticate(api: .sendclean, name: "7", secret: "x") != nil)
            #expect(try await test.master.operator.removeAccount(named: "Acme") == acme)
            #expect(test.master.authenticate(secret: third.secret) == nil)
            #expect(try await test.master.authenticate(api: .sendclean, name: "7", secret: "x") == nil)
            #expect(test.master.authenticate(secret: own) != nil)
            #expect(test.master.knownAccount(acme.id) == nil)
        }
    }

    @Test("remove no account that has mailings, and not root")
    func removing() async throws {
        try await TestMaster.run { test in
            let acme = try await test.master.operator.createAccount(named: "acme")
            let draft = MailingDraft(
                content: .alternative(html: "<p></p>", plain: nil),
                mailFrom: "news@example.org",
                senderName: "News",
                subject: "Hello"
            )
            let principal = Principal(account: acme.id, credential: "test")
            let mailing = try await test.master.account(principal).createMailing(draft)
            #expect(
                await Self.code { try await test.master.operator.removeAccount(named: "acme") }
                    == .accountBusy(mailings: 1)
            )
            try await test.master.account(principal).deleteMailing(mailing.id)
            #expect(try await test.master.operator.removeAccount(named: "acme") == acme)
            #expect(
                await Self.code { try await test.master.operator.removeAccount(named: "acme") }
                    == .unknownAccount("acme")
            )
            #expect(
                await Self.code { try await test.master.operator.removeAccount(named: "root") }
                    == .accountBusy(mailings: 0)
            )
        }
    }
}
