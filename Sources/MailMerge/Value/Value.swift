// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// What an expression of a template evaluates to; behaves as the Python value of the same kind.
enum Value: Sendable {
    /// A name, attribute or item that does not exist; prints as nothing, and so do its attributes.
    case undefined
    case none
    case bool(Bool)
    case integer(Int64)
    case float(Double)
    case text(Text)
    case dateTime(Timestamp)
    case list(List)
    case map(Map)
    case loop(Loop)

    /// Text, UTF-8.
    struct Text: Sendable {
        var bytes: ArraySlice<UInt8>
        /// Whether it is markup already, which escaping leaves alone.
        var isSafe: Bool

        init(_ bytes: ArraySlice<UInt8>, isSafe: Bool = false) {
            self.bytes = bytes
            self.isSafe = isSafe
        }

        init(_ bytes: [UInt8], isSafe: Bool = false) { self.init(bytes[...], isSafe: isSafe) }
    }

    /// A Python list or tuple.
    struct List: Sendable {
        var items: [Value]
        var isTuple: Bool
    }

    /// A Python dictionary, in insertion order.
    struct Map: Sendable {
        var members: [Member]

        struct Member: Sendable {
            var key: Value
            var value: Value
        }

        func value(for key: Value) -> Value? { self.members.last { $0.key == key }?.value }

        func value(named name: [UInt8]) -> Value? {
            for member in self.members {
                if case .text(let text) = member.key, text.bytes.elementsEqual(name) { return member.value }
            }
            return nil
        }

        /// Adds a member; a known key keeps its position and takes the new value.
        mutating func set(_ key: Value, _ value: Value) {
            if let index = self.members.firstIndex(where: { $0.key == key }) {
                self.members[index].value = value
            } else {
                self.members.append(Member(key: key, value: value))
            }
        }
    }

    /// The state that a `for` block's body sees as `loop`.
    struct Loop: Sendable {
        var items: [Value]
        var index: Int
    }

    static func text(_ bytes: [UInt8], isSafe: Bool = false) -> Value { .text(Text(bytes[...], isSafe: isSafe)) }

    static func text(_ string: String) -> Value { .text(Text(Array(string.utf8)[...])) }

    /// Whether an `if` takes it for true.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let truth): truth
        case .integer(let number): number != 0
        case .float(let number): number != 0
        case .text(let text): !text.bytes.isEmpty
        case .list(let list): !list.items.isEmpty
        case .map(let map): !map.members.isEmpty
        case .dateTime, .loop: true
        }
    }

    var isUndefined: Bool {
        if case .undefined = self { return true }
        return false
    }

    /// The kind's name for an error message.
    var kind: String {
        switch self {
        case .undefined: "a missing value"
        case .none: "none"
        case .bool: "a truth value"
        case .integer: "a whole number"
        case .float: "a number"
        case .text: "text"
        case .dateTime: "a date"
        case .list: "a list"
        case .map: "a map"
        case .loop: "the loop"
        }
    }

    /// The whole number that a whole number or truth value stands for.
    var wholeNumber: Int64? {
        switch self {
        case .integer(let number): number
        case .bool(let truth): truth ? 1 : 0
        default: nil
        }
    }

    /// Roughly how many bytes the value holds, for the budget.
    var weight: Int {
        switch self {
        case .text(let text): text.bytes.count
        case .list(let list): list.items.count
        case .map(let map): map.members.count
        default: 1
        }
    }
}

extension Value: Equatable {
    static func == (left: Value, right: Value) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let left), .text(let right)): return left.bytes == right.bytes
        case (.dateTime(let left), .dateTime(let right)): return left == right
        case (.list(let left), .list(let right)): return left.isTuple == right.isTuple && left.items == right.items
        case (.map(let left), .map(let right)):
            return left.members.count == right.members.count
                && left.members.allSatisfy { member in right.value(for: member.key) == member.value }
        case (.float(let left), .float(let right)): return left == right
        default:
            if let left = left.wholeNumber, let right = right.wholeNumber { return left == right }
            if case .float(let float) = left, let whole = right.wholeNumber { return Double(exactly: whole) == float }
            if case .float(let float) = right, let whole = left.wholeNumber { return Double(exactly: whole) == float }
            return false
        }
    }
}
