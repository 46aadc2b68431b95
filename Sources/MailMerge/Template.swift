// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// A compiled template: the part of Jinja2 that mail needs.
///
/// Variables with attributes and indexes, filters, tests, `if`, `for`, `set`, comments, raw blocks and whitespace
/// control mean what they mean in Jinja2 3.1; what would reach beyond the merge fields (`macro`, `include`, `extends`,
/// calls other than a few methods of values) is an error when the template is compiled. One final line end is dropped.
///
/// A missing field is empty, and so are its attributes, as with Jinja2's `ChainableUndefined`; Jinja2's default raises
/// for an attribute of a missing value. Calculating with a missing value is an error in either.
///
/// Beyond Jinja2 there are the filters `date` and `strftime`. Bytes print as the UTF-8 text that they hold.
public struct Template: Sendable {
    private let program: Program
    private let names: NameTable
    private let autoescape: Bool

    /// Compiles a template.
    ///
    /// - Parameters:
    ///   - source: The template.
    ///   - autoescape: Whether `& < > ' "` in values become character references, as HTML needs it.
    /// - Throws: ``TemplateError`` with line and column of what cannot be understood.
    public init(_ source: String, autoescape: Bool) throws(TemplateError) {
        var names = NameTable()
        self.program = try TemplateParser.compile(TemplateSource(source.utf8), names: &names)
        self.names = names
        self.autoescape = autoescape
    }

    /// The names that the template takes from the merge fields, in order of their first use.
    public var fieldNames: [String] { self.names.names.map { String(decoding: $0, as: UTF8.self) } }

    /// Appends what the template makes of a recipient's merge fields.
    ///
    /// - Parameters:
    ///   - mergeFields: As encoded by `MergeFields.encoded()`.
    ///   - output: Appended to, in UTF-8; on an error what was written before stays.
    ///   - budget: What the message may still use; what this template uses is taken off.
    /// - Throws: ``RenderError`` for operations on values that do not have them, for undecodable fields and when the
    ///   budget is used up.
    public func render(
        _ mergeFields: [UInt8],
        into output: inout [UInt8],
        budget: inout RenderBudget
    ) throws(RenderError) {
        var renderer = Renderer(budget: budget)
        renderer.fields.reset(count: self.names.count)
        try renderer.fields.load(mergeFields, names: self.names)
        swap(&renderer.output, &output)
        defer {
            swap(&renderer.output, &output)
            budget = renderer.budget
        }
        try renderer.run(self.program, mode: Renderer.Mode(escapes: self.autoescape, links: nil))
    }

    /// What the template makes of merge fields, within the default budget.
    public func render(_ fields: MergeFields) throws(RenderError) -> String {
        var output: [UInt8] = []
        var budget = RenderBudget()
        try self.render(fields.encoded(), into: &output, budget: &budget)
        return String(decoding: output, as: UTF8.self)
    }
}
