// SPDX-License-Identifier: Apache-2.0

import MailFormat
import Testing

@Suite("Charsets")
struct CharsetTests {
    struct Row: CustomTestStringConvertible, Sendable {
        var label: String
        var bytes: [UInt8]
        var text: String
        var testDescription: String { self.label }

        init(_ label: String, _ bytes: [UInt8], _ text: String) {
            (self.label, self.bytes, self.text) = (label, bytes, text)
        }
    }

    static let rows: [Row] = [
        Row("UTF-8", [0xC3, 0xA9], "é"),
        Row("us-ascii", [0x41], "A"),
        Row("ISO-8859-1", [0x93, 0xE9, 0x94, 0x80], "“é”€"),
        Row("latin1", [0x85], "…"),
        Row("Windows-1252", [0x80, 0x81, 0xE9], "€\u{81}é"),
        Row("iso-8859-2", [0xB1], "ą"),
        Row("ISO-8859-15", [0xA4], "€"),
        Row("iso_8859-9", [0xFE], "ş"),
        Row("windows-1250", [0x9C], "ś"),
        Row("windows-1251", [0xCF, 0xF0], "Пр"),
        Row("windows-1258", [0x61, 0xEC], "a\u{301}"),
        Row("KOI8-R", [0xF0, 0xD2], "Пр"),
        Row("koi8-u", [0xA4], "є"),
        Row("GB2312", [0xD6, 0xD0, 0xCE, 0xC4], "中文"),
        Row("gbk", [0x80 + 1, 0x40], "丂"),
        Row("gb18030", [0x81, 0x30, 0x84, 0x36], "\u{A5}"),
        Row("Big5", [0xA4, 0xA4], "中"),
        Row("EUC-JP", [0xC6, 0xFC], "日"),
        Row("Shift_JIS", [0x93, 0xFA, 0x87, 0x40], "日①"),
        Row("ISO-2022-JP", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x1B, 0x28, 0x42], "日"),
        Row("EUC-KR", [0xC7, 0xD1], "한"),
        Row("ks_c_5601-1987", [0xC7, 0xD1], "한"),
        Row("UTF-16", [0xFE, 0xFF, 0x00, 0xE9], "é"),
        Row("utf-16le", [0xE9, 0x00], "é"),
        Row("utf-7", Array("+AOk-".utf8), "é"),
    ]

    @Test("are decoded in bodies and in encoded words of either form alike", arguments: Self.rows)
    func decodes(_ row: Row) throws {
        let charset = try #require(Charset(label: row.label))
        #expect(charset.decode(row.bytes) == row.text)
        #expect(charset.decodeStrictly(row.bytes) == row.text)
        var base64: [UInt8] = []
        Base64.encodeUnbroken(row.bytes, into: &base64)
        let hex = row.bytes.map { "=" + String($0, radix: 16, uppercase: true).leftPadded }.joined()
        for word in ["B?\(String(decoding: base64, as: UTF8.self))", "Q?\(hex)", "q?\(hex)"] {
            #expect(HeaderDecoder.text(Array("x =?\(row.label)?\(word)?= y".utf8)) == "x \(row.text) y")
        }
    }

    @Test("repair a character that is split between two words of one charset")
    func split() {
        #expect(HeaderDecoder.text(Array("=?GB2312?Q?=D6?= =?gb2312?B?0M7E?=".utf8)) == "中文")
        #expect(HeaderDecoder.text(Array("=?gb2312?Q?=D6=D0?= =?gbk?Q?=CE=C4?= =?koi8-r?Q?=F0?=".utf8)) == "中文П")
        #expect(
            HeaderDecoder.text(Array("=?iso-2022-jp?B?GyRCRnwbKEI=?=\t=?iso-2022-jp?B?GyRCRnwbKEI=?=".utf8)) == "日日"
        )
    }

    @Test("replace what is malformed and go on, or refuse it where exactness was asked for")
    func malformed() throws {
        #expect(try #require(Charset(label: "gb2312")).decode([0x41, 0xFF, 0x42, 0xD6]) == "A\u{FFFD}B\u{FFFD}")
        #expect(try #require(Charset(label: "gb2312")).decodeStrictly([0x41, 0xFF]) == nil)
        #expect(Charset.utf8.decodeStrictly([0xE9]) == nil)
        #expect(Charset.utf8.decode([0xEF, 0xBB, 0xBF, 0x41]) == "A")
        #expect(try #require(Charset(label: "us-ascii")).decodeStrictly([0xE9]) == nil)
        #expect(try #require(Charset(label: "us-ascii")).decode([0xE9, 0x93]) == "é“")
        #expect(try #require(Charset(label: "utf-16")).decodeStrictly([0xD8, 0x00]) == nil)
        let all = (0...255).map { UInt8($0) }
        for row in Self.rows {
            let charset = try #require(Charset(label: row.label))
            for first in stride(from: 0, to: 256, by: 7) {
                let bytes = Array(all[first...] + all[..<first])
                #expect(!charset.decode(bytes).isEmpty)
            }
        }
    }

    @Test(
        "are unknown by any other name",
        arguments: ["", "x-unknown", "utf-8//TRANSLIT", "../x", "é", "ibm1364", "klingon"]
    )
    func unknown(_ label: String) {
        #expect(Charset(label: label) == nil)
        let word = "=?\(label)?Q?=C1?="
        #expect(HeaderDecoder.text(Array(word.utf8)) == word)
    }

    @Test("name the unknown one of a header")
    func unknownInHeader() {
        #expect(HeaderDecoder.unknownCharset(in: Array("a =?utf-8?q?b?= =?X-Unknown?q?c?=".utf8)) == "x-unknown")
        #expect(HeaderDecoder.unknownCharset(in: Array("=?koi8-r?q?c?= =?no word".utf8)) == nil)
    }

    static let raw: [(bytes: [UInt8], label: String?, text: String)] = [
        (Array("Caf".utf8) + [0xE9], nil, "Café"),
        (Array("Café".utf8), "iso-8859-1", "Café"),
        ([0xCF, 0xF0], "windows-1251", "Пр"),
        ([0x93, 0x61, 0x94], nil, "“a”"),
        ([0x1B, 0x24, 0x42, 0x46, 0x7C, 0x1B, 0x28, 0x42], "iso-2022-jp", "日"),
        (Array("=?utf-8?q?=C3=A9?= ".utf8) + [0xE8], nil, "é è"),
    ]

    @Test("of raw bytes in a header are UTF-8, the declared one or Windows-1252", arguments: Self.raw)
    func rawBytes(_ row: (bytes: [UInt8], label: String?, text: String)) {
        let charset = row.label.flatMap { Charset(label: $0) }
        #expect(HeaderDecoder.text(row.bytes, undeclared: charset) == row.text)
    }

    static let senders: [(bytes: [UInt8], name: String)] = [
        (Array("=?windows-1252?Q?Caf=E9_=93x=94?= <a@example.org>".utf8), "Café “x”"),
        (Array("\"=?koi8-r?B?8NI=?=\" <a@example.org>".utf8), "Пр"),
        (
            Array("=?gb2312?Q?=D6=D0?=\r\n =?gb2312?Q?=CE=C4?= <a@example.org>".utf8).filter { $0 != 13 && $0 != 10 },
            "中文"
        ),
        (Array("Caf".utf8) + [0xE9] + Array(" <a@example.org>".utf8), "Café"),
        (Array("\"M".utf8) + [0xFC] + Array("ller, J\" <a@example.org>".utf8), "Müller, J"),
        (Array("a@example.org (Jane, Doe)".utf8), "Jane, Doe"),
        (Array("a@example.org (=?koi8-r?B?8NI=?=)".utf8), "Пр"),
        (Array("Jane <a@example.org> (at work)".utf8), "Jane"),
        (Array("Smile :( <a@example.org>, b@example.org".utf8), "Smile :("),
    ]

    @Test("of senders' names are decoded wherever senders put them", arguments: Self.senders)
    func senderNames(_ row: (bytes: [UInt8], name: String)) throws {
        let mailbox = try #require(try Mailbox.list(parsing: row.bytes, undeclared: nil).first)
        #expect(mailbox.displayName == row.name)
        #expect(mailbox.address.envelopeText == "a@example.org")
    }

    @Test("of file names are those that RFC 2231 names, or encoded words by habit")
    func filenames() {
        for (parameter, name) in [
            ("filename*=windows-1252''%93x%94%E9", "“x”é"), ("filename*0*=gb2312'zh'%D6%D0; filename*1*=%CE%C4", "中文"),
            ("filename=\"=?koi8-r?B?8NI=?=\"", "Пр"), ("filename*=x-unknown''%C3%A9", "é"),
        ] {
            let field = HeaderField(name: "Content-Disposition", text: "attachment; \(parameter)")
            let entity = MIMEEntity(headers: [field], body: .leaf([]))
            #expect(entity.contentDisposition?.filename == name)
        }
    }

    @Test("of a message are its own or that of its first text that names one")
    func declared() throws {
        let mixed =
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png\n\n--b\nContent-Type: text/plain; charset=koi8-r\n\n--b--\n"
        #expect(try MIMEEntity(parsing: Array(mixed.utf8)).declaredCharset?.name == "koi8-r")
        #expect(try MIMEEntity(parsing: Array("A: b\n\nc".utf8)).declaredCharset == nil)
    }

    @Test("hide no field behind a byte order mark or empty lines")
    func start() {
        for lead in ["", "\u{FEFF}", "\r\n", "\n \n\t\r\n", "\u{FEFF}\n"] {
            let bytes = Array((lead + "From: a@b\n\n").utf8)
            #expect(String(decoding: bytes[MIMEEntity.start(of: bytes)...], as: UTF8.self) == "From: a@b\n\n")
        }
        #expect(MIMEEntity.start(of: []) == 0)
        #expect(MIMEEntity.start(of: Array("  ".utf8)) == 0)
    }
}

extension String {
    fileprivate var leftPadded: String { self.count < 2 ? "0" + self : self }
}
