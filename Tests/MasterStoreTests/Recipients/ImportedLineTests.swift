// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("Lines of an import")
struct ImportedLineTests {
    private static func draft(_ name: String, trackingID: String? = nil) -> RecipientDraft {
        RecipientDraft(address: "\(name)@a.example", domain: "a.example", trackingID: trackingID, mergeFields: [])
    }

    private static func add(
        _ drafts: [RecipientDraft],
        lines: [Int],
        key: String? = "list",
        to mailing: MailingID,
        _ fixture: Fixture
    ) async throws -> [ImportAdmission] {
        try await fixture.store.importRecipients(
            drafts,
            to: mailing,
            in: .everything,
            from: key.map { ImportSource(key: $0, lines: lines) },
            at: fixture.now
        )
    }

    /// What came of each, without the ids.
    private static func summary(_ admissions: [ImportAdmission]) -> [String] {
        admissions.map { admission in
            switch admission {
            case .accepted: "accepted"
            case .repeated: "repeated"
            case .lineTaken: "line taken"
            case .trackingIDTaken: "id taken"
            }
        }
    }

    @Test("a repeated line adds nobody, also across blocks and after a restart", arguments: StoreFactory.all)
    func repetition(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let mailing = try await fixture.makeMailing()
            let lines = [1, 2, 1_023, 1_024, 1_025, 70_000, 3_000_000_000]
            let drafts = lines.map { Self.draft("r\($0)") }
            let first = try await Self.add(Array(drafts[..<4]), lines: Array(lines[..<4]), to: mailing, fixture)
            #expect(Self.summary(first) == Array(repeating: "accepted", count: 4))
            try await fixture.reopen()
            let second = try await Self.add(drafts, lines: lines, to: mailing, fixture)
            #expect(
                Self.summary(second) == Array(repeating: "repeated", count: 4) + ["accepted", "accepted", "accepted"]
            )
            let third = try await Self.add(drafts, lines: lines, to: mailing, fixture)
            #expect(Self.summary(third) == Array(repeating: "repeated", count: 7))
            #expect(try await fixture.counters(mailing).total == 7)
            guard case .accepted(let recipient) = second[6] else {
                Issue.record("not accepted")
                return
            }
            let report = try await fixture.report(of: recipient)
            #expect(
                report.address == "r3000000000@a.example" && report.trackingID == fixture.trackingIDs([recipient])[0]
            )
        }
    }

    @Test("another address on a line is refused, a line that was refused before is taken", arguments: StoreFactory.all)
    func otherFile(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let mailing = try await fixture.makeMailing()
            // Line 3 was refused before it got here.
            _ = try await Self.add([Self.draft("a"), Self.draft("b")], lines: [2, 4], to: mailing, fixture)
            let repaired = try await Self.add(
                [Self.draft("other"), Self.draft("repaired"), Self.draft("b")],
                lines: [2, 3, 4],
                to: mailing,
                fixture
            )
            #expect(Self.summary(repaired) == ["line taken", "accepted", "repeated"])
            #expect(try await fixture.counters(mailing).total == 3)
        }
    }

    @Test("keys, mailings and recipients with ids of their own are kept apart", arguments: StoreFactory.all)
    func scopes(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let mailing = try await fixture.makeMailing()
            let other = try await fixture.makeMailing()
            let one = [Self.draft("a"), Self.draft("b", trackingID: "own")]
            #expect(
                Self.summary(try await Self.add(one, lines: [1, 2], to: mailing, fixture)) == ["accepted", "accepted"]
            )
            #expect(
                Self.summary(try await Self.add(one, lines: [1, 2], to: mailing, fixture)) == ["repeated", "id taken"]
            )
            let plain = [Self.draft("a"), Self.draft("b")]
            // Line 2 was recognised by its own id, so its line is free.
            #expect(
                Self.summary(try await Self.add(plain, lines: [1, 2], to: mailing, fixture)) == [
                    "repeated", "accepted",
                ]
            )
            for (key, mailing) in [("other", mailing), ("list", other), (nil, mailing), (nil, mailing)] {
                let added = try await Self.add(plain, lines: [1, 2], key: key, to: mailing, fixture)
                #expect(Self.summary(added) == ["accepted", "accepted"])
            }
        }
    }

    @Test("one line given twice in a call is taken once", arguments: StoreFactory.all)
    func twiceInACall(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let mailing = try await fixture.makeMailing()
            let drafts = [Self.draft("a"), Self.draft("a"), Self.draft("b")]
            let admissions = try await Self.add(drafts, lines: [9, 9, 9], to: mailing, fixture)
            #expect(Self.summary(admissions) == ["accepted", "repeated", "line taken"])
        }
    }

    @Test("what is known of lines goes with the mailing", arguments: StoreFactory.all)
    func deletion(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let mailing = try await fixture.makeMailing()
            let lines = (0..<250).map { $0 * 1_024 + 1 }
            _ = try await Self.add(lines.map { Self.draft("r\($0)") }, lines: lines, to: mailing, fixture)
            _ = try await fixture.store.deleteMailing(mailing, in: .everything, at: fixture.now)
            let database = fixture.store
            try await fixture.untilPurged()
            #expect(
                try await database.read {
                    try $0.prepare("SELECT count(*) FROM import_block").first { try $0.int(0) }
                } == 0
            )
        }
    }
}
