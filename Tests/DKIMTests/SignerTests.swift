// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailFormat
import Testing

@Suite("Signing, RFC 6376 §5")
struct SignerTests {
    static let message = Array(
        """
        From: Jane <jane@example.org>\r
        To: joe@example.net\r
        Subject: News\r
        Date: Mon, 23 Nov 2026 05:40:00 +0000\r
        Message-ID: <1@example.org>\r
        List-Unsubscribe: <https://u.example.org/abc>\r
        List-Unsubscribe-Post: List-Unsubscribe=One-Click\r
        MIME-Version: 1.0\r
        Content-Type: text/plain\r
        \r
        Hello\r

        """.utf8
    )

    @Test("writes the golden bytes for a given message, key and time")
    func golden() throws {
        let signed = try Corpus.signed(Self.message, by: [Corpus.rsa(), Corpus.ed25519()])
        #expect(String(decoding: signed, as: UTF8.self) == (try Corpus.text("news.signed.eml")))
    }

    @Test("X5: signs the same message with the same bytes again")
    func determinism() throws {
        let signers = [try Corpus.rsa(), try Corpus.ed25519()]
        let first = try Corpus.signed(Self.message, by: signers)
        for _ in 0..<10 { #expect(try Corpus.signed(Self.message, by: signers) == first) }
    }

    @Test("D5: signs each oversigned field as often as it occurs and once more, and never a length")
    func oversigning() async throws {
        let message = try Corpus.signed(Self.message, by: [Corpus.ed25519()])
        let result = try #require(await DKIMVerifier.verify(message: message, keyRecord: Corpus.keys).first)
        #expect(result.verdict == .pass)
        for name in MessageSigner.oversignedFields {
            let occurs = name == "Feedback-ID" ? 0 : 1
            #expect(result.signedFields.count { $0 == name.lowercased() } == occurs + 1)
        }
        #expect(result.signedFields.count { $0 == "mime-version" } == 1)
        #expect(!String(decoding: message, as: UTF8.self).contains(" l="))
    }

    @Test("D7: breaks when a one-click header is added, changed or removed")
    func oneClick() async throws {
        let message = String(decoding: try Corpus.signed(Self.message, by: [Corpus.ed25519()]), as: UTF8.self)
        let changes = [
            message.replacing("u.example.org", with: "v.example.org"),
            message.replacing("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", with: ""),
            message.replacing("MIME-Version", with: "List-Unsubscribe: <https://evil.example>\r\nMIME-Version"),
            message.replacing("MIME-Version", with: "Feedback-ID: x\r\nMIME-Version"),
            message.replacing("Subject: News", with: "Subject: News\r\nSubject: Other"),
            message.replacing("MIME-Version", with: "From: other@example.org\r\nMIME-Version"),
        ]
        for changed in changes {
            #expect(changed != message)
            let verdicts = await DKIMVerifier.verify(message: Array(changed.utf8), keyRecord: Corpus.keys).map(
                \.verdict
            )
            #expect(verdicts == [.fail("the signature does not fit the header")])
        }
    }

    @Test("signs fields that occur more than once from the last one up")
    func repeatedFields() async throws {
        let text = "From: a@example.org\r\nTo: x@example.net\r\nCc: y@example.net\r\nCc: z@example.net\r\n\r\n"
        let message = try Corpus.signed(Array(text.utf8), by: [Corpus.ed25519()])
        let results = await DKIMVerifier.verify(message: message, keyRecord: Corpus.keys)
        #expect(results.map(\.verdict) == [.pass])
        #expect(results[0].signedFields.count { $0 == "cc" } == 2)
    }

    @Test("hashes the body for every signer alike and puts the signatures in order")
    func several() async throws {
        let signers = [try Corpus.rsa(), try Corpus.ed25519(), try Corpus.rsa(domain: "example.net")]
        let message = try Corpus.signed(Self.message, by: signers)
        let results = await DKIMVerifier.verify(message: message) { _, selector in
            selector == "rsa" ? signers[0].key.publicRecord : signers[1].key.publicRecord
        }
        #expect(results.map(\.domain) == ["example.org", "example.org", "example.net"])
        #expect(results.map(\.verdict) == [.pass, .pass, .pass])
        #expect(try Corpus.signed(Self.message, by: []) == Self.message)
    }

    @Test("writes the identity as DKIM's quoted-printable")
    func identity() async throws {
        let key = DKIMPrivateKey.makeEd25519()
        let identity = try EmailAddress(parsing: "\"a;b =é\"@news.example.org")
        let signer = try DKIMSigner(domain: "example.org", selector: "s", key: key, identity: identity.envelopeText)
        let message = try Corpus.signed(Self.message, by: [signer])
        #expect(String(decoding: message, as: UTF8.self).contains("i=\"a=3Bb=20=3D=C3=A9\"@news.example.org;"))
        let results = await DKIMVerifier.verify(message: message) { _, _ in key.publicRecord }
        #expect(results.map(\.verdict) == [.pass])
        #expect(throws: DKIMError.self) {
            try DKIMSigner(
                domain: "example.org",
                selector: "s",
                key: key,
                identity: "a@badexample.org"
            )
        }
    }

