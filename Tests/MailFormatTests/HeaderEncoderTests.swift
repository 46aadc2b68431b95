// SPDX-License-Identifier: Apache-2.0

import MailFormat
import TestKit
import Testing

@Suite("Header fields, RFC 5322 §2.2, RFC 2047 and RFC 2231")
struct HeaderEncoderTests {
    static let subjects: [(String, String)] = [
        ("Hello", "Subject: Hello\r\n"),
        ("", "Subject: \r\n"),
        ("  padded  ", "Subject: padded\r\n"),
        ("two  spaces", "Subject: two  spaces\r\n"),
        ("a\r\nBcc: x@example.org", "Subject: a Bcc: x@example.org\r\n"),
        ("a\nb\rc\0d\u{7F}e\u{85}f", "Subject: a b c d e f\r\n"),
        ("Grüße", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n"),
        ("Hello Jürgen and others", "Subject: Hello =?UTF-8?Q?J=C3=BCrgen?= and others\r\n"),
        ("日本語", "Subject: =?UTF-8?B?5pel5pys6Kqe?=\r\n"),
        ("é é", "Subject: =?UTF-8?B?w6kgw6k=?=\r\n"),
        ("=?UTF-8?Q?x?=", "Subject: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?=\r\n"),
        ("tab\tstays", "Subject: tab\tstays\r\n"),
        (
            "A subject of many plain words that goes on for long enough to need a second line",
            "Subject: A subject of many plain words that goes on for long enough to need\r\n a second line\r\n"
        ),
    ]

    @Test("writes free text as one field", arguments: Self.subjects)
    func unstructured(_ text: String, _ expected: String) {
        var output: [UInt8] = []
        HeaderEncoder.appendUnstructured(name: "Subject", text: text, to: &output)
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }

    @Test("D1: writes exactly one field of any text and reads the text back")
    func roundTrip() throws {
        var random = SeededGenerator(seed: 2_047)
        for _ in 0..<800 {
            let text = random.text(words: 0...14)
            var output: [UInt8] = []
            HeaderEncoder.appendUnstructured(name: "Subject", text: text, to: &output)
            expectShortASCIILines(output)
            let entity = try MIMEEntity(parsing: output + [0x0D, 0x0A])
            #expect(entity.headers.count == 1)
            #expect(entity.headers[0].text == text.trimmingSpaces())
        }
    }

    @Test("D1: no bytes whatever make a second field or a stray line end")
    func hostileText() throws {
        var random = SeededGenerator(seed: 99)
        for _ in 0..<800 {
            let bytes = random.mutated(random.mutated(Array("x\r\nBcc: é =?UTF-8?Q?a?= \0 y".utf8)))
            var output: [UInt8] = []
            HeaderEncoder.appendUnstructured(name: "Subject", text: bytes, to: &output)
            HeaderEncoder.appendStructured(name: "List-Unsubscribe", text: bytes, to: &output)
            HeaderEncoder.appendParameterised(
                name: "Content-Type",
                value: "text/plain",
                parameters: [("name", String(decoding: bytes, as: UTF8.self))],
                to: &output
            )
            expectShortASCIILines(output)
            #expect(!output.contains(0))
            let names = try MIMEEntity(parsing: output + [0x0D, 0x0A]).headers.map(\.name)
            #expect(names == ["Subject", "List-Unsubscribe", "Content-Type"])
        }
    }

    @Test("never folds within a word and never encodes a structured field, as RFC 8058 links need")
    func structured() {
        let link = "<https://u.example.org/\(String(repeating: "a", count: 90))>"
        var output: [UInt8] = []
        HeaderEncoder.appendStructured(name: "List-Unsubscribe", text: "<mailto:u@example.org>, \(link)", to: &output)
        #expect(
            String(decoding: output, as: UTF8.self)
                == "List-Unsubscribe: <mailto:u@example.org>,\r\n \(link)\r\n"
        )
    }

    @Test("D1: keeps a name that holds a line end from making a second field")
    func hostileName() {
        var output: [UInt8] = []
        HeaderEncoder.appendUnstructured(name: "X-A: b\r\nBcc", text: "c", to: &output)
        #expect(String(decoding: output, as: UTF8.self) == "X-A--b--Bcc: c\r\n")
        #expect(!HeaderField.isValidName("X-A: b") && !HeaderField.isValidName("") && HeaderField.isValidName("X-A"))
    }

