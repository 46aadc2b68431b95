// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("Admission of recipients")
struct AdmissionTests {
    private static let admission = Admission(configuration: MasterConfiguration())

    private static func reason(_ submission: RecipientSubmission) -> String? {
        switch Self.admission.validate(submission) {
        case .success: nil
        case .failure(let refusal): refusal.reason
        }
    }

    @Test(
        "takes every address that mail can be sent to",
        arguments: [
            "simple@example.org", "first.last+tag@sub.example.technology", "\"quoted local\"@example.org",
            "\"with@at\"@example.org", "user@xn--bcher-kva.example", "user@bücher.example", "jörg@example.org",
            "o'brien@example.ie", "UPPER@EXAMPLE.ORG",
        ]
    )
    func good(address: String) {
        #expect(Self.reason(RecipientSubmission(address: address)) == nil)
    }

    @Test(
        "refuses what is no address, or would break a command or a header",
        arguments: [
            "", "plain", "@example.org", "a@", "a@@example.org", "a b@example.org", "a@example.org\r\nRCPT TO:<x@y.z>",
            "a@example.org\n", "a\0@example.org", "a\u{202E}b@example.org", "a@ex\u{2066}ample.org", "a@exa mple.org",
            "a@-.example", "<a@example.org>", String(repeating: "a", count: 65) + "@example.org",
        ]
    )
    func bad(address: String) throws {
        let reason = try #require(Self.reason(RecipientSubmission(address: address)))
        #expect(!reason.contains { $0.isNewline })
        #expect(reason.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E })
    }

    @Test("puts a recipient into the bucket of its domain's canonical form and keeps the address as written")
    func canonical() throws {
        let draft = try Self.admission.validate(RecipientSubmission(address: "User@Bücher.Example")).get()
        #expect(draft.domain == "xn--bcher-kva.example")
        #expect(draft.address == "User@Bücher.Example")
    }

    @Test("refuses line ends in fields that go into header fields, and takes them elsewhere")
    func lineEnds() {
        let text = MergeValue.text("two\r\nlines")
        let header = MergeFields([MergeFields.Field(name: "firstname", value: text)])
        let body = MergeFields([MergeFields.Field(name: "letter", value: text)])
        #expect(Self.reason(RecipientSubmission(address: "a@example.org", fields: header)) != nil)
        #expect(Self.reason(RecipientSubmission(address: "a@example.org", fields: body)) == nil)
    }

    @Test("refuses NUL at any depth")
    func nul() {
        let deep = MergeValue.list([.map(MergeFields([MergeFields.Field(name: "x", value: .text("a\0b"))]))])
        let fields = MergeFields([MergeFields.Field(name: "data", value: deep)])
        #expect(Self.reason(RecipientSubmission(address: "a@example.org", fields: fields)) != nil)
    }

    @Test("refuses names that change the writing direction")
    func direction() {
        let fields = MergeFields([MergeFields.Field(name: "lastname", value: .text("abc\u{202E}fed"))])
        #expect(Self.reason(RecipientSubmission(address: "a@example.org", fields: fields)) != nil)
    }

    @Test("takes merge fields up to 64 KiB and no more")
    func size() {
        func submission(_ count: Int) -> RecipientSubmission {
            RecipientSubmission(
                address: "a@example.org",
                fields: MergeFields([
                    MergeFields.Field(name: "text", value: .text(String(repeating: "x", count: count)))
                ])
            )
        }
        #expect(Self.reason(submission(65_000)) == nil)
        #expect(Self.reason(submission(65_537)) != nil)
    }

    @Test(
        "takes tracking ids of 1 to 49 visible characters",
        arguments: ["x", "id-42", String(repeating: "a", count: 49)]
    )
    func trackingID(id: String) {
        #expect(Self.reason(RecipientSubmission(address: "a@example.org", trackingID: id)) == nil)
    }

    @Test("refuses other tracking ids", arguments: ["", "a b", "a\nb", "é", String(repeating: "a", count: 50)])
    func badTrackingID(id: String) {
        #expect(Self.reason(RecipientSubmission(address: "a@example.org", trackingID: id)) != nil)
    }

    @Test("refuses attachments that would break the message or are too large")
    func attachments() {
        func submission(_ attachment: AttachmentSubmission) -> RecipientSubmission {
            RecipientSubmission(address: "a@example.org", attachments: [attachment])
        }
        #expect(
            Self.reason(submission(AttachmentSubmission(filename: "a.pdf", contentType: "application/pdf", bytes: [1])))
                == nil
        )
        #expect(Self.reason(submission(AttachmentSubmission(contentType: "nonsense", bytes: []))) != nil)
        #expect(
            Self.reason(submission(AttachmentSubmission(filename: "a\r\nBcc: x", contentType: "text/plain", bytes: [])))
                != nil
        )
        let large = [UInt8](repeating: 0, count: 10 * 1_024 * 1_024 + 1)
        #expect(Self.reason(submission(AttachmentSubmission(contentType: "image/png", bytes: large))) != nil)
    }
}
