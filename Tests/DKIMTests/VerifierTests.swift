// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import DKIM

@Suite("Verifying, RFC 6376 §6.1")
struct VerifierTests {
    private struct Unreachable: Error {}

    @Test("distinguishes a missing key, a key that is unavailable and a wrong key")
    func keys() async throws {
        let message = try Corpus.signed(SignerTests.message, by: [Corpus.ed25519()])
        let missing = await DKIMVerifier.verify(message: message) { _, _ in nil }
        #expect(missing.map(\.verdict) == [.permerror("there is no key")])
        let unreachable = await DKIMVerifier.verify(message: message) { _, _ in throw Unreachable() }
        guard case .temperror = unreachable.first?.verdict else {
            Issue.record("expected a temporary error")
            return
        }
        let other = DKIMPrivateKey.makeEd25519().publicRecord
        let wrong = await DKIMVerifier.verify(message: message) { _, _ in other }
        #expect(wrong.map(\.verdict) == [.fail("the signature does not fit the header")])
    }

    static let records: [(String, String, Bool)] = [
        ("plain", "v=DKIM1; k=ed25519; p=KEY", true),
        ("without version", "k=ed25519; p=KEY", true),
        ("spaced", " v = DKIM1 ;\tk = ed25519 ; p = KEY ;", true),
        ("unknown tag", "v=DKIM1; k=ed25519; zz=1; n=note; p=KEY", true),
        ("service email", "v=DKIM1; k=ed25519; s=email; p=KEY", true),
        ("hashes", "v=DKIM1; k=ed25519; h=sha1:sha256; p=KEY", true),
        ("testing", "v=DKIM1; k=ed25519; t=y; p=KEY", true),
        ("strict", "v=DKIM1; k=ed25519; t=y:s; p=KEY", true),
        ("version not first", "k=ed25519; v=DKIM1; p=KEY", false),
        ("other version", "v=DKIM2; k=ed25519; p=KEY", false),
        ("other kind", "v=DKIM1; k=rsa; p=KEY", false),
        ("default kind", "v=DKIM1; p=KEY", false),
        ("other service", "v=DKIM1; k=ed25519; s=other; p=KEY", false),
        ("other hash", "v=DKIM1; k=ed25519; h=sha1; p=KEY", false),
        ("revoked", "v=DKIM1; k=ed25519; p=", false),
        ("no key", "v=DKIM1; k=ed25519", false),
        ("short key", "v=DKIM1; k=ed25519; p=AAAA", false),
        ("not base64", "v=DKIM1; k=ed25519; p=***", false),
        ("twice", "v=DKIM1; k=ed25519; p=KEY; p=KEY", false),
        ("empty", "", false),
    ]

    @Test("reads key records", arguments: Self.records)
    func reading(_ name: String, _ record: String, _ isGood: Bool) async throws {
        let message = try Corpus.signed(SignerTests.message, by: [Corpus.ed25519()])
        let key = try #require(Corpus.key("example.org", "ed")?.split(separator: "p=").last)
        let results = await DKIMVerifier.verify(message: message) { _, _ in record.replacing("KEY", with: key) }
        if isGood {
            #expect(results.map(\.verdict) == [.pass])
        } else {
            guard case .permerror = results.first?.verdict else {
                Issue.record("expected a permanent error, not \(results)")
                return
            }
        }
    }

    static let broken: [(String, String, String)] = [
        ("no version", "v=1;", ""),
        ("other version", "v=1;", "v=2;"),
        ("retired algorithm", "a=ed25519-sha256", "a=rsa-sha1"),
        ("no selector", "s=ed;", ""),
        ("no domain", "d=example.org;", ""),
        ("foreign identity", "d=example.org;", "d=example.org; i=@example.net;"),
        ("identity without domain", "d=example.org;", "d=example.org; i=jane;"),
        ("unknown canonicalisation", "c=relaxed/relaxed", "c=relaxed/other"),
        ("From not signed", "h=from:from:", "h="),
        ("tag twice", "v=1;", "v=1; v=1;"),
        ("tag without name", "v=1;", "v=1; =x;"),
        ("tag without value", "v=1;", "v=1; x;"),
        ("body hash not base64", "bh=", "bh=*"),
        ("signature not base64", "b=", "b=*"),
        ("expired", "v=1;", "v=1; x=1795412401;"),
        ("expires before it is made", "v=1;", "v=1; x=5;"),
        ("expiry malformed", "v=1;", "v=1; x=soon;"),
        ("key elsewhere", "v=1;", "v=1; q=http;"),
        ("length", "v=1;", "v=1; l=3;"),
    ]

