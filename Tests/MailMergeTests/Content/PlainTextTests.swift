// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import Testing

@Suite("Plain text made from HTML")
struct PlainTextTests {
    private func plain(_ html: String, _ fields: [(String, MergeValue)] = [("name", .text("<Ada>"))]) throws -> String {
        try ContentKit.render(ContentKit.content(html: html, plain: " "), ContentKit.recipient(fields)).text(0)
    }

    @Test("blocks end lines, white space runs together and references are read")
    func blocks() throws {
        let html = """
            <html><head><title>T</title><style>p { color: {{ name }} }</style></head><body>
              <h1>Hello&nbsp;{{ name }}</h1>
              <p>One   &amp; two<br>three</p><p>four</p>
              <ul><li>a</li><li>b</li></ul><hr>
              <!-- hidden {{ name }} -->end &lt;b&gt;
            </body></html>
            """
        #expect(
            try self.plain(html) == "Hello\u{A0}<Ada>\n\nOne & two\nthree\n\nfour\n\n- a\n- b\n\n--------\nend <b>\n"
        )
    }

    @Test("preformatted text keeps its lines and blanks")
    func preformatted() throws {
        #expect(
            try self.plain(
                "<p>a  b</p><pre>\n  one\n\n\tt&lt;o  {{ name }}\r\n{% if name %}three{% endif %}</pre>  after\n it"
            )
                == "a b\n\n  one\n\n\tt<o  <Ada>\nthree\n\nafter it\n"
        )
        #expect(try self.plain("<pre>a\n<b>b\n  c</b>\n</pre>d</pre> e  f") == "a\nb\n  c\n\nd\n\ne f\n")
        #expect(try self.plain("x<pre>  y<br>z</pre>") == "x\n\n  y\nz\n")
    }

    @Test("a link is followed by its address unless it shows it")
    func links() throws {
        #expect(
            try self.plain("<a href=\"https://x.example/?a=1&amp;n={{ name }}\">Go on</a>!")
                == "Go on <https://x.example/?a=1&n=<Ada>>!\n"
        )
        #expect(try self.plain("<a href=\"https://x.example\">https://x.example</a>") == "https://x.example\n")
        #expect(
            try self.plain("<a href=\"#a\">here</a> <a href=\"mailto:a@b.example\">a@b.example</a>")
                == "here a@b.example\n"
        )
        #expect(
            try self.plain("<a href=\"https://x.example\"><img src=\"i\" alt=\"Logo {{ name }}\"></a>")
                == "Logo <Ada> <https://x.example>\n"
        )
    }

    @Test("blocks of the template survive wherever they stand")
    func templateBlocks() throws {
        let html = """
            <table>{% for o in orders %}<tr {% if loop.first %}class="f"{% endif %}><td>{{ o }}</td><td>x</td></tr>
            {% else %}<tr><td>none</td></tr>{% endfor %}</table>{% set a = 5 %}<b>{{ a }}</b>
            """
        #expect(try self.plain(html, [("orders", .list([.text("p"), .text("q")]))]).contains("p x\nq x\n"))
        #expect(try self.plain(html, []).contains("none"))
        #expect(try self.plain(html, []).hasSuffix("5\n"))
    }

    @Test("braces that HTML spells otherwise do not become template tags")
    func braces() throws {
        #expect(
            try self.plain("&#123;&#123; name &#125;&#125; {% raw %}{{ raw }}{% endraw %} &#123;% x %&#125;")
                == "{{ name }} {{ raw }} {% x %}\n"
        )
    }

    @Test("markup from merge fields loses its tags")
    func safe() throws {
        #expect(
            try self.plain("{{ name|safe }} {{ name | safe -}} .", [("name", .text("<i>x</i> &amp; y"))])
                == "x & y x & y.\n"
        )
    }

    @Test("the address to unsubscribe at is there as well")
    func unsubscribe() throws {
        let content = ContentKit.content(
            html: "<a href=\"%7B%7Bunsubscribe%7D%7D\">Leave</a>",
            plain: nil,
            tracking: "https://t.example.org/"
        )
        #expect(
            try ContentKit.render(content, ContentKit.recipient()).text(0) == "Leave <https://t.example.org/u/abc123>\n"
        )
    }
}
