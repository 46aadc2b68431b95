// SPDX-License-Identifier: Apache-2.0

import MailFormat
import Testing

@Suite("Content types and boundaries as others write them")
struct BoundaryTests {
    static let types: [(String, String, String?)] = [
        ("text/html; charset=\"utf-8\"", "text/html", "utf-8"),
        ("TEXT/HTML; CHARSET=UTF-8", "text/html", "UTF-8"),
        ("text/html (a comment); charset (another)=(third) us-ascii", "text/html", "us-ascii"),
        ("text/plain; format=flowed; charset=utf-8;", "text/plain", "utf-8"),
        ("text/plain; x=\"a;charset=no\"; charset=yes", "text/plain", "yes"),
        ("text/plain", "text/plain", nil),
        ("nonsense", "text/plain", nil),
        ("", "text/plain", nil),
    ]

    @Test("reads a content type or falls back to text", arguments: Self.types)
    func contentType(_ text: String, _ essence: String, _ charset: String?) {
        let entity = MIMEEntity(headers: [HeaderField(name: "content-type", text: text)], body: .leaf([]))
        #expect(entity.contentType.essence == essence)
        #expect(entity.contentType.parameter("charset") == charset)
    }

    static let filenames: [(String, String)] = [
        ("attachment; filename=a.txt", "a.txt"),
        ("attachment; filename=\"a \\\"b\\\".txt\"", "a \"b\".txt"),
        ("attachment; filename*=UTF-8''%e2%82%ac.txt", "€.txt"),
        ("attachment; filename*=iso-8859-1'en'caf%E9", "café"),
        ("attachment; filename=\"old\"; filename*=UTF-8''new", "new"),
        ("attachment; filename*1=b; filename*0=a; filename*2*=%63", "abc"),
        ("attachment; filename=\"=?UTF-8?Q?=C3=A9?=\"", "é"),
        ("attachment; filename*=UTF-8''%zz%", "%zz%"),
    ]

    @Test("reads file names by RFC 2231 and by habit", arguments: Self.filenames)
    func filename(_ text: String, _ expected: String) {
        let entity = MIMEEntity(headers: [HeaderField(name: "Content-Disposition", text: text)], body: .leaf([]))
        #expect(entity.contentDisposition?.filename == expected)
    }

    static let bodies: [(String, [String])] = [
        ("--b\r\n\r\none\r\n--b--\r\n", ["one"]),
        ("preamble\r\n--b\r\n\r\none\r\n--b \t\r\n\r\ntwo\r\n--b--", ["one", "two"]),
        ("--b\r\n\r\none", ["one"]),
        ("--b\n\none\n--b\n\ntwo\n--b--\n", ["one", "two"]),
        ("--b\r\n\r\n--bb\r\none\r\n--b--\r\nepilogue\r\n--b\r\n", ["--bb\r\none"]),
        ("--b\r\n--b--\r\n", [""]),
        ("--b\r\n\r\n\r\n--b--\r\n", [""]),
        ("no boundary", []),
    ]

    @Test("splits a multipart at its boundary lines", arguments: Self.bodies)
    func splitting(_ body: String, _ expected: [String]) throws {
        let text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body
        let entity = try MIMEEntity(parsing: Array(text.utf8))
        #expect(entity.parts.map { String(decoding: $0.decodedBody(), as: UTF8.self) } == expected)
        #expect(entity.serialised() == Array(text.utf8))
    }

    @Test("finds the body of a header with odd lines")
    func oddHeaders() throws {
        let text = "From x Mon\r\nSubject : odd \r\n\tfolded\r\n: nameless\r\nX:\r\n\r\nbody"
        let entity = try MIMEEntity(parsing: Array(text.utf8))
        #expect(entity.headers.map(\.name) == ["Subject", "X"])
        #expect(entity.header("subject")?.text == "odd \tfolded")
        #expect(entity.decodedBody() == Array("body".utf8))
    }
}