    @Test("finds unfit signatures permanently wrong", arguments: Self.broken)
    func unfit(_ name: String, _ old: String, _ new: String) async throws {
        let message = String(decoding: try Corpus.signed(SignerTests.message, by: [Corpus.ed25519()]), as: UTF8.self)
        let changed = message.replacing(old, with: new, maxReplacements: 1)
        #expect(changed != message)
        let results = await DKIMVerifier.verify(
            message: Array(changed.utf8),
            at: 1_800_000_000,
            keyRecord: Corpus.keys
        )
        guard case .permerror = results.first?.verdict else {
            Issue.record("expected a permanent error, not \(results)")
            return
        }
    }

    static let lengths: [(String, String)] = [
        ("0", "the body's hash differs"), ("7", ""), ("8", "short"), ("99999999999999999999999", "malformed"),
        ("-1", "malformed"), ("x", "malformed"), ("9223372036854775807", "short"),
    ]

    @Test("survives every body length, refused or honoured", arguments: Self.lengths)
    func bodyLengths(_ length: String, _ reason: String) async throws {
        let message = String(decoding: try Corpus.signed(SignerTests.message, by: [Corpus.ed25519()]), as: UTF8.self)
        let changed = Array(message.replacing("v=1;", with: "v=1; l=\(length);").utf8)
        let refused = await DKIMVerifier.verify(message: changed, keyRecord: Corpus.keys)
        #expect(refused.map(\.verdict) == [.permerror("the signature covers only part of the body")])
        let honoured = await DKIMVerifier.verify(message: changed, lengthPolicy: .honour, keyRecord: Corpus.keys)
        #expect(honoured.count == 1 && honoured[0].verdict != .pass)
        switch honoured[0].verdict {
        case .permerror(let text), .fail(let text): #expect(reason.isEmpty || text.contains(reason))
        default: Issue.record("unexpected verdict")
        }
    }

    @Test("refuses a subdomain's identity where the key is strict")
    func strictKey() async throws {
        let message = String(decoding: try Corpus.bytes("rfc6376-appendix-a.eml"), as: UTF8.self)
        let results = await DKIMVerifier.verify(message: Array(message.utf8)) { domain, selector in
            try Corpus.key(domain, selector).map { $0 + "; t=s" }
        }
        #expect(results.map(\.verdict) == [.permerror("the key is not for subdomains")])
    }

    @Test("finds nothing in an unsigned or headerless message, and never more signatures than it looks at")
    func odd() async throws {
        for text in ["", "\r\n", "x", "\r\n\r\n", "From: a@example.org\r\n\r\nDKIM-Signature: v=1\r\n"] {
            #expect(await DKIMVerifier.verify(message: Array(text.utf8), keyRecord: Corpus.keys).isEmpty)
        }
        let many = String(repeating: "DKIM-Signature: v=1\r\n", count: 1_000)
        let results = await DKIMVerifier.verify(message: Array(many.utf8), keyRecord: Corpus.keys)
        #expect(results.count == DKIMVerifier.signatureLimit)
    }

    @Test("does not accept LF for a line end")
    func bareLineFeeds() async throws {
        let message = try Corpus.signed(SignerTests.message, by: [Corpus.ed25519()]).filter { $0 != 0x0D }
        let results = await DKIMVerifier.verify(message: message, keyRecord: Corpus.keys)
        #expect(!results.contains { $0.isPass })
    }
}
