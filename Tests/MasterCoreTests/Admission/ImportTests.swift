// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterCore
import MasterStore
import Testing

@Suite("An import", .timeLimit(.minutes(15)))
struct ImportTests {
    private static func recipients(_ addresses: [String], ids: [String?] = []) -> [ImportedRecipient] {
        addresses.enumerated().map { index, address in
            let id = index < ids.count ? ids[index] : nil
            return ImportedRecipient(line: index + 2, RecipientSubmission(address: address, trackingID: id))
        }
    }

    private static func codes(_ results: [ImportResult]) -> [RefusalCode?] {
        results.map { if case .refused(let code, _) = $0 { code } else { nil } }
    }

    @Test("with a key adds nobody twice, and refuses a key that was used for another file")
    func repeated() async throws {
        try await TestMaster.run { test in
            let mailing = try await test.mailing()
            let people = Self.recipients(["a@one.test", "b@one.test", "nobody"])
            let first = try await test.operations.importRecipients(people, to: mailing, key: "k")
            #expect(first.prefix(2) == [.accepted, .accepted])
            #expect(Self.codes(first) == [nil, nil, .badAddress])
            let again = try await test.operations.importRecipients(
                people + [ImportedRecipient(line: 5, RecipientSubmission(address: "c@one.test"))],
                to: mailing,
                key: "k"
            )
            #expect(again.prefix(2) == [.repeated, .repeated])
            #expect(again.last == .accepted)
            let shifted = Self.recipients(["b@one.test", "a@one.test"])
            let reused = try await test.operations.importRecipients(shifted, to: mailing, key: "k")
            #expect(Self.codes(reused) == [.keyReused, .keyReused])
            let other = try await test.operations.importRecipients(shifted, to: mailing, key: "l")
            #expect(other == [.accepted, .accepted])
            #expect(try await test.operations.mailing(mailing).counters.total == 5)
        }
    }

    @Test("takes one step's recipients at a time and no more")
    func limit() async throws {
        try await TestMaster.run { test in
            let mailing = try await test.mailing()
            let limit = test.operations.maximumRecipientsPerImportStep
            let people = Self.recipients((0...limit).map { "person\($0)@one.test" })
            let error = await #expect(throws: MasterError.self) {
                _ = try await test.operations.importRecipients(people, to: mailing, key: nil)
            }
            #expect(error?.code == .tooMany(limit: limit))
            #expect(try await test.operations.mailing(mailing).counters.total == 0)
            let most = Array(people.dropLast())
            #expect(
                try await test.operations.importRecipients(most, to: mailing, key: nil).allSatisfy { $0 == .accepted }
            )
        }
    }

    @Test("belongs to its mailing")
    func mailings() async throws {
        try await TestMaster.run { test in
            let people = Self.recipients(["a@one.test"])
            for _ in 0..<2 {
                let mailing = try await test.mailing()
                #expect(try await test.operations.importRecipients(people, to: mailing, key: "k") == [.accepted])
            }
        }
    }

    @Test("knows recipients with ids of their own by those, if there is a key")
    func ownIDs() async throws {
        try await TestMaster.run { test in
            let mailing = try await test.mailing()
            let people = Self.recipients(["a@one.test", "b@one.test"], ids: ["one", "two"])
            #expect(
                try await test.operations.importRecipients(people, to: mailing, key: "k") == [.accepted, .accepted]
            )
            #expect(
                try await test.operations.importRecipients(people, to: mailing, key: "l") == [.repeated, .repeated]
            )
            let unnamed = try await test.operations.importRecipients(people, to: mailing, key: nil)
            #expect(Self.codes(unnamed) == [.trackingIDTaken, .trackingIDTaken])
            let moved = Self.recipients(["c@one.test"], ids: ["one"])
            let taken = try await test.operations.importRecipients(moved, to: mailing, key: "k")
            #expect(Self.codes(taken) == [.trackingIDTaken])
            let elsewhere = try await test.mailing()
            let other = try await test.operations.importRecipients(people, to: elsewhere, key: "k")
            #expect(Self.codes(other) == [.trackingIDTaken, .trackingIDTaken])
        }
    }
}
