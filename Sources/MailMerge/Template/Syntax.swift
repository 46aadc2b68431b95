// SPDX-License-Identifier: Apache-2.0

/// A step of a compiled template.
indirect enum Statement: Sendable {
    /// Text to be written as it is.
    case text([UInt8])
    /// A merge field alone between braces: the common case, written without making a value.
    case field(slot: Int, position: SourcePosition)
    /// Any other expression between braces.
    case output(Expression, position: SourcePosition)
    /// `if`, with its `elif`s and `else`.
    case conditional([Branch], otherwise: [Statement], position: SourcePosition)
    /// `for`.
    case loop(ForLoop, position: SourcePosition)
    /// `set` with an expression.
    case assign(Target, Expression, position: SourcePosition)
    /// `set` around text.
    case capture(local: Int, [Statement], position: SourcePosition)
    /// A tracked link's address: what stands for the template's address, and what renders the recipient's.
    case link(index: Int, [Statement])

    struct Branch: Sendable {
        var test: Expression
        var body: [Statement]
    }
}

/// A `for` block.
struct ForLoop: Sendable {
    var target: Target
    var sequence: Expression
    /// The condition after `if`, which passes items over.
    var filter: Expression?
    var body: [Statement]
    var otherwise: [Statement]
    /// The variables of the body; forgotten before each pass.
    var locals: Range<Int>
    /// The variable that holds the loop's state.
    var loopLocal: Int
}

/// What `for` and `set` assign to: one variable or several, perhaps nested.
indirect enum Target: Sendable {
    case local(Int)
    case unpack([Target])
}

/// A compiled expression.
indirect enum Expression: Sendable {
    case constant(Value)
    /// The first of these variables that is set, else the merge field.
    case name(locals: [Int], slot: Int)
    case list([Expression], isTuple: Bool)
    case map([(key: Expression, value: Expression)])
    case attribute(Expression, [UInt8])
    case item(Expression, Expression)
    case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
    case not(Expression)
    case negate(Expression)
    case plus(Expression)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case arithmetic(Symbol, Expression, Expression)
    case concatenation([Expression])
    case comparison(Expression, [(operation: Comparison, operand: Expression)])
    case choice(test: Expression, then: Expression, otherwise: Expression?)
    case filter(Filter, Expression, [Expression?])
    case test(Test, Expression, Expression?, negated: Bool)
    case call(Method, Expression, [Expression])
    case range([Expression])
}

/// What two neighbours in a comparison are asked.
enum Comparison: Sendable {
    case equal, notEqual, less, lessEqual, greater, greaterEqual, isIn, isNotIn
}

/// A filter and the names of its arguments, in order.
enum Filter: String, Sendable, CaseIterable {
    case abs, capitalize, center, count, d, date, `default`, e, escape, first, float, forceescape, format, int, items
    case join, last, length, list, lower, max, min, replace, reverse, round, safe, sort, strftime, string, striptags
    case sum, title, trim, truncate, unique, upper, urlencode, wordcount

    /// The names of the arguments after the filtered value; `nil` if any number may be given.
    var parameters: [String]? {
        switch self {
        case .abs, .capitalize, .count, .e, .escape, .first, .forceescape, .items, .last, .length, .list, .lower,
            .reverse, .safe, .string, .striptags, .title, .upper, .urlencode, .wordcount:
            []
        case .center: ["width"]
        case .d, .default: ["default_value", "boolean"]
        case .date, .strftime: ["format"]
        case .float: ["default"]
        case .format: nil
        case .int: ["default", "base"]
        case .join: ["d", "attribute"]
        case .max, .min, .unique: ["case_sensitive", "attribute"]
        case .replace: ["old", "new", "count"]
        case .round: ["precision", "method"]
        case .sort: ["reverse", "case_sensitive", "attribute"]
        case .sum: ["attribute", "start"]
        case .trim: ["chars"]
        case .truncate: ["length", "killwords", "end", "leeway"]
        }
    }

    /// How many of ``parameters`` must be given.
    var required: Int {
        switch self {
        case .replace: 2
        case .strftime: 1
        default: 0
        }
    }
}

/// A test, the word after `is`.
enum Test: String, Sendable, CaseIterable {
    case boolean, callable, defined, divisibleby, eq, equalto, escaped, even, `false`, float, ge, greaterthan, gt
    case `in`, integer, iterable, le, lessthan, lower, lt, mapping, ne, none, number, odd, sameas, sequence, string
    case `true`, undefined, upper

    /// Whether an argument follows.
    var takesArgument: Bool {
        switch self {
        case .divisibleby, .eq, .equalto, .ge, .greaterthan, .gt, .in, .le, .lessthan, .lt, .ne, .sameas: true
        default: false
        }
    }
}

/// The methods that may be called; none of them changes a value.
enum Method: String, Sendable, CaseIterable {
    case capitalize, cycle, endswith, get, isoformat, items, keys, lower, lstrip, replace, rstrip, split, startswith
    case strftime, strip, title, upper, values

    /// How many arguments may be given.
    var arguments: ClosedRange<Int> {
        switch self {
        case .capitalize, .isoformat, .items, .keys, .lower, .title, .upper, .values: 0...0
        case .cycle: 1...64
        case .endswith, .startswith, .strftime: 1...1
        case .get: 1...2
        case .lstrip, .rstrip, .strip: 0...1
        case .replace: 2...3
        case .split: 0...2
        }
    }
}
