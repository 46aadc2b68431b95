// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import Testing

@Suite("Tracking")
struct TrackingTests {
    private func html(
        _ source: String,
        _ fields: [(String, MergeValue)] = [("name", .text("Ada Q&A/é"))],
        tracking: String? = "http://t.example.org/",
        read: Bool = false,
        click: Bool = true,
        encoding: MailingProperties.URLEncoding = .percent,
        trackingID: String = "id1"
    ) throws -> String {
        let content = ContentKit.content(
            html: source,
            plain: "x",
            tracking: tracking,
            read: read,
            click: click,
            encoding: encoding
        )
        return try ContentKit.render(content, ContentKit.recipient(fields, trackingID: trackingID)).text(1)
    }

    @Test("a link becomes the site's address with the template's and the recipient's address, percent-encoded")
    func percent() throws {
        #expect(
            try self.html("<a class=\"b\" href=\"http://www.example.com/p/?n={{ name }}&x=1\">go</a>")
                == "<a class=\"b\" href=\"http://t.example.org/c/id1/?o=http%3A//www.example.com/p/%3Fn%3D%7B%7B%20name%20%7D%7D%26x%3D1"
                + "&t=http%3A//www.example.com/p/%3Fn%3DAda%20Q%26A/%C3%A9%26x%3D1\">go</a>"
        )
    }

    @Test("a link becomes the site's address with both addresses in URL-safe base64")
    func base64() throws {
        #expect(
            try self.html(
                "<a href='https://example.com/?n={{ name }}>>'>go</a>",
                [("name", .text("~~~"))],
                encoding: .base64
            )
                == "<a href='http://t.example.org/c/id1/?c=b64&o=aHR0cHM6Ly9leGFtcGxlLmNvbS8_bj17eyBuYW1lIH19Pj4"
                + "&t=aHR0cHM6Ly9leGFtcGxlLmNvbS8_bj1-fn4-Pg'>go</a>"
        )
    }

    @Test("character references in the recipient's address are what the browser would have made of them")
    func references() throws {
        let rendered = try self.html("<a href=\"http://x.example/?a=1&amp;b=2\">")
        #expect(
            rendered
                == "<a href=\"http://t.example.org/c/id1/?o=http%3A//x.example/%3Fa%3D1%26amp%3Bb%3D2&t=http%3A//x.example/%3Fa%3D1%26b%3D2\">"
        )
    }

    @Test("several links, spaces around the equals sign, capitals and either quote are found")
    func forms() throws {
        let rendered = try self.html(
            "<A  HREF = 'HTTP://a.example'>1</A><a\nid=x\nhref=\"https://b.example\">2</a><a href=\"http://c.example/{{ 'q' }}\">3</a>"
        )
        #expect(rendered.split(separator: "/c/id1/?o=").count == 4)
        #expect(rendered.hasSuffix("&t=http%3A//c.example/q\">3</a>"))
    }

    @Test("blocks inside an address are rendered into it")
    func blocks() throws {
        let rendered = try self.html("<a href=\"http://x.example/{% if name %}a{% else %}b{% endif %}\">")
        #expect(rendered.hasSuffix("&t=http%3A//x.example/a\">"))
        #expect(rendered.contains("o=http%3A//x.example/%7B%25%20if%20name%20%25%7Da%7B%25%20else"))
    }

    @Test(
        "what is no web address of an a element stays",
        arguments: [
            "<a href=\"mailto:a@example.com\">", "<a href=\"#top\">", "<a href=\"/path\">",
            "<a name=\"http://x.example\">",
            "<img src=\"http://x.example\">", "<link href=\"http://x.example\">", "<abbr href=\"http://x.example\">",
            "<a data-href=\"http://x.example\">", "http://x.example", "<a href=http://x.example>",
            "<a href=\"{{ unsubscribe }}\">",
        ]
    )
    func others(source: String) throws {
        let rendered = try self.html(source)
        #expect(!rendered.contains("/c/id1/"))
    }

    @Test("a link that a block begins in and another ends is left alone")
    func unbalanced() throws {
        let source = "<a href=\"http://x.example/{% if name %}a\">1{% else %}b\">2{% endif %}</a>"
        #expect(try self.html(source) == "<a href=\"http://x.example/a\">1</a>")
    }

    @Test("links are found in what Outlook alone reads")
    func conditionalComments() throws {
        #expect(try self.html("<!--[if mso]><a href=\"http://x.example\">1</a><![endif]-->").contains("/c/id1/?o="))
    }

    @Test("the pixel is the last thing of the HTML")
    func pixel() throws {
        #expect(
            try self.html("<html><body>x</body></html>\n", read: true)
                == "<html><body>x</body></html>\n<img src=\"http://t.example.org/r/id1/blank.gif\" border=\"0\" alt=\"\" width=\"1\" height=\"1\" />\n"
        )
        #expect(try !self.html("x", read: false).contains("blank.gif"))
    }

    @Test("a message has one pixel, in the last alternative of HTML")
    func onePixel() throws {
        let source = """
            Content-Type: multipart/mixed; boundary=m

            --m
            Content-Type: multipart/alternative; boundary=a

            --a
            Content-Type: text/plain

            p
            --a
            Content-Type: text/html

            first
            --a
            Content-Type: multipart/related; boundary=r

            --r
            Content-Type: text/html

            second
            --r
            Content-Type: text/html

            embedded
            --r--
            --a--
            --m
            Content-Type: text/html

            third
            --m--

            """
        let rendered = try ContentKit.render(
            ContentKit.mime(source, tracking: "https://t.example.org/"),
            ContentKit.recipient()
        )
        #expect(rendered.body.split(separator: "blank.gif").count == 2)
        #expect(rendered.text(0, 1) == "first")
        #expect(rendered.text(0, 2, 0).contains("blank.gif"))
        #expect(rendered.text(0, 2, 1) == "embedded" && rendered.text(1) == "third")
    }

    @Test(
        "a site is validated before a mailing has it",
        arguments: [
            ("https://t.example.org/", true), ("http://127.0.0.1:8080/t?p=", true), ("http://localhost:1/", true),
            ("https://[2001:db8::1]/x", true), ("https://bücher.example/é/", true), ("HTTPS://T.example.org", true),
            ("javascript:x", false), ("https://", false), ("https:///path", false), ("ftp://t.example.org/", false),
            ("https://t..example.org/", false), ("https://t.example.org:0/", false),
            ("https://t.example.org:x/", false),
            ("https://t.example.org/#a", false), ("https://user@t.example.org/", false), ("https://1.2.3/", false),
            ("https://t.example.org/ a", false), ("https://t.example.org/\"x", false),
            ("https://-t.example.org/", false),
            ("https://t.example.org/" + String(repeating: "a", count: 800), false),
        ]
    )
    func sites(_ url: String, _ isAccepted: Bool) {
        do {
            _ = try TrackingSite(checking: url)
            #expect(isAccepted)
        } catch {
            #expect(!isAccepted && error.part == "tracking_url" && !error.message.isEmpty)
        }
    }

    @Test("an international host is written in A-labels")
    func internationalHost() throws {
        #expect(
            try self.html("{{ unsubscribe }}", tracking: "https://bücher.example:81/é")
                == "https://xn--bcher-kva.example:81/%C3%A9/u/id1"
        )
    }

    @Test("the address to unsubscribe at has three spellings and comes after a field of that name")
    func unsubscribe() throws {
        let source =
            "{{ unsubscribe }} {{ UNSUBSCRIBE }} %7B%7Bunsubscribe%7D%7D %7b%7b%20unsubscribe%20%7d%7D %7B%7B UNSUBSCRIBE%7D%7D %7B%7Bother%7D%7D"
        let url = "http://t.example.org/u/id1"
        #expect(try self.html(source) == "\(url) \(url) \(url) \(url) \(url) %7B%7Bother%7D%7D")
        #expect(try self.html("{{ unsubscribe }}", [("unsubscribe", .text("mine"))]) == "mine")
    }

    @Test("without a tracking site there is no tracking")
    func off() throws {
        let source = "<a href=\"http://x.example\">{{ unsubscribe }}|{{ _tracking_url }}</a>"
        for site in [nil, ""] {
            let content = ContentKit.content(html: source, plain: "x", tracking: site, read: true, click: true)
            let rendered = try ContentKit.render(content, ContentKit.recipient())
            #expect(rendered.text(1) == "<a href=\"http://x.example\">|</a>")
            #expect(!rendered.names.contains("List-Unsubscribe"))
            #expect(!rendered.names.contains("List-Unsubscribe-Post"))
        }
    }

    @Test("the site's address ends where the path begins")
    func slash() throws {
        #expect(try self.html("{{ unsubscribe }}", tracking: "https://t.example.org") == "https://t.example.org/u/id1")
        #expect(
            try self.html("{{ unsubscribe|safe }}", tracking: "https://t.example.org/?p=")
                == "https://t.example.org/?p=u/id1"
        )
    }

    @Test("a tracking id of any characters stays inside its path segment")
    func trackingID() throws {
        let rendered = try self.html(
            "<a href=\"http://x.example\">{{ unsubscribe }}</a>",
            read: true,
            trackingID: "\"><b>/é"
        )
        #expect(!rendered.contains("<b>"))
        #expect(rendered.contains("/u/%22%3E%3Cb%3E%2F%C3%A9<"))
    }

    @Test("escaping is left out inside a tracked address and done outside of it")
    func escaping() throws {
        let rendered = try self.html("<a href=\"http://x.example/{{ name }}\">{{ name }}</a>", [("name", .text("<&>"))])
        #expect(rendered.hasSuffix("&t=http%3A//x.example/%3C%26%3E\">&lt;&amp;&gt;</a>"))
    }
}
