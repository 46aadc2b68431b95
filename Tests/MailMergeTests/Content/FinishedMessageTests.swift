// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailMerge
import MailingModel
import TestKit
import Testing

@Suite("Finished messages")
struct FinishedMessageTests {
    @Test("transport and sender fields are replaced, others stay as found")
    func fields() throws {
        let source = """
            Received: from a
            Return-Path: <x@y>
            From: Old <old@example.net>
            To: nobody
            Bcc: hidden@example.net
            Subject: old
            X-Custom: one
             two
            Reply-To: help@example.org
            Message-ID: <old@x>
            Date: yesterday
            DKIM-Signature: v=1
            Precedence: bulk
            MIME-Version: 1.0
            Content-Type: text/plain; charset=iso-8859-1; format=flowed
            Content-Transfer-Encoding: quoted-printable
            Content-Language: fr

            Ch=E9re {{ name }} =80

            """
        let rendered = try ContentKit.render(ContentKit.mime(source), ContentKit.recipient())
        #expect(
            rendered.names == [
                "From", "To", "Subject", "Date", "Message-ID", "X-Custom", "Reply-To", "MIME-Version", "Content-Type",
                "Content-Language", "Content-Transfer-Encoding",
            ]
        )
        #expect(rendered.header.contains("X-Custom: one\r\n two\r\n"))
        #expect(rendered.header.contains("Content-Type: text/plain; charset=utf-8\r\n"))
        #expect(rendered.text() == "Chére Ada €\n")
        #expect(!rendered.header.contains("old@"))
    }

    @Test("text parts are rendered and everything else is kept byte for byte")
    func parts() throws {
        let image = "iVBORw0KGgo=\r\nAAAA"
        let source = """
            Content-Type: multipart/related; boundary="rel"; type="multipart/alternative"

            preamble
            --rel
            Content-Type: multipart/alternative; boundary=alt

            --alt
            Content-Type: text/plain; charset=utf-16
            Content-Transfer-Encoding: base64

            /v8ASABpACAAewB7ACAAbgBhAG0AZQAgAH0AfQ==
            --alt
            Content-Type: text/html; charset=UTF-8

            <p>{{ name }} & {{ tag }}</p>
            --alt--
            --rel
            Content-Type: image/png; name="{{ name }}.png"
            Content-ID: <logo>
            Content-Transfer-Encoding: base64

            \(image)
            --rel--
            epilogue

            """
        let recipient = try ContentKit.recipient([("name", .text("Ada")), ("tag", .text("<b>"))])
        let rendered = try ContentKit.render(ContentKit.mime(source, tracking: "https://t.example.org/"), recipient)
        #expect(rendered.text(0, 0) == "Hi Ada")
        #expect(
            rendered.text(0, 1)
                == "<p>Ada & &lt;b&gt;</p><img src=\"https://t.example.org/r/abc123/blank.gif\" border=\"0\" alt=\"\" width=\"1\" height=\"1\" />\n"
        )
        guard case .leaf(let kept) = rendered.entity.parts[1].body else {
            throw TemplateError(line: 0, column: 0, message: "")
        }
        #expect(kept == Array(image.utf8))
        #expect(
            rendered.entity.parts[1].headers.map(\.name) == ["Content-Type", "Content-ID", "Content-Transfer-Encoding"]
        )
        #expect(rendered.entity.contentType.parameter("type") == "multipart/alternative")
    }

    @Test("a signed part is neither rendered nor changed")
    func signed() throws {
        let source = """
            Content-Type: multipart/mixed; boundary=m

            --m
            Content-Type: multipart/signed; boundary=s; protocol="application/pgp-signature"

            --s
            Content-Type: text/plain

            {{ name }}
            --s
            Content-Type: application/pgp-signature

            sig
            --s--
            --m--

            """
        let rendered = try ContentKit.render(ContentKit.mime(source), ContentKit.recipient())
        #expect(rendered.text(0, 0) == "{{ name }}")
    }

    @Test("bytes that need an 8-bit transport are written in base64")
    func eightBit() throws {
        var bytes = Array(
            "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                .utf8
        )
        bytes += [0x47, 0xFF, 0x80, 0x31]
        bytes += Array("\r\n--m--\r\n".utf8)
        var content = ContentKit.content()
        content.body = .mime(bytes)
        let rendered = try ContentKit.render(content, ContentKit.recipient())
        #expect(rendered.entity.parts[0].decodedBody() == [0x47, 0xFF, 0x80, 0x31])
        #expect(rendered.entity.parts[0].transferEncoding == "base64")
        #expect(rendered.body.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test("text that would imitate the message's own boundary is written in base64")
    func imitation() throws {
        let source = "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\n{{ name }}\r\n--m--\r\n"
        for value in ["--m", "--m--", "a\n--m\nb", "-\n--mm\n", "---\n--m\n"] {
            let rendered = try ContentKit.render(
                ContentKit.mime(source),
                ContentKit.recipient([("name", .text(value))])
            )
            #expect(rendered.entity.parts.count == 1)
            #expect(rendered.text(0) == value)
        }
    }

    @Test("a text that is attached is neither a template nor changed, whatever its charset")
    func attachedText() throws {
        let source = """
            Content-Type: multipart/mixed; boundary=m

            --m
            Content-Type: text/plain

            Hi {{ name }}
            --m
            Content-Type: text/html; charset=x-unknown
            Content-Disposition: attachment; filename=a.html

            <a href="http://x.example/">{{ name }}</a>
            --m
            Content-Type: text/plain; charset=gb2312
            Content-Transfer-Encoding: base64

            e3sg1tA=
            --m--

            """
        let recipient = try ContentKit.recipient([("name", .text("Ada"))])
        var content = ContentKit.mime(source, tracking: "https://t.example.org/")
        content.clickTracking = true
        let rendered = try ContentKit.render(content, recipient)
        #expect(rendered.text(0) == "Hi Ada")
        #expect(rendered.text(1) == "<a href=\"http://x.example/\">{{ name }}</a>")
        #expect(rendered.entity.parts[1].contentType.parameter("charset") == "x-unknown")
        #expect(rendered.entity.parts[2].decodedBody() == Array("{{ ".utf8) + [0xD6, 0xD0])
    }

    @Test("text in any known charset becomes UTF-8")
    func charsets() throws {
        let source = "Content-Type: text/plain; charset=\"GB2312\"\nContent-Transfer-Encoding: base64\n\n1tDOxA==\n"
        #expect(try ContentKit.render(ContentKit.mime(source), ContentKit.recipient()).text() == "中文")
    }

    @Test("a kept field with raw bytes is written in ASCII, its mailboxes whole; a line that is too long is folded")
    func rawFields() throws {
        var source = Array("Content-Type: text/plain; charset=windows-1251\r\nReply-To: \"".utf8)
        source += [0xCF, 0xF0] + Array(", x\" <r@example.org>, b@example.org\r\nX-Comment: ".utf8) + [0xCF]
        source += Array("\r\nReferences: \(String(repeating: "<a@example.org> ", count: 90))\r\n\r\nx".utf8)
        var content = ContentKit.content()
        content.body = .mime(source)
        let rendered = try ContentKit.render(content, ContentKit.recipient())
        let reply = try #require(rendered.entity.header("Reply-To"))
        let mailboxes = try Mailbox.list(parsing: reply.unfolded, undeclared: nil)
        #expect(mailboxes.map(\.displayName) == ["Пр, x", ""])
        #expect(rendered.entity.header("X-Comment")?.text == "П")
        #expect(rendered.header.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 998 })
        #expect(rendered.entity.header("References")?.text.split(separator: " ").count == 90)
    }

    @Test("an unknown charset is a fault of the content")
    func charset() throws {
        let source = "Content-Type: text/plain; charset=x-unknown\r\n\r\nx"
        let error = try #require(throws: ContentError.self) { try CompiledContent(ContentKit.mime(source)) }
        #expect(error.message.contains("x-unknown"))
    }

    @Test("no mutation of a message makes compiling or rendering trap", arguments: [11, 12] as [UInt64])
    func fuzz(seed: UInt64) throws {
        let source = Array(
            """
            From: a <b@c>
            X-A: b
            Content-Type: multipart/mixed; boundary="m"

            --m
            Content-Type: multipart/alternative; boundary=n

            --n
            Content-Type: text/plain; charset=latin1
            Content-Transfer-Encoding: quoted-printable

            caf=E9 {{ name }}
            --n
            Content-Type: text/html

            <p><a href="http://x.example/{{ name }}">x</a> %7B%7Bunsubscribe%7D%7D</p>
            --n--
            --m
            Content-Type: image/png
            Content-Transfer-Encoding: base64

            AAAA
            --m--

            """.utf8
        )
        var random = SeededGenerator(seed: seed)
        let recipient = try ContentKit.recipient(attachments: [Attachment(filename: "x", bytes: [1])])
        var scratch = RenderScratch()
        for _ in 0..<400 {
            var bytes = source
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes.remove(at: position)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: position)
                default: bytes[position] = UInt8.random(in: 0...255, using: &random)
                }
            }
            var content = ContentKit.content(tracking: "https://t.example.org/", click: true)
            content.body = .mime(bytes)
            guard let compiled = try? CompiledContent(content) else { continue }
            guard (try? compiled.render(recipient, scratch: &scratch)) != nil else { continue }
            #expect(LineEnds.isCanonical(scratch.body))
            #expect(LineEnds.isCanonical(scratch.header))
            #expect(scratch.body.allSatisfy { $0 < 0x80 && $0 != 0 })
        }
    }
}
