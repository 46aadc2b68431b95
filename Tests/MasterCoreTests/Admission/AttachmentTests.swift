// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterCore
@testable import MasterStore

@Suite("Attachments of a call", .timeLimit(.minutes(15)))
struct AttachmentTests {
    private static func attachment(_ text: String) -> AttachmentSubmission {
        AttachmentSubmission(
            filename: "\(text).txt",
            contentType: "text/plain",
            charset: nil,
            contentID: nil,
            bytes: Array(text.utf8)
        )
    }

    @Test("are stored in one commit, each with its own recipient, and those of a refused one not at all")
    func oneCommit() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let id = try await test.mailing()
            let (terms, offer) = (Self.attachment("terms"), Self.attachment("offer"))
            let submissions = [
                RecipientSubmission(address: "first@example.org", attachments: [terms, offer]),
                RecipientSubmission(address: "no address", attachments: [Self.attachment("refused")]),
                RecipientSubmission(address: "none@example.org"),
                RecipientSubmission(address: "second@example.org", attachments: [offer]),
            ]
            let results = try await test.operations.addRecipients(submissions, to: id)
            let accepted = results.map { if case .accepted = $0 { true } else { false } }
            #expect(accepted == [true, false, true, true])
            #expect(test.faults.calls(of: "putBlobs") == 1)

            _ = try await test.operations.startMailing(id)
            let entries = try await satellite.take(3).flatMap(\.entries)
            let attachments = Dictionary(uniqueKeysWithValues: entries.map { ($0.address, $0.attachments) })
            let hashes = [terms, offer].map { TestMaster.secrets.digest($0.encoded) }
            #expect(attachments["first@example.org"] == hashes)
            #expect(attachments["none@example.org"] == [])
            #expect(attachments["second@example.org"] == [hashes[1]])
            for (hash, attachment) in zip(hashes, [terms, offer]) {
                #expect(try await test.store.blob(hash) == attachment.encoded)
            }
            #expect(try await test.store.blob(TestMaster.secrets.digest(Self.attachment("refused").encoded)) == nil)
        }
    }

    @Test("that cannot be stored let nobody be added")
    func failure() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            let submission = RecipientSubmission(address: "a@example.org", attachments: [Self.attachment("terms")])
            test.faults.fail(["putBlobs"], with: .full)
            let error = await #expect(throws: MasterError.self) {
                _ = try await test.operations.addRecipients([submission], to: id)
            }
            #expect(error?.code == .storeFull)
            test.faults.fail([], with: nil)
            #expect(try await test.operations.mailing(id).counters.total == 0)
        }
    }
}