    @Test(
        "takes an identity within the domain, RFC 6376 §3.5, and no other",
        arguments: [
            ("@example.org", "i=@example.org;"), ("@news.Example.org", "i=@news.example.org;"),
            ("jane@example.org", "i=jane@example.org;"), ("", nil), ("news@other.example", "refused"),
            ("@badexample.org", "refused"), ("example.org", "refused"), ("@", "refused"), ("@example.org.", "refused"),
        ] as [(String, String?)]
    )
    func identities(_ identity: String, _ tag: String?) async throws {
        let key = DKIMPrivateKey.makeEd25519()
        func make() throws -> DKIMSigner {
            try DKIMSigner(domain: "example.org", selector: "s", key: key, identity: identity)
        }
        guard tag != "refused" else {
            #expect(throws: DKIMError.self) { try make() }
            return
        }
        let message = try Corpus.signed(Self.message, by: [make()])
        let text = String(decoding: message, as: UTF8.self)
        #expect(tag.map { text.contains($0) } ?? !text.contains("i="))
        let results = await DKIMVerifier.verify(message: message) { _, _ in key.publicRecord }
        #expect(results.map(\.verdict) == [.pass])
    }

    @Test("refuses names under which no key can lie")
    func lookupName() {
        let labels = Array(repeating: String(repeating: "d", count: 60), count: 4).joined(separator: ".")
        #expect(throws: DKIMError.self) {
            try DKIMSigner(domain: labels, selector: "s", key: .makeEd25519())
        }
    }

    @Test("T18: folds rightly whatever the lengths of domain, selector, identity and header list")
    func folding() async throws {
        let key = DKIMPrivateKey.makeEd25519()
        for length in 1...75 {
            let labels = [
                String(repeating: "d", count: min(length, 63)), String(repeating: "e", count: max(1, length - 63)),
            ]
            let domain = labels.joined(separator: ".") + ".example"
            let selector = String(repeating: "s", count: min(63, 76 - length))
            let identity = try EmailAddress(
                parsing: String(repeating: "i", count: (length * 7) % 60 + 1) + "@" + domain
            )
            let signer = try DKIMSigner(domain: domain, selector: selector, key: key, identity: identity.envelopeText)
            let extra = (0..<(length % 9)).map { "Cc: x\($0)@example.net\r\n" }.joined()
            let message = try Corpus.signed(Array(extra.utf8) + Self.message, by: [signer], at: Int64(length) << 28)
            let field = message.prefix(message.count - Self.message.count - extra.utf8.count)
            #expect(LineEnds.isCanonical(Array(field)))
            for line in field.split(separator: 0x0A) {
                // A line may be longer only if it is one word that cannot be folded.
                #expect(line.count <= 77 || line.dropFirst().split(separator: 0x20).count == 1)
                #expect(line.count > 2)
            }
            let results = await DKIMVerifier.verify(message: message) { _, _ in key.publicRecord }
            #expect(results.map(\.verdict) == [.pass])
        }
    }
}
