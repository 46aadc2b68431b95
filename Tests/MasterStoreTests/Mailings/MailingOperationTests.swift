// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@Suite("Mailings in the store")
struct MailingOperationTests {
    private struct Refused: Error, Equatable {}

    @Test("creates a mailing with its first content revision", arguments: StoreFactory.all)
    func creates(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing(start: false) { $0.ownerGUID = "o" }
            let mailing = try await fixture.mailing(id)
            #expect(mailing.status == .filling && mailing.subject == "Hello \(id)")
            #expect(mailing.properties.ownerGUID == "o" && mailing.created == fixture.now)
            let content = try #require(try await fixture.store.content(of: id, in: .everything))
            #expect(content.mailing == id)
            let blob = try #require(try await fixture.store.blob(mailing.content))
            #expect(try MailingContent(canonicalBytes: blob) == content)
        }
    }

    @Test("creates nothing when the content is refused", arguments: StoreFactory.all)
    func createRefused(factory: StoreFactory) async throws {
        try await factory.withStore { (fixture: Fixture) async throws in
            await #expect(throws: Refused.self) {
                _ = try await fixture.store.createMailing(
                    MailingProperties(mailFrom: "a@b.c", senderName: ""),
                    account: .root,
                    at: fixture.now
                ) { _ in throw Refused() }
            }
            #expect(try await fixture.store.countMailings(MailingFilter(), in: .everything) == 0)
        }
    }

    @Test("never gives a mailing's number again", arguments: StoreFactory.all)
    func numbers(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let first = try await fixture.makeMailing()
            _ = try await fixture.store.deleteMailing(first, in: .everything, at: fixture.now)
            try await fixture.reopen()
            let second = try await fixture.makeMailing()
            #expect(second > first)
        }
    }

    @Test("changes a mailing, and nothing when the change throws", arguments: StoreFactory.all)
    func updates(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing(start: false)
            let before = try await fixture.mailing(id)
            await #expect(throws: Refused.self) {
                _ = try await fixture.store.updateMailing(id, in: .everything, at: fixture.now) {
                    $0.properties.shownName = "x"
                    throw Refused()
                }
            }
            #expect(try await fixture.mailing(id) == before)
            let after = try await fixture.store.updateMailing(id, in: .everything, at: fixture.now) {
                $0.properties.shownName = "x"
                $0.counters.total = 99
                return MailingContent(
                    mailing: $0.id,
                    subject: "New",
                    body: .mime([1, 2, 3]),
                    mailFrom: "a@b.c",
                    senderName: "A"
                )
            }
            #expect(after.properties.shownName == "x" && after.subject == "New" && after.counters.total == 0)
            #expect(after.content != before.content)
            #expect(try await fixture.mailing(id) == after)
            #expect(try await fixture.store.content(of: id, in: .everything)?.body == .mime([1, 2, 3]))
        }
    }

    @Test("refuses to finish a mailing with unfinished recipients by a change", arguments: StoreFactory.all)
    func finishRefused(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let id = try await fixture.makeMailing()
            try await fixture.add(1, to: id)
            let error = await #expect(throws: StoreError.self) {
                _ = try await fixture.store.updateMailing(id, in: .everything, at: fixture.now) {
                    $0.status = .finished
                    return nil
                }
            }
            #expect(error?.code == .conflict)
            #expect(try await fixture.mailing(id).status == .ready)
        }
    }

    @Test("lists by every criterion, in order of number", arguments: StoreFactory.all)
    func filters(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let one = try await fixture.makeMailing(start: false) { $0.ownerGUID = "a\"'b" }
            let two = try await fixture.makeMailing { $0.satelliteGroup = "g" }
            let three = try await fixture.makeMailing(account: AccountID(rawValue: 5)) { $0.mailFrom = "x@%other.net" }
            func list(
                in scope: AccountScope = .everything,
                _ change: (inout MailingFilter) -> Void
            ) async throws -> [MailingID] {
                var filter = MailingFilter()
                change(&filter)
                let found = try await fixture.store.mailings(filter, in: scope).map(\.id)
                #expect(try await fixture.store.countMailings(filter, in: scope) == found.count)
                return found
            }
            #expect(try await list { _ in } == [one, two, three])
            #expect(try await list { $0.ids = [three, one] } == [one, three])
            #expect(try await list { $0.ids = [] } == [])
            #expect(try await list { $0.statuses = [.ready] } == [two, three])
            #expect(try await list { $0.domains = ["EXAMPLE.org"] } == [one, two])
            #expect(try await list { $0.domains = ["%other.net"] } == [three])
            #expect(try await list { $0.owners = ["a\"'b"] } == [one])
            #expect(try await list { $0.satelliteGroups = ["g"] } == [two])
            #expect(try await list(in: .account(AccountID(rawValue: 5))) { _ in } == [three])
            #expect(
                try await list {
                    $0.after = one; $0.limit = 1
                } == [two]
            )
            #expect(
                try await list {
                    $0.statuses = [.ready]; $0.domains = ["example.org"]
                } == [two]
            )
        }
    }

    @Test("knows no mailing of a number never given", arguments: StoreFactory.all)
    func unknown(factory: StoreFactory) async throws {
        try await factory.withStore { (fixture: Fixture) async throws in
            let id = MailingID(rawValue: 99)
            #expect(try await fixture.store.mailing(id, in: .everything) == nil)
            #expect(try await fixture.store.content(of: id, in: .everything) == nil)
            for operation: () async throws -> Void in [
                { _ = try await fixture.store.updateMailing(id, in: .everything, at: fixture.now) { _ in nil } },
                { _ = try await fixture.store.deleteMailing(id, in: .everything, at: fixture.now) },
                { _ = try await fixture.store.pauseMailing(id, in: .everything, at: fixture.now) { _ in } },
                { _ = try await fixture.store.expireRemaining(id, at: fixture.now) },
                { try await fixture.add(1, to: id) },
            ] {
                let error = await #expect(throws: StoreError.self) { try await operation() }
                #expect(error?.code == .unknownMailing)
            }
        }
    }
}
