// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailMerge
import MailingModel
import Testing

@Suite("Messages")
struct MessageTests {
    @Test("a message of HTML and plain text, byte for byte")
    func golden() throws {
        let content = ContentKit.content(plain: "Hello {{ name }}!\n", tracking: "https://t.example.org/")
        let rendered = try ContentKit.render(
            content,
            ContentKit.recipient([("name", .text("Zoë <3")), ("firstname", .text("Zoë")), ("lastname", .text("Q"))])
        )
        let boundary = try #require(rendered.entity.contentType.parameter("boundary"))
        #expect(boundary.hasPrefix("=_b") && boundary.utf8.count == 27)
        let header = """
            From: Example News <news@example.org>
            To: =?UTF-8?B?Wm/DqyBR?= <ada@example.com>
            Subject: Hi =?UTF-8?Q?Zo=C3=AB?= <3
            Date: Mon, 23 Nov 2026 05:40:00 +0000
            Message-ID: <30077354026.7.MARK@example.org>
            List-Unsubscribe: <https://t.example.org/u/abc123>
            MIME-Version: 1.0
            Content-Type: multipart/alternative; boundary="\(boundary)"

            """
        let id = try #require(rendered.entity.header("Message-ID")).text
        let mark = try #require(id.dropFirst("<30077354026.7.".count).split(separator: "@").first)
        #expect(mark.utf8.count <= 13)
        #expect(rendered.header.replacing("\r\n", with: "\n") == header.replacing("MARK", with: mark))
        let body = """
            --\(boundary)
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: quoted-printable

            Hello Zo=C3=AB <3!

            --\(boundary)
            Content-Type: text/html; charset=utf-8
            Content-Transfer-Encoding: quoted-printable

            <p>Hello Zo=C3=AB &lt;3!</p>
            <img src=3D"https://t.example.org/r/abc123/blank.gif" border=3D"0" alt=3D""=
             width=3D"1" height=3D"1" />

            --\(boundary)--

            """
        #expect(rendered.body.replacing("\r\n", with: "\n") == body)
    }

    @Test("the same inputs give the same bytes, another recipient between them or not")
    func deterministic() throws {
        let content = ContentKit.content(
            html:
                "<a href='https://x.example/{{ name }}'>{{ name }}</a>{% for k, v in m.items() %}{{ k }}{{ v }}{% endfor %}",
            tracking: "https://t.example.org/",
            click: true
        )
        let attachment = Attachment(filename: "a.txt", contentType: "text/plain", bytes: [1, 2, 3])
        let map = MergeValue.map(MergeFields((0..<20).map { MergeFields.Field(name: "k\($0)", value: .integer($0)) }))
        let recipient = try ContentKit.recipient([("name", .text("é")), ("m", map)], attachments: [attachment])
        var scratch = RenderScratch()
        let first = try CompiledContent(content)
        try first.render(recipient, scratch: &scratch)
        let message = scratch.message
        try first.render(
            ContentKit.recipient([("name", .text("other")), ("m", map)], trackingID: "zzz"),
            scratch: &scratch
        )
        #expect(scratch.message != message)
        try first.render(recipient, scratch: &scratch)
        #expect(scratch.message == message)
        var fresh = RenderScratch()
        try CompiledContent(content).render(recipient, scratch: &fresh)
        #expect(fresh.message == message)
    }

    @Test("an ASCII message in short lines stays as it is")
    func sevenBit() throws {
        let rendered = try ContentKit.render(ContentKit.content(), ContentKit.recipient())
        #expect(rendered.entity.parts.map(\.transferEncoding) == ["7bit", "7bit"])
        #expect(rendered.text(1) == "<p>Hello Ada!</p>\n")
    }

