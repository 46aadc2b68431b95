// SPDX-License-Identifier: Apache-2.0

/// A piece of a template's source, with the position where it begins.
struct Token: Sendable {
    enum Kind: Hashable, Sendable {
        /// Text outside of all tags, ready to be written.
        case text([UInt8])
        case outputBegin
        case outputEnd
        case blockBegin
        case blockEnd
        /// The text between here and the matching ``linkEnd`` is the address of a tracked link.
        case linkBegin(Int)
        case linkEnd
        case name([UInt8])
        case string([UInt8])
        case integer(Int64)
        case float(Double)
        case symbol(Symbol)
        case end
    }

    var kind: Kind
    var offset: Int
}

/// Operators and punctuation.
enum Symbol: UInt8, Sendable {
    case add, subtract, multiply, divide, floorDivide, remainder, power, tilde
    case equal, notEqual, less, lessEqual, greater, greaterEqual, assign
    case dot, comma, colon, semicolon, pipe
    case leftParenthesis, rightParenthesis, leftBracket, rightBracket, leftBrace, rightBrace

    /// How it is written.
    var spelling: String {
        switch self {
        case .add: "+"
        case .subtract: "-"
        case .multiply: "*"
        case .divide: "/"
        case .floorDivide: "//"
        case .remainder: "%"
        case .power: "**"
        case .tilde: "~"
        case .equal: "=="
        case .notEqual: "!="
        case .less: "<"
        case .lessEqual: "<="
        case .greater: ">"
        case .greaterEqual: ">="
        case .assign: "="
        case .dot: "."
        case .comma: ","
        case .colon: ":"
        case .semicolon: ";"
        case .pipe: "|"
        case .leftParenthesis: "("
        case .rightParenthesis: ")"
        case .leftBracket: "["
        case .rightBracket: "]"
        case .leftBrace: "{"
        case .rightBrace: "}"
        }
    }
}

extension Token.Kind {
    /// How an error message names it.
    var described: String {
        switch self {
        case .text: "text"
        case .outputBegin: "'{{'"
        case .outputEnd: "'}}'"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .linkBegin, .linkEnd: "a link"
        case .name(let name): "'\(String(decoding: name, as: UTF8.self))'"
        case .string: "a string"
        case .integer, .float: "a number"
        case .symbol(let symbol): "'\(symbol.spelling)'"
        case .end: "the end of the template"
        }
    }
}