    static let names: [(String, String)] = [
        ("Jane Doe", "From: Jane Doe <j@example.org>\r\n"),
        ("", "From: j@example.org\r\n"),
        ("Doe, Jane", "From: \"Doe, Jane\" <j@example.org>\r\n"),
        ("J. \"Q\" \\ Doe", "From: \"J. \\\"Q\\\" \\\\ Doe\" <j@example.org>\r\n"),
        ("Jürgen", "From: =?UTF-8?Q?J=C3=BCrgen?= <j@example.org>\r\n"),
        ("a\r\nBcc: b", "From: \"a Bcc: b\" <j@example.org>\r\n"),
        ("a <x@example.net>", "From: \"a <x@example.net>\" <j@example.org>\r\n"),
        ("=?UTF-8?Q?x?=", "From: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?= <j@example.org>\r\n"),
    ]

    @Test("writes a display name as atoms, in quotes or encoded", arguments: Self.names)
    func displayName(_ name: String, _ expected: String) throws {
        let mailbox = Mailbox(displayName: name, address: try EmailAddress(parsing: "j@example.org"))
        var output: [UInt8] = []
        HeaderEncoder.appendMailboxes(name: "From", [mailbox], to: &output)
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }

    @Test("writes mailboxes that are read back as they were")
    func mailboxRoundTrip() throws {
        var random = SeededGenerator(seed: 5_322)
        for _ in 0..<1_000 {
            let mailboxes = try (0..<Int.random(in: 1...4, using: &random)).map { index in
                Mailbox(
                    displayName: random.text(words: 0...5).trimmingSpaces(),
                    address: try EmailAddress(parsing: "someone-\(index)@\(index).example.org")
                )
            }
            var output: [UInt8] = []
            HeaderEncoder.appendMailboxes(name: "To", mailboxes, to: &output)
            expectShortASCIILines(output)
            let field = try MIMEEntity(parsing: output + [0x0D, 0x0A]).headers[0]
            #expect(try Mailbox.list(parsing: String(decoding: field.unfolded, as: UTF8.self)) == mailboxes)
        }
    }

    static let parameters: [(String, String)] = [
        ("a.txt", "Content-Disposition: attachment; filename=a.txt\r\n"),
        ("a b.txt", "Content-Disposition: attachment; filename=\"a b.txt\"\r\n"),
        ("a\"b.txt", "Content-Disposition: attachment; filename=\"a\\\"b.txt\"\r\n"),
        ("é.txt", "Content-Disposition: attachment; filename*=UTF-8''%C3%A9.txt\r\n"),
        ("a\r\nX: y", "Content-Disposition: attachment; filename=\"a X: y\"\r\n"),
        ("", "Content-Disposition: attachment; filename=\"\"\r\n"),
    ]

    @Test("writes parameters as tokens, in quotes or by RFC 2231", arguments: Self.parameters)
    func parameterForms(_ text: String, _ expected: String) {
        var output: [UInt8] = []
        HeaderEncoder.appendParameterised(
            name: "Content-Disposition",
            value: "attachment",
            parameters: [("filename", text)],
            to: &output
        )
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }

    @Test("writes parameters of any length that are read back as they were")
    func parameterRoundTrip() throws {
        var random = SeededGenerator(seed: 2_231)
        for _ in 0..<1_000 {
            let text = random.text(words: 0...20).trimmingSpaces()
            var output: [UInt8] = []
            HeaderEncoder.appendParameterised(
                name: "Content-Disposition",
                value: "attachment",
                parameters: [("filename", text), ("x", "1")],
                to: &output
            )
            expectShortASCIILines(output)
            let entity = try MIMEEntity(parsing: output + [0x0D, 0x0A])
            let disposition = try #require(entity.contentDisposition)
            #expect(disposition.filename == text)
            #expect(disposition.parameters.last == ContentParameter(name: "x", text: "1"))
        }
    }

    static let encoded: [(String, String)] = [
        ("=?utf-8?q?a_b?=", "a b"),
        ("=?UTF-8?B?w6k=?= =?UTF-8?B?w6k=?=", "éé"),
        ("=?UTF-8?B?ww==?= =?UTF-8?B?qQ==?=", "é"),
        ("=?iso-8859-1?Q?caf=E9?= x", "café x"),
        ("=?koi8-r?Q?=C1?=", "а"),
        ("=?x-unknown?Q?=C1?=", "=?x-unknown?Q?=C1?="),
        ("=?utf-8?Q?a=0D=0AX=3A_b=00?=", "a  X: b "),
        ("=?UTF-8?X?a?=", "=?UTF-8?X?a?="),
        ("=?UTF-8*en?Q?a?=", "a"),
        ("=?", "=?"),
        ("a =?UTF-8?Q?b_?= c", "a b  c"),
    ]

    @Test("reads encoded words of others", arguments: Self.encoded)
    func decoding(_ text: String, _ expected: String) {
        #expect(HeaderDecoder.text(Array(text.utf8)) == expected)
    }
}

extension String {
    /// The text without spaces at either end.
    fileprivate func trimmingSpaces() -> String {
        String(self.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
