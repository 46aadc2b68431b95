// SPDX-License-Identifier: Apache-2.0

import MailMerge
import MailingModel
import Testing

@Suite("Hostile templates")
struct HostileTemplateTests {
    private func code(_ source: String, _ fields: MergeFields = MergeFields()) -> RenderError.Code? {
        do {
            _ = try Template(source, autoescape: true).render(fields)
            return nil
        } catch let error as RenderError {
            return error.code
        } catch {
            return nil
        }
    }

    @Test(
        "work without end stops at the step budget",
        arguments: [
            "{% for a in range(100000000) %}{% endfor %}",
            "{% for a in range(900) %}{% for b in range(900) %}x{% endfor %}{% endfor %}",
            "{% for a in range(9) %}{% for b in range(9999) %}{{ range(999)|sort|join }}{% endfor %}{% endfor %}",
            "{{ range(9223372036854775807)|length }}",
            "{% set s = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 9999 %}{% for a in range(9999) %}{{ 'b' in s }}{% endfor %}",
            "{% set s = 'ab' * 99999 %}{% for a in range(999) %}{{ s|upper|lower|length }}{% endfor %}",
            "{% set l = range(9999) %}{% for a in range(999) %}{{ 'x' in l }}{% endfor %}",
        ]
    )
    func steps(source: String) { #expect(self.code(source) == .steps) }

    @Test(
        "values and output without bound stop at the size budget",
        arguments: [
            "{{ 'x' * 99999999999 }}",
            "{{ ('x' * 99999) * 99999 }}",
            "{% set s = 'x' * 1000 %}{% for a in range(9999) %}{{ s }}{% endfor %}",
            "{{ [1] * 99999999 }}",
            "{{ '%99999999d' % 5 }}",
            "{{ ('a' * 99999)|replace('a', 'b' * 99999) }}",
            "{{ 'x'|center(99999999) }}",
            "{{ ('x' * 1000000) ~ ('y' * 1000000) }}",
        ]
    )
    func size(source: String) { #expect(self.code(source) == .size) }

    @Test("a doubling in a loop is stopped")
    func doubling() {
        let source =
            "{% set s %}xxxxxxxx{% endset %}" + String(repeating: "{% set s = s ~ s %}", count: 40) + "{{ s|length }}"
        #expect([.size, .steps].contains(self.code(source)))
    }

    @Test(
        "nesting beyond the limits is a compile error",
        arguments: [
            String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000),
            String(repeating: "[", count: 5000),
            String(repeating: "-", count: 5000) + "1",
            String(repeating: "not ", count: 5000) + "1",
            "1" + String(repeating: "+1", count: 5000),
            "a" + String(repeating: ".b", count: 5000),
            "a" + String(repeating: "[0]", count: 5000),
            "a" + String(repeating: "|upper", count: 5000),
            "a" + String(repeating: "~a", count: 5000),
            "a" + String(repeating: " if a else a", count: 5000),
            "a" + String(repeating: " if a", count: 5000),
            "a" + String(repeating: " is defined", count: 5000),
            "a" + String(repeating: "**a", count: 5000),
            String(repeating: "{'a':", count: 5000),
        ]
    )
    func nesting(expression: String) {
        #expect(throws: TemplateError.self) { try Template("{{ \(expression) }}", autoescape: true) }
    }

    @Test("blocks and targets nested beyond the limits are compile errors")
    func blocks() {
        let ifs = String(repeating: "{% if a %}", count: 500) + String(repeating: "{% endif %}", count: 500)
        #expect(throws: TemplateError.self) { try Template(ifs, autoescape: true) }
        let target =
            "{% for " + String(repeating: "(", count: 5000) + "a" + String(repeating: ")", count: 5000)
            + " in b %}{% endfor %}"
        #expect(throws: TemplateError.self) { try Template(target, autoescape: true) }
    }

    @Test("what is allowed at the limits of nesting renders")
    func limits() throws {
        let sum = "{{ 1" + String(repeating: "+1", count: 120) + " }}"
        #expect(try Template(sum, autoescape: true).render(MergeFields()) == "121")
        let parentheses = "{{ " + String(repeating: "(", count: 9) + "1" + String(repeating: ")", count: 9) + " }}"
        #expect(try Template(parentheses, autoescape: true).render(MergeFields()) == "1")
        let ifs = String(repeating: "{% if 1 %}", count: 30) + "x" + String(repeating: "{% endif %}", count: 30)
        #expect(try Template(ifs, autoescape: true).render(MergeFields()) == "x")
    }

    @Test("a long list of branches is no nesting")
    func branches() throws {
        let source = "{% if a == 0 %}" + (1..<500).map { "{% elif a == \($0) %}\($0)" }.joined() + "{% endif %}"
        let fields = MergeFields([MergeFields.Field(name: "a", value: .integer(499))])
        #expect(try Template(source, autoescape: true).render(fields) == "499")
    }

    @Test("whole numbers that leave 64 bits are errors and never a trap")
    func overflow() {
        let largest = "9223372036854775807"
        for source in [
            "\(largest) + 1", "-\(largest) - 2", "\(largest) * 2", "2 ** 64", "(-\(largest) - 1) // -1",
            "-(-\(largest) - 1)", "(-\(largest) - 1)|abs", "1e300|int", "(-\(largest) - 1) % -1", "10 ** 400",
        ] {
            #expect(self.code("{{ \(source) }}") == .value, "\(source)")
        }
        #expect(
            self.code("{{ 'a'[\(largest):-\(largest)] }}{{ [1][-\(largest) - 1] }}{{ 'a'|truncate(\(largest)) }}")
                == nil
        )
        #expect(self.code("{{ 'a'.split('b', \(largest)) }}{{ 'a'|replace('a', 'b', -\(largest)) }}") == nil)
    }

    @Test("the budget is shared by renderings that pass it on")
    func sharedBudget() throws {
        let template = try Template("{% for a in range(300) %}x{% endfor %}", autoescape: true)
        var budget = RenderBudget(steps: 3000)
        var output: [UInt8] = []
        try template.render([], into: &output, budget: &budget)
        #expect(output.count == 300)
        #expect(budget.steps < 2500)
        #expect(throws: RenderError.self) {
            while true { try template.render([], into: &output, budget: &budget) }
        }
    }
}
