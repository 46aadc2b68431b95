// SPDX-License-Identifier: Apache-2.0

import DKIM
import Testing

@Suite("Private keys")
struct PrivateKeyTests {
    static let files: [(String, DKIMAlgorithm, Int)] = [
        ("rsa-2048.pem", .rsaSHA256, 2_048),
        ("rsa-2048-pkcs1.pem", .rsaSHA256, 2_048),
        ("rsa-1024-pkcs1.pem", .rsaSHA256, 1_024),
        ("ed25519.pem", .ed25519SHA256, 256),
    ]

    @Test("reads PEM as OpenSSL writes it", arguments: Self.files)
    func reading(_ file: String, _ algorithm: DKIMAlgorithm, _ bits: Int) throws {
        let text = try Corpus.text(file)
        let key = try DKIMPrivateKey(pem: text)
        #expect(key.algorithm == algorithm)
        #expect(key.bits == bits)
        let again = try DKIMPrivateKey(pem: key.pem)
        #expect(again.publicRecord == key.publicRecord)
        let body = text.split(separator: "\n").filter { !$0.hasPrefix("-") }.joined()
        #expect(try DKIMPrivateKey(pem: body).publicRecord == key.publicRecord)
        #expect(try DKIMPrivateKey(pem: text.replacing("\n", with: "\r\n") + "\n").publicRecord == key.publicRecord)
    }

    @Test("makes the record that OpenSSL's public key makes")
    func records() throws {
        #expect(try Corpus.rsa().key.publicRecord == Corpus.key("example.org", "rsa"))
        #expect(try Corpus.ed25519().key.publicRecord == Corpus.key("example.org", "ed"))
        #expect(
            try DKIMPrivateKey(pem: Corpus.text("rsa-2048-pkcs1.pem")).publicRecord == Corpus.rsa().key.publicRecord
        )
    }

    @Test("makes new keys that sign")
    func making() async throws {
        for key in [try DKIMPrivateKey.makeRSA2048(), DKIMPrivateKey.makeEd25519()] {
            let signer = try DKIMSigner(domain: "example.org", selector: "s", key: key)
            let message = try Corpus.signed(Array("From: a@example.org\r\n\r\nx\r\n".utf8), by: [signer])
            let results = await DKIMVerifier.verify(message: message) { _, _ in key.publicRecord }
            #expect(results.map(\.verdict) == [.pass])
        }
    }

    static let unfit = [
        "", "nonsense", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "AAAA",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
    ]

    @Test("refuses what is not a fit key in one line that shows nothing of it", arguments: Self.unfit)
    func refusing(_ text: String) {
        let error = #expect(throws: DKIMError.self) { try DKIMPrivateKey(pem: text) }
        #expect(error?.code == .badKey)
        #expect(error?.description.contains("\n") == false)
    }

    @Test("refuses an RSA key of 512 bits")
    func weak() throws {
        #expect(throws: DKIMError.self) { try DKIMPrivateKey(pem: Corpus.text("rsa-512.pem")) }
    }

    @Test("refuses names that no signature can carry")
    func names() throws {
        let key = DKIMPrivateKey.makeEd25519()
        for domain in ["", "exa mple.org", "example.org;s=x", "[192.0.2.1]", "example.org\r\nX: y"] {
            #expect(throws: DKIMError.self) { try DKIMSigner(domain: domain, selector: "s", key: key) }
        }
        for selector in ["", "a b", "a;b", "a..b", "-a", "a\r\n"] {
            #expect(throws: DKIMError.self) { try DKIMSigner(domain: "example.org", selector: selector, key: key) }
        }
        #expect(try DKIMSigner(domain: "Bücher.example", selector: "a.b_c", key: key).domain == "xn--bcher-kva.example")
    }
}
