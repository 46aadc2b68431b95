// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import Testing

@Suite("Compile errors")
struct CompileErrorTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var source: String
        var line: Int
        var column: Int
        var message: String
        var testDescription: String { self.source.debugDescription }
    }

    static let rows = [
        Row(source: "a\nb {{ x", line: 2, column: 3, message: "no end"),
        Row(source: "{{ x|nope }}", line: 1, column: 6, message: "no filter named 'nope'"),
        Row(source: "é {{ x is nope }}", line: 1, column: 11, message: "no test named 'nope'"),
        Row(source: "\r\n\r\n{% macro m() %}{% endmacro %}", line: 3, column: 4, message: "'macro' is not available"),
        Row(source: "{% import 'x' as y %}", line: 1, column: 4, message: "'import' is not available"),
        Row(source: "{% include 'x' %}", line: 1, column: 4, message: "'include' is not available"),
        Row(source: "{% extends 'x' %}", line: 1, column: 4, message: "'extends' is not available"),
        Row(source: "{% call x() %}{% endcall %}", line: 1, column: 4, message: "'call' is not available"),
        Row(source: "{{ f(1) }}", line: 1, column: 4, message: "calling 'f' is not available"),
        Row(source: "{{ x.__class__() }}", line: 1, column: 6, message: "calling '__class__' is not available"),
        Row(source: "{{ x.append(1) }}", line: 1, column: 6, message: "calling 'append' is not available"),
        Row(source: "{{ (x)(1) }}", line: 1, column: 7, message: "cannot be called"),
        Row(source: "{% if a %}{% endfor %}", line: 1, column: 14, message: "'endfor' has no block"),
        Row(source: "{% if a %}x", line: 1, column: 12, message: "expected 'elif' or 'else' or 'endif'"),
        Row(source: "{% wat %}", line: 1, column: 4, message: "'wat' is not a known block"),
        Row(source: "{{ 'abc }}", line: 1, column: 4, message: "string has no end"),
        Row(source: "{{ 'a\\N{DASH}' }}", line: 1, column: 4, message: "escape"),
        Row(source: "{{ 99999999999999999999 }}", line: 1, column: 4, message: "out of range"),
        Row(source: "{{ a ] }}", line: 1, column: 6, message: "']' closes nothing"),
        Row(source: "{{ a ? b }}", line: 1, column: 6, message: "'?' has no meaning"),
        Row(source: "{{ a|replace('x') }}", line: 1, column: 6, message: "needs the argument 'new'"),
        Row(source: "{{ a|upper(1) }}", line: 1, column: 12, message: "too many arguments"),
        Row(source: "{{ a|round(step=1) }}", line: 1, column: 12, message: "no argument 'step'"),
        Row(source: "{% for x in y recursive %}{% endfor %}", line: 1, column: 15, message: "recursive"),
        Row(source: "{% set true = 1 %}", line: 1, column: 8, message: "cannot be assigned to"),
        Row(source: "{% set a.b = 1 %}", line: 1, column: 9, message: "plain names"),
        Row(source: "{# open", line: 1, column: 1, message: "comment has no end"),
        Row(source: "{% raw %}{{", line: 1, column: 1, message: "raw block has no end"),
    ]

    @Test("names the line, the column and the fault", arguments: Self.rows)
    func position(row: Row) throws {
        let error = try #require(throws: TemplateError.self) { try Template(row.source, autoescape: true) }
        #expect(error.line == row.line)
        #expect(error.column == row.column)
        #expect(error.message.contains(row.message), "\(error)")
    }

    @Test("a failing tag of a template is named by line and column when it is rendered")
    func renderPosition() throws {
        let template = try Template("ok\n  {{ 1 + name }}", autoescape: true)
        let error = try #require(throws: RenderError.self) {
            try template.render(MergeFields([MergeFields.Field(name: "name", value: .text("x"))]))
        }
        #expect(error.code == .value)
        #expect((error.line, error.column) == (2, 3))
        #expect(error.description == "line 2, column 3: '+' cannot join a whole number and text")
    }
}