    @Test("a mailing without HTML is plain text alone")
    func plainOnly() throws {
        let rendered = try ContentKit.render(
            ContentKit.content(html: " \n", plain: "Hi {{ name }}\n"),
            ContentKit.recipient()
        )
        #expect(rendered.entity.contentType.essence == "text/plain")
        #expect(rendered.body == "Hi Ada\r\n")
        #expect(
            rendered.header.hasSuffix(
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n"
            )
        )
    }

    @Test("merge fields with line ends, NUL and marks of direction cannot add a header field")
    func injection() throws {
        let hostile = "x\r\nBcc: victim@example.net\r\n\r\nbody\0\u{202E}\n\rX-Y: z"
        let recipient = try ContentKit.recipient(
            [("name", .text(hostile)), ("firstname", .text(hostile)), ("lastname", .text(hostile))],
            trackingID: "a\r\nX-Evil: 1\"><b>"
        )
        var content = ContentKit.content(tracking: "https://t.example.org/\r\nX-A: b/", click: true)
        content.senderName = hostile
        let rendered = try ContentKit.render(content, recipient)
        #expect(
            rendered.names == [
                "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "MIME-Version", "Content-Type",
            ]
        )
        #expect(!rendered.header.utf8.contains(0))
        let lines = rendered.header.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
        #expect(lines.allSatisfy { $0.last == 0x0D && $0.dropLast().allSatisfy { $0 != 0x0D } })
        #expect(lines.allSatisfy { $0.count <= 998 })
        #expect(rendered.header.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test("a value of 64 KB in subject, name and body makes a message that can travel")
    func large() throws {
        let large = String(repeating: "é", count: 32_768)
        let recipient = try ContentKit.recipient([("name", .text(large)), ("firstname", .text(large))])
        let rendered = try ContentKit.render(ContentKit.content(), recipient)
        let whole = Array((rendered.header + "\r\n" + rendered.body).utf8)
        for line in whole.split(separator: 0x0A) { #expect(line.count <= 78) }
        #expect(rendered.text(1) == "<p>Hello \(large)!</p>\n")
    }

    @Test("a body holds neither bare CR or LF nor bytes beyond ASCII, whatever the values hold")
    func canonicalBody() throws {
        let nasty = "a\rb\nc\r\nd\0e\u{1}\n.\n..x\nFrom me\n é \n"
        let rendered = try ContentKit.render(
            ContentKit.content(plain: "{{ name }}"),
            ContentKit.recipient([("name", .text(nasty))])
        )
        #expect(LineEnds.isCanonical(Array(rendered.body.utf8)))
        #expect(rendered.body.utf8.allSatisfy { $0 < 0x80 && $0 != 0 })
    }

    @Test("a value that imitates a boundary does not end its part")
    func boundaries() throws {
        let compiled = try ContentKit.render(ContentKit.content(), ContentKit.recipient())
        let boundary = try #require(compiled.entity.contentType.parameter("boundary"))
        let hostile = "x\n--\(boundary)--\n--\(boundary)\nContent-Type: text/html\n\nevil\n"
        let content = ContentKit.content(html: "<p>Hello {{ name|safe }}!</p>\n", plain: nil)
        _ = content
        let rendered = try ContentKit.render(ContentKit.content(), ContentKit.recipient([("name", .text(hostile))]))
        #expect(rendered.entity.parts.count == 2)
        #expect(rendered.text(0).contains(hostile))
    }

    @Test("a row that cannot be rendered is an error that names the part and the position")
    func rowError() throws {
        let compiled = try CompiledContent(ContentKit.content(html: "<p>\n {{ 1 + name }}</p>"))
        var scratch = RenderScratch()
        let error = try #require(throws: RenderError.self) {
            try compiled.render(ContentKit.recipient(), scratch: &scratch)
        }
        #expect(error.part == "text/plain" || error.part == "text/html")
        #expect(error.line > 0)
        try compiled.render(ContentKit.recipient([("name", .integer(1))]), scratch: &scratch)
        #expect(String(decoding: scratch.body, as: UTF8.self).contains(" 2</p>"))
    }

    @Test("content that cannot be compiled is an error that names the part and the position")
    func compileErrors() throws {
        let html = try #require(throws: ContentError.self) {
            try CompiledContent(ContentKit.content(html: "a\n{% if %}"))
        }
        #expect(html.part == "text/html" && html.line == 2)
        let subject = try #require(throws: ContentError.self) {
            try CompiledContent(ContentKit.content(subject: "{{ a|b }}"))
        }
        #expect(subject.description == "subject, line 1, column 6: there is no filter named 'b'")
        var content = ContentKit.content()
        content.mailFrom = "no address\r\n"
        #expect(try #require(throws: ContentError.self) { try CompiledContent(content) }.part == "From")
        content.mailFrom = "my-mailing@%example.org"
        _ = try CompiledContent(content)
    }

    @Test("undecodable merge fields are an error of the row")
    func undecodable() throws {
        var recipient = try ContentKit.recipient()
        recipient.mergeFields = [9, 9, 9]
        var scratch = RenderScratch()
        let compiled = try CompiledContent(ContentKit.content())
        #expect(
            try #require(throws: RenderError.self) { try compiled.render(recipient, scratch: &scratch) }.code == .fields
        )
    }

    @Test("the address is available as a field unless a field has its name")
    func address() throws {
        let content = ContentKit.content(plain: "{{ email }}")
        #expect(try ContentKit.render(content, ContentKit.recipient([])).text(0) == "ada@example.com")
        #expect(try ContentKit.render(content, ContentKit.recipient([("email", .text("x"))])).text(0) == "x")
    }

    @Test("an address beyond ASCII and an address literal make valid fields")
    func unusualAddresses() throws {
        let idn = try ContentKit.render(ContentKit.content(), ContentKit.recipient(address: "ada@bücher.example"))
        #expect(idn.header.contains("To: ada@xn--bcher-kva.example\r\n"))
        let literal = try ContentKit.render(ContentKit.content(), ContentKit.recipient(address: "ada@[192.0.2.1]"))
        #expect(literal.header.contains("To: ada@[192.0.2.1]\r\n"))
    }

    @Test("the Message-ID stands in the sender's domain and is the message's for good, RFC 5322 §3.6.4")
    func messageID() throws {
        func id(_ sender: String, _ change: (inout RenderRecipient) -> Void = { _ in }) throws -> String {
            var content = ContentKit.content(subject: "\(sender.count)")
            content.mailFrom = sender
            var recipient = try ContentKit.recipient()
            change(&recipient)
            let rendered = try ContentKit.render(content, recipient)
            return try #require(rendered.entity.header("Message-ID")).text
        }
        let first = try id("news@Example.org")
        #expect(first.hasPrefix("<30077354026.7.") && first.hasSuffix("@example.org>"))
        #expect(try id("other@example.org") == first, "another revision, the same message")
        #expect(try id("news@bücher.example").hasSuffix("@xn--bcher-kva.example>"))
        #expect(try id("my-mailing@%example.org").hasSuffix("@%example.org>"))
        #expect(try id("news@[IPv6:2001:db8::1]").hasSuffix("@IPv6-2001-db8--1>"))
        let elsewhere = try [
            id("news@example.org") { $0.trackingID = "zzz" },
            id("news@example.org") { $0.date = Timestamp(seconds: 1_795_412_401) },
        ]
        #expect(Set(elsewhere + [first]).count == 3, "another installation's message with the same numbers")
    }

    @Test(
        "one-click unsubscription is offered over HTTPS and under a signature only, RFC 8058 §3.1",
        arguments: [
            ("https://t.example.org/", true, true), ("HTTPS://t.example.org/?p=", true, true),
            ("http://t.example.org/", true, false), ("https://t.example.org/", false, false),
        ]
    )
    func oneClick(_ site: String, _ isSigned: Bool, _ isOffered: Bool) throws {
        var content = ContentKit.content(tracking: site)
        let key = try #require(BlobHash(bytes: [UInt8](repeating: 0, count: 32)))
        content.dkim = [DKIMSetting(domain: "example.org", selector: "s", key: key, enabled: isSigned)]
        let rendered = try ContentKit.render(content, ContentKit.recipient())
        #expect(rendered.names.contains("List-Unsubscribe"))
        #expect(rendered.names.contains("List-Unsubscribe-Post") == isOffered)
    }

    @Test(
        "an attachment that would be written otherwise than it is named is refused",
        arguments: [
            (MailMerge.Attachment(filename: "a.pdf", contentType: "application/pdf", bytes: []), true),
            (MailMerge.Attachment(contentType: "Application/PDF; name=\"a b.pdf\"", bytes: []), true),
            (MailMerge.Attachment(contentType: "text/plain;charset=GB2312", bytes: []), true),
            (MailMerge.Attachment(contentType: "image/png", contentID: "<logo@x>", bytes: []), true),
            (MailMerge.Attachment(contentType: "nonsense", bytes: []), false),
            (MailMerge.Attachment(contentType: "a@b/c", bytes: []), false),
            (MailMerge.Attachment(contentType: "text/plain x", bytes: []), false),
            (MailMerge.Attachment(contentType: "text/plain", charset: "klingon", bytes: []), false),
            (MailMerge.Attachment(contentType: "text/plain; charset=klingon", bytes: []), false),
            (MailMerge.Attachment(contentType: "image/png", contentID: "a b", bytes: []), false),
            (MailMerge.Attachment(contentType: "image/png", contentID: "<>", bytes: []), false),
            (MailMerge.Attachment(contentType: "image/png", contentID: "é", bytes: []), false),
            (MailMerge.Attachment(filename: "a\r\nb", contentType: "text/plain", bytes: []), false),
            (
                MailMerge.Attachment(
                    filename: String(repeating: "a", count: 256),
                    contentType: "text/plain",
                    bytes: []
                ), false
            ),
        ]
    )
    func attachmentAdmission(_ attachment: MailMerge.Attachment, _ isAccepted: Bool) {
        let isRefused: Bool
        do {
            try attachment.check()
            isRefused = false
        } catch {
            isRefused = true
        }
        #expect(isRefused != isAccepted)
    }

    @Test("attachments follow the text in a mixed message")
    func attachments() throws {
        let attachments = [
            Attachment(filename: "résumé \"x\"\r\n.pdf", contentType: "application/pdf", bytes: Array(0...255)),
            Attachment(filename: nil, contentType: "image/png", contentID: "<logo@x>", bytes: []),
            Attachment(filename: "../etc/passwd", contentType: "broken\r\nX: y", bytes: [1]),
            Attachment(filename: "t.txt", contentType: "text/plain", charset: "iso-8859-1", bytes: [0xE9]),
        ]
        for attachment in attachments { #expect(try Attachment(decoding: attachment.encoded()) == attachment) }
        let rendered = try ContentKit.render(ContentKit.content(), ContentKit.recipient(attachments: attachments))
        #expect(rendered.entity.contentType.essence == "multipart/mixed")
        #expect(rendered.entity.parts.count == 5)
        #expect(rendered.entity.parts[0].contentType.essence == "multipart/alternative")
        #expect(rendered.text(0, 1) == "<p>Hello Ada!</p>\n")
        let pdf = rendered.entity.parts[1]
        #expect(pdf.decodedBody() == Array(0...255))
        #expect(pdf.contentDisposition?.kind == "attachment")
        #expect(pdf.contentDisposition?.filename == "résumé \"x\"__.pdf")
        let image = rendered.entity.parts[2]
        #expect(image.contentDisposition?.kind == "inline")
        #expect(image.header("Content-ID")?.text == "<logo@x>")
        #expect(rendered.entity.parts[3].contentType.essence == "application/octet-stream")
        #expect(rendered.entity.parts[3].contentDisposition?.filename == ".._etc_passwd")
        #expect(rendered.entity.parts[4].contentType.parameter("charset") == "iso-8859-1")
    }

    @Test("attachments join a plain message, and one that is mixed already")
    func attachmentsElsewhere() throws {
        let attachment = Attachment(filename: "a.bin", bytes: [1, 2])
        let plain = try ContentKit.render(
            ContentKit.content(html: "", plain: "Hi"),
            ContentKit.recipient(attachments: [attachment])
        )
        #expect(plain.entity.parts.map(\.contentType.essence) == ["text/plain", "application/octet-stream"])
        #expect(plain.text(0) == "Hi")
        let source = "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\nHi {{ name }}\r\n--m--\r\n"
        let mixed = try ContentKit.render(ContentKit.mime(source), ContentKit.recipient(attachments: [attachment]))
        #expect(mixed.entity.parts.count == 2)
        #expect(mixed.text(0) == "Hi Ada")
        #expect(mixed.entity.parts[1].decodedBody() == [1, 2])
    }
}
