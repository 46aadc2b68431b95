// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import DKIM

@Suite("Published examples, RFC 6376 and RFC 8463")
struct VectorTests {
    @Test("verifies both signatures of RFC 8463 appendix A")
    func rfc8463() async throws {
        let results = await DKIMVerifier.verify(
            message: try Corpus.bytes("rfc8463-appendix-a.eml"),
            keyRecord: Corpus.keys
        )
        #expect(results.map(\.algorithm) == ["ed25519-sha256", "rsa-sha256"])
        #expect(results.map(\.selector) == ["brisbane", "test"])
        #expect(results.map(\.domain) == ["football.example.com", "football.example.com"])
        #expect(results.map(\.verdict) == [.pass, .pass])
    }

    @Test("verifies the simple canonicalisation of RFC 6376 appendix A")
    func rfc6376() async throws {
        let results = await DKIMVerifier.verify(
            message: try Corpus.bytes("rfc6376-appendix-a.eml"),
            keyRecord: Corpus.keys
        )
        #expect(results.map(\.verdict) == [.pass])
        #expect(results.first?.signedFields == ["received", "from", "to", "subject", "date", "message-id"])
    }

    @Test("makes the Ed25519 public record of RFC 8463 of its private key")
    func publicRecord() throws {
        let key = try DKIMPrivateKey(pem: "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
        #expect(key.algorithm == .ed25519SHA256)
        #expect(key.publicRecord == "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    }

    struct Example: Sendable {
        let name: String
        let canonicalisation: Canonicalisation
        let header: String
        let body: String
    }

    /// RFC 6376 §3.4.5, and the relaxed header applied to the simple body and the other way round.
    static let examples = [
        Example(name: "relaxed", canonicalisation: .relaxed, header: "a:X\r\nb:Y Z\r\n", body: " C\r\nD E\r\n"),
        Example(
            name: "simple",
            canonicalisation: .simple,
            header: "A: X\r\nB : Y\t\r\n\tZ  \r\n",
            body: " C \r\nD \t E\r\n"
        ),
    ]

    @Test("brings the example of RFC 6376 §3.4.5 into both forms", arguments: Self.examples)
    func canonicalisation(_ example: Example) {
        let header = Array("A: X\r\nB : Y\t\r\n\tZ  \r\n".utf8)
        var output: [UInt8] = []
        header.withUnsafeBufferPointer { header in
            for field in HeaderBlock(header).fields {
                let bytes = UnsafeBufferPointer(rebasing: header[field.range])
                example.canonicalisation.appendField(bytes, colon: field.colon, to: &output)
                output.append(contentsOf: [0x0D, 0x0A])
            }
        }
        #expect(String(decoding: output, as: UTF8.self) == example.header)
        #expect(Self.body(" C \r\nD \t E\r\n\r\n\r\n", example.canonicalisation) == example.body)
    }

    static let bodies: [(String, String, String)] = [
        ("", "\r\n", ""),
        ("\r\n", "\r\n", ""),
        ("\r\n\r\n\r\n", "\r\n", ""),
        (" \r\n\t\r\n", " \r\n\t\r\n", ""),
        ("a", "a\r\n", "a\r\n"),
        ("a\r\n", "a\r\n", "a\r\n"),
        ("a\r\n\r\n", "a\r\n", "a\r\n"),
        ("a \t b \r\n", "a \t b \r\n", "a b\r\n"),
        ("\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"),
        ("\ta\r\n \t\r\n b", "\ta\r\n \t\r\n b\r\n", " a\r\n\r\n b\r\n"),
        ("a\r", "a\r\r\n", "a\r\r\n"),
        ("a\rb\nc", "a\rb\nc\r\n", "a\rb\nc\r\n"),
        ("a\n\n", "a\n\n\r\n", "a\n\n\r\n"),
        ("a \n", "a \n\r\n", "a \n\r\n"),
        ("a\r\r\n", "a\r\r\n", "a\r\r\n"),
        ("a  ", "a  \r\n", "a\r\n"),
    ]

    @Test("D4: canonicalises empty lines, white space and missing line ends", arguments: Self.bodies)
    func canonicalBodies(_ body: String, _ simple: String, _ relaxed: String) {
        #expect(Self.body(body, .simple) == simple)
        #expect(Self.body(body, .relaxed) == relaxed)
    }

    private static func body(_ text: String, _ canonicalisation: Canonicalisation) -> String {
        Array(text.utf8).withUnsafeBufferPointer { String(decoding: canonicalisation.body($0), as: UTF8.self) }
    }
}
