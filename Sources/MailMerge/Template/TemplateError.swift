// SPDX-License-Identifier: Apache-2.0

/// Why a template cannot be compiled, and where.
public struct TemplateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    public let line: Int
    /// In characters, from 1.
    public let column: Int
    /// What is wrong, for the author of the template.
    public let message: String

    /// Composes an error.
    public init(line: Int, column: Int, message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    /// The position, then what is wrong: `line 3, column 7: …`.
    public var description: String { "line \(self.line), column \(self.column): \(self.message)" }
}

/// Why a message cannot be made for one recipient; the others are not concerned.
public struct RenderError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public struct Code: Hashable, Sendable {
        private enum Kind: Hashable { case value, steps, size, fields, header }
        private let kind: Kind

        /// An operation that its operands do not allow.
        public static let value = Code(kind: .value)
        /// The step budget is used up.
        public static let steps = Code(kind: .steps)
        /// The output or a value would grow beyond its bound.
        public static let size = Code(kind: .size)
        /// The merge fields cannot be decoded.
        public static let fields = Code(kind: .fields)
        /// A header field cannot be written for this recipient.
        public static let header = Code(kind: .header)
    }

    /// The kind of failure.
    public let code: Code
    /// What failed.
    public let message: String
    /// The line of the tag that failed, from 1; 0 if no tag did.
    public internal(set) var line: Int
    /// The column of the tag that failed, in characters from 1; 0 if no tag did.
    public internal(set) var column: Int
    /// Which part of the content failed (`subject`, `text/html`); empty for a template of its own.
    public internal(set) var part: String

    /// Composes an error.
    public init(_ code: Code, _ message: String, line: Int = 0, column: Int = 0, part: String = "") {
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.part = part
    }

    /// The part and the position, as far as they are known, then what is wrong: `text/html, line 3, column 7: …`.
    public var description: String {
        var text = self.part
        if self.line > 0 { text += "\(text.isEmpty ? "" : ", ")line \(self.line), column \(self.column)" }
        return text.isEmpty ? self.message : "\(text): \(self.message)"
    }
}

/// A position in a template's source.
struct SourcePosition: Hashable, Sendable {
    var line: Int
    var column: Int
}
