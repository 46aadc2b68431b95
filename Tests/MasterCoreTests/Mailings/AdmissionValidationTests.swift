// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailFormat
import MailMerge
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

/// What a mailing accepts makes a message that can be sent and whose signature holds; what would not is refused when it
/// is set.
@Suite("What fails at send time is refused on admission", .timeLimit(.minutes(10)))
struct AdmissionValidationTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var name: String
        /// The property that is refused, or `nil` if the change is accepted.
        var refused: String?
        /// What the message's header holds then.
        var header: String?
        var change: @Sendable (inout MailingChange) -> Void
        var testDescription: String { self.name }

        init(
            _ name: String,
            refused: String? = nil,
            header: String? = nil,
            _ change: @escaping @Sendable (inout MailingChange) -> Void
        ) {
            (self.name, self.refused, self.header, self.change) = (name, refused, header, change)
        }

        static func dkim(
            _ name: String,
            domain: String = "example.org",
            selector: String = "s1",
            identity: String? = nil,
            pem: String? = AdmissionValidationTests.ed25519,
            refused: Bool = true,
            header: String? = nil
        ) -> Row {
            Row("dkim \(name)", refused: refused ? "dkim" : nil, header: header) {
                $0.dkim = [
                    DKIMSettingDraft(domain: domain, selector: selector, privateKey: pem, identity: identity)
                ]
            }
        }
    }

    static let ed25519 = DKIMPrivateKey.makeEd25519().pem

    static let rows: [Row] = [
        .dkim("without identity", refused: false, header: "d=example.org;"),
        .dkim("identity @domain", identity: "@example.org", refused: false, header: "i=@example.org;"),
        .dkim("identity empty", identity: "", refused: false, header: "s=s1;"),
        .dkim(
            "identity of a subdomain",
            identity: "n@news.example.org",
            refused: false,
            header: "i=n@news.example.org;"
        ),
        .dkim("domain international", domain: "bücher.example", refused: false, header: "d=xn--bcher-kva.example;"),
        .dkim("selector of two labels", selector: "a.b", refused: false, header: "s=a.b;"),
        .dkim("identity elsewhere", identity: "news@other.example"),
        .dkim("identity a word", identity: "news"),
        .dkim("identity of another subdomain", identity: "@ample.org"),
        .dkim("identity with a line end", identity: "a\r\n@example.org"),
        .dkim("selector a..b", selector: "a..b"),
        .dkim("selector -s1", selector: "-s1"),
        .dkim("selector s1-", selector: "s1-"),
        .dkim("selector s1.", selector: "s1."),
        .dkim("selector beyond ASCII", selector: "sé"),
        .dkim("selector empty", selector: ""),
        .dkim("selector too long", selector: String(repeating: "s", count: 64)),
        .dkim("domain with a final dot", domain: "example.org."),
        .dkim("domain with an empty label", domain: "example..org"),
        .dkim("domain with a space", domain: "exam ple.org"),
        .dkim("domain a network address", domain: "[192.0.2.1]"),
        .dkim("domain empty", domain: ""),
        .dkim("key missing", pem: nil),
        .dkim("key empty", pem: ""),
        .dkim("key a word", pem: "x"),
        Row("dkim too many", refused: "dkim") {
            $0.dkim = (0..<9).map {
                DKIMSettingDraft(
                    domain: "example.org",
                    selector: "s\($0)",
                    privateKey: AdmissionValidationTests.ed25519
                )
            }
        },
        Row("mail_from", header: "From: News <a@b.example>") { $0.mailFrom = "a@b.example" },
        Row("mail_from of the introduction", header: "<my-mailing@%example.org>") {
            $0.mailFrom = "my-mailing@%example.org"
        },
        Row("mail_from a literal", header: "@192.0.2.1>") { $0.mailFrom = "a@[192.0.2.1]" },
        Row("mail_from an empty label", refused: "mail_from") { $0.mailFrom = "a@example..org" },
        Row("mail_from a final dot", refused: "mail_from") { $0.mailFrom = "a@example.org." },
        Row("mail_from a number", refused: "mail_from") { $0.mailFrom = "a@192.0.2.1" },
        Row("mail_from too long", refused: "mail_from") {
            $0.mailFrom = "a@" + String(repeating: "%abcdef.", count: 32) + "org"
        },
        Row("mail_from a list", refused: "mail_from") { $0.mailFrom = "a@example.org, b@example.org" },
        Row("sender_name", header: "From: =?UTF-8?B?Q2Fmw6k=?= <news@example.org>") { $0.senderName = "Café" },
        Row("sender_name empty", header: "From: news@example.org") { $0.senderName = "" },
        Row("sender_name too long", refused: "sender_name") { $0.senderName = String(repeating: "é", count: 251) },
        Row("sender_name that turns", refused: "sender_name") { $0.senderName = "a\u{202E}b" },
        Row("sender_name of two lines", refused: "sender_name") { $0.senderName = "a\nb" },
        Row("subject", header: "Subject: S Ada") { $0.subject = "S {{ name }}" },
        Row("subject too long", refused: "subject") { $0.subject = String(repeating: "x", count: 10_001) },
        Row("subject of two lines", refused: "subject") { $0.subject = "a\r\nb" },
        Row("shown_name") { $0.shownName = .set("é") },
        Row("shown_name with a NUL", refused: "shown_name") { $0.shownName = .set("a\0") },
        Row("owner_guid") { $0.ownerGUID = .set("3f2504e0-4f89-11d3-9a0c-0305e82c3301") },
        Row("owner_guid with a NUL", refused: "owner_guid") { $0.ownerGUID = .set("\0") },
        Row("owner_guid too long", refused: "owner_guid") { $0.ownerGUID = .set(String(repeating: "x", count: 256)) },
        Row("satellite_group with a NUL", refused: "satellite_group") { $0.satelliteGroup = .set("a\0b") },
        Row("tracking_url", header: "List-Unsubscribe: <https://t.example.org/u/t1>") {
            $0.trackingURL = .set("https://t.example.org")
        },
        Row("tracking_url without a host", refused: "tracking_url") { $0.trackingURL = .set("https:///t/") },
        Row("tracking_url with a fragment", refused: "tracking_url") { $0.trackingURL = .set("https://t.example/#") },
        Row("tracking_url whose host cannot be", refused: "tracking_url") { $0.trackingURL = .set("http://a..b/") },
        Row("tracking_url too long", refused: "tracking_url") {
            $0.trackingURL = .set("https://t.example/" + String(repeating: "é", count: 200))
        },
        Row("scheduled_end after the start") {
            $0.scheduledStart = .set(Timestamp(seconds: 4_000_000_000))
            $0.scheduledEnd = .set(Timestamp(seconds: 4_000_000_001))
        },
        Row("scheduled_end at the start", refused: "scheduled_end") {
            $0.scheduledStart = .set(Timestamp(seconds: 4_000_000_000))
            $0.scheduledEnd = .set(Timestamp(seconds: 4_000_000_000))
        },
        Row("header and body", header: "X-Kept: 1") {
            $0.header = Array("\u{FEFF}\r\nSubject: =?koi8-r?B?8NI=?=\r\nX-Kept: 1".utf8)
            $0.body = Array("Hi {{ name }}".utf8)
        },
        Row("header with a word that fits no line", refused: "header") {
            $0.header = Array("Subject: s\r\nX-Long: \(String(repeating: "x", count: 1_000))".utf8)
            $0.body = []
        },
        Row("header whose Subject is in an unknown charset", refused: "subject") {
            $0.header = Array("Subject: =?klingon?Q?x?=".utf8)
            $0.body = []
        },
        Row("header whose text is in an unknown charset", refused: "badContent") {
            $0.header = Array("Content-Type: text/plain; charset=klingon".utf8)
            $0.body = Array("x".utf8)
        },
        Row("html_content that does not compile", refused: "badContent") { $0.html = "{% if %}" },
    ]

    @Test("a property is refused, or makes a message that is whole and signed", arguments: Self.rows)
    func row(_ row: Row) async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            var change = MailingChange()
            row.change(&change)
            let before = try await test.operations.mailing(id)
            do {
                _ = try await test.operations.setProperties(of: id, to: change)
                #expect(row.refused == nil, "it was accepted")
            } catch let error as MasterError {
                #expect(Self.name(of: error.code) == row.refused, "\(error.message)")
                #expect(!error.message.isEmpty && !error.message.contains("\n"))
                #expect(try await test.operations.mailing(id).properties == before.properties)
                return
            }
            let message = try await Self.message(of: id, in: test)
            let header = message.split(separator: "\r\n\r\n", maxSplits: 1).first.map(String.init) ?? ""
            if let expected = row.header { #expect(header.contains(expected), "\(header)") }
            #expect(header.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 998 })
        }
    }

    private static func name(of code: MasterError.Code) -> String {
        switch code {
        case .badProperty(let name): name
        case .badContent: "badContent"
        default: "\(code)"
        }
    }

    /// The message that a satellite makes of a mailing's content; its signatures have been verified.
    private static func message(of id: MailingID, in test: TestMaster) async throws -> String {
        let content = try await test.operations.content(of: id)
        var scratch = RenderScratch()
        try CompiledContent(content).render(
            RenderRecipient(
                id: RecipientID(mailing: id, bucket: Bucket(rawValue: 0), ordinal: 0),
                trackingID: "t1",
                address: try EmailAddress(parsing: "ada@example.com"),
                mergeFields: MergeFields([.init(name: "name", value: .text("Ada"))]).encoded(),
                date: Timestamp(seconds: 1_795_412_400)
            ),
            scratch: &scratch
        )
        var signers: [DKIMSigner] = []
        for setting in content.dkim {
            let pem = try #require(try await test.store.signingKey(setting.key))
            signers.append(
                try DKIMSigner(
                    domain: setting.domain,
                    selector: setting.selector,
                    key: DKIMPrivateKey(pem: pem),
                    identity: setting.identity
                )
            )
        }
        let signatures = try MessageSigner(signers).signatures(header: scratch.header, body: scratch.body, at: 1)
        let message = signatures + scratch.message
        let results = await DKIMVerifier.verify(message: message) { _, _ in signers.first?.key.publicRecord }
        #expect(results.map(\.verdict) == signers.map { _ in .pass })
        return String(decoding: message, as: UTF8.self)
    }

    @Test("a signature keeps its key when only its identity changes")
    func keptKey() async throws {
        try await TestMaster.run { test in
            let id = try await test.mailing()
            var change = MailingChange()
            change.dkim = [DKIMSettingDraft(domain: "Example.org", selector: "s", privateKey: Self.ed25519)]
            _ = try await test.operations.setProperties(of: id, to: change)
            change.dkim = [
                DKIMSettingDraft(domain: "example.org", selector: "s", privateKey: nil, identity: "@example.org")
            ]
            _ = try await test.operations.setProperties(of: id, to: change)
            #expect(try await Self.message(of: id, in: test).contains("i=@example.org;"))
        }
    }

    @Test("a finished message is read whatever its charset, and behind a byte order mark or an empty line")
    func finishedMessages() async throws {
        try await TestMaster.run { test in
            for (name, bytes) in Self.messages {
                let mailing = try await test.operations.createMailing(MailingDraft(content: .message(bytes)))
                #expect(mailing.properties.senderName == "Пр", "\(name)")
                #expect(mailing.subject == "Пр {{ name }}", "\(name)")
                #expect(mailing.properties.mailFrom == "a@example.org", "\(name)")
            }
            for text in ["Subject: =?klingon?q?x?=\nFrom: a@b.example\n\n", "From: =?klingon?q?x?= <a@b.example>\n\n"] {
                let error = await #expect(throws: MasterError.self) {
                    try await test.operations.createMailing(MailingDraft(content: .message(Array(text.utf8))))
                }
                #expect(error?.message.contains("klingon") == true)
            }
        }
    }

    private static let messages: [(String, [UInt8])] = {
        let koi8: [UInt8] = [0xF0, 0xD2]
        let words = Array(
            "From: \"=?koi8-r?B?8NI=?=\" <a@example.org>\nSubject: =?koi8-r?B?8NI=?= {{ name }}\n\nx\n".utf8
        )
        var raw = Array("From: ".utf8) + koi8 + Array(" <a@example.org>\nSubject: ".utf8) + koi8
        raw += Array(" {{ name }}\nContent-Type: text/plain; charset=koi8-r\n\nx\n".utf8)
        return [
            ("words", words), ("raw", raw), ("byte order mark", [0xEF, 0xBB, 0xBF] + words),
            ("empty lines", Array("\r\n\n".utf8) + words),
        ]
    }()
}
