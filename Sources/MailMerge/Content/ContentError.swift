// SPDX-License-Identifier: Apache-2.0

/// Why a mailing's content cannot be compiled.
public struct ContentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `subject`, `From` or the content type of the part.
    public let part: String
    /// In the part's text, from 1; 0 if the fault is not at a position in a template.
    public let line: Int
    /// In characters, from 1; 0 if the fault is not at a position in a template.
    public let column: Int
    /// What is wrong, for the author of the content.
    public let message: String

    /// Composes an error.
    public init(part: String, line: Int = 0, column: Int = 0, message: String) {
        self.part = part
        self.line = line
        self.column = column
        self.message = message
    }

    init(part: String, _ error: TemplateError) {
        self.init(part: part, line: error.line, column: error.column, message: error.message)
    }

    /// The part and the position, then what is wrong: `text/html, line 3, column 7: …`.
    public var description: String {
        self.line > 0
            ? "\(self.part), line \(self.line), column \(self.column): \(self.message)"
            : "\(self.part): \(self.message)"
    }
}
