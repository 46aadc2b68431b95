// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import Testing

@Suite("Merge values in templates")
struct TemplateValueTests {
    private func render(_ source: String, _ fields: [(String, MergeValue)], autoescape: Bool = true) throws -> String {
        try Template(source, autoescape: autoescape)
            .render(MergeFields(fields.map { MergeFields.Field(name: $0.0, value: $0.1) }))
    }

    @Test("bytes print as the text that they hold")
    func bytes() throws {
        #expect(try self.render("{{ a }}|{{ a|length }}", [("a", .bytes(Array("é<".utf8)))]) == "é&lt;|2")
    }

    @Test("the escapes are those of markupsafe")
    func escapes() throws {
        #expect(try self.render("{{ a }}", [("a", .text("&<>'\"`=/"))]) == "&amp;&lt;&gt;&#39;&#34;`=/")
        #expect(try self.render("{{ a }}", [("a", .text("&<>'\""))], autoescape: false) == "&<>'\"")
    }

    @Test("control characters and bidirectional marks in values stay for the part's encoding")
    func controls() throws {
        #expect(try self.render("{{ a }}", [("a", .text("a\0b\r\nc\u{202E}d\u{7}"))]) == "a\0b\r\nc\u{202E}d\u{7}")
    }

    @Test("a value of 64 KB is written whole")
    func large() throws {
        let text = String(repeating: "<é>", count: 16_384)
        let rendered = try self.render("[{{ a }}]", [("a", .text(text))])
        #expect(rendered.utf8.count == 16_384 * 10 + 2)
    }

    @Test("dates before the epoch, in leap years and far away print as Python prints them")
    func dates() throws {
        for (seconds, text) in [
            (-1, "1969-12-31 23:59:59"), (951_782_400, "2000-02-29 00:00:00"), (4_107_542_400, "2100-03-01 00:00:00"),
            (253_402_300_799, "9999-12-31 23:59:59"), (-62_135_596_800, "0001-01-01 00:00:00"),
        ] as [(Int64, String)] {
            #expect(try self.render("{{ a }}", [("a", .dateTime(Timestamp(seconds: seconds)))]) == text)
        }
        for extreme in [Int64.min, Int64.max] {
            let field = ("a", MergeValue.dateTime(Timestamp(milliseconds: extreme)))
            _ = try self.render("{{ a }}{{ a|date('%c %j %A %y') }}{{ [a] }}", [field])
        }
    }

    @Test("the last of two fields of one name wins")
    func repeated() throws {
        #expect(try self.render("{{ a }}", [("a", .text("1")), ("b", .null), ("a", .text("2"))]) == "2")
    }

    @Test("names with underscores, digits and letters beyond ASCII are names")
    func names() throws {
        #expect(
            try self.render(
                "{{ _x }}{{ x1 }}{{ prénom }}",
                [("_x", .text("a")), ("x1", .integer(5)), ("prénom", .text("é"))]
            ) == "a5é"
        )
    }

    @Test("fields that no template can name do not disturb")
    func oddNames() throws {
        #expect(try self.render("{{ a }}", [("", .text("x")), ("a b", .text("y")), ("a", .text("z"))]) == "z")
    }

    @Test("deep values print and compare without trouble")
    func deep() throws {
        var value = MergeValue.integer(1)
        for _ in 0..<60 { value = .list([value]) }
        let rendered = try self.render("{{ a }}{{ a == a }}", [("a", value)])
        #expect(rendered.hasSuffix("True"))
    }

    @Test("the names that a template takes are listed in the order of their first use")
    func fieldNames() throws {
        #expect(try Template("{{ b }}{% if a.c %}{{ b }}{% endif %}", autoescape: true).fieldNames == ["b", "a"])
    }
}
