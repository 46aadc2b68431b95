// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailFormat
import TestKit
import Testing

@Suite("Transfer encodings, RFC 2045 §6")
struct EncodingTests {
    static let quoted: [(String, String)] = [
        ("", ""),
        ("plain", "plain"),
        ("a=b", "a=3Db"),
        ("é", "=C3=A9"),
        ("end \nnext\t\n", "end=20\r\nnext=09\r\n"),
        ("trailing ", "trailing=20"),
        ("a\rb\nc\r\nd", "a\r\nb\r\nc\r\nd"),
        ("\r\r\n\n", "\r\n\r\n\r\n"),
        (".dot\n..\n", "=2Edot\r\n=2E.\r\n"),
        ("From here\nFromage\n", "=46rom here\r\nFromage\r\n"),
        ("nul\0", "nul=00"),
        (String(repeating: "x", count: 75), String(repeating: "x", count: 75)),
        (String(repeating: "x", count: 76), String(repeating: "x", count: 75) + "=\r\nx"),
        (String(repeating: "x", count: 75) + ".", String(repeating: "x", count: 75) + "=\r\n=2E"),
    ]

    @Test("writes quoted-printable text with CRLF line ends", arguments: Self.quoted)
    func quotedPrintable(_ text: String, _ expected: String) {
        var output: [UInt8] = []
        QuotedPrintable.encode(Array(text.utf8), into: &output)
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }

    static let lenient: [(String, String)] = [
        ("a=3db", "a=b"), ("soft=\nbreak", "softbreak"), ("soft= \t\r\nbreak", "softbreak"), ("bad=ZZ", "bad=ZZ"),
        ("end=", "end"), ("end=4", "end=4"), ("space  \r\nx", "space\r\nx"), ("a b", "a b"),
    ]

    @Test("reads quoted-printable that others have damaged", arguments: Self.lenient)
    func lenientQuotedPrintable(_ text: String, _ expected: String) {
        #expect(String(decoding: QuotedPrintable.decode(Array(text.utf8)), as: UTF8.self) == expected)
    }

    @Test("returns every byte after either encoding, in lines of at most 76 characters of ASCII")
    func roundTrips() {
        var random = SeededGenerator(seed: 76)
        for round in 0..<600 {
            let count = Int.random(in: 0...400, using: &random)
            let isSpaced = round % 2 == 0
            let bytes = (0..<count).map { _ -> UInt8 in
                isSpaced
                    ? [0x20, 0x2E, 0x46, 0x0D, 0x0A, 0x41].randomElement(using: &random)!
                    : .random(in: 0...255, using: &random)
            }
            var quoted: [UInt8] = []
            bytes.withUnsafeBufferPointer { QuotedPrintable.encode($0, isText: false, into: &quoted) }
            #expect(QuotedPrintable.decode(quoted) == bytes)
            var text: [UInt8] = []
            QuotedPrintable.encode(bytes, into: &text)
            var canonical: [UInt8] = []
            LineEnds.appendCanonical(bytes, to: &canonical)
            #expect(LineEnds.isCanonical(canonical))
            #expect(QuotedPrintable.decode(text) == canonical)
            var base64: [UInt8] = []
            Base64.encode(bytes, into: &base64)
            #expect(base64.count == Base64.encodedCount(bytes.count))
            #expect(Base64.decode(base64) == bytes)
            #expect(
                base64.filter { $0 != 13 && $0 != 10 } == Array(Data(bytes).base64EncodedString().utf8)
            )
            for output in [quoted, text, base64] { expectShortASCIILines(output) }
        }
    }

    @Test("reads base64 that others have damaged")
    func lenientBase64() {
        #expect(Base64.decode(Array("aGk".utf8)) == Array("hi".utf8))
        #expect(Base64.decode(Array("aG\r\n k=!".utf8)) == Array("hi".utf8))
        #expect(Base64.decode(Array("aGk=aGk=".utf8)) == Array("hihi".utf8))
        #expect(Base64.decode(Array("-_8".utf8)) == [0xFB, 0xFF])
        #expect(Base64.decodeStrictly(Array("aGk".utf8)) == nil)
        #expect(Base64.decodeStrictly(Array("aGk=".utf8)) == Array("hi".utf8))
    }

    static let choices: [(String, Bool, BodyEncoding)] = [
        ("short\r\nlines\n", true, .sevenBit),
        ("", true, .sevenBit),
        (String(repeating: "x", count: 77), true, .quotedPrintable),
        ("space \n", true, .quotedPrintable),
        (".\n", true, .quotedPrintable),
        ("From me\n", true, .quotedPrintable),
        ("Grüße an alle, die das hier lesen können\n", true, .quotedPrintable),
        ("日本語のテキスト", true, .base64),
        ("short", false, .base64),
        ("a bell rings\u{7}", true, .quotedPrintable),
    ]

    @Test("chooses the shortest safe encoding", arguments: Self.choices)
    func choice(_ text: String, _ isText: Bool, _ expected: BodyEncoding) {
        #expect(BodyEncoding.choose(for: Array(text.utf8), isText: isText) == expected)
    }

    @Test("S7: no stray CR or LF leaves any encoding of a text")
    func strayLineEnds() {
        let text = Array("a\rb\nc\r\nd\n.\nMAIL FROM:<x@example.org>\r\r\n".utf8)
        for encoding in BodyEncoding.allCases {
            var output: [UInt8] = []
            encoding.append(text, isText: true, to: &output)
            #expect(LineEnds.isCanonical(output))
        }
        var base64: [UInt8] = []
        BodyEncoding.base64.append(text, isText: true, to: &base64)
        #expect(LineEnds.isCanonical(Base64.decode(base64)))
    }
}

/// Records an issue unless all lines have at most 76 characters of ASCII and end with CRLF.
func expectShortASCIILines(_ bytes: [UInt8], limit: Int = 76, _ location: SourceLocation = #_sourceLocation) {
    #expect(bytes.allSatisfy { $0 < 0x80 }, sourceLocation: location)
    #expect(LineEnds.isCanonical(bytes), sourceLocation: location)
    let longest = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        .map { $0.last == 0x0D ? $0.count - 1 : $0.count }.max()
    #expect((longest ?? 0) <= limit, sourceLocation: location)
}
