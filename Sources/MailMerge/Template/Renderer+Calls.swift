// SPDX-License-Identifier: Apache-2.0

extension Renderer {
    /// What a method gives.
    mutating func call(_ method: Method, _ receiver: Value, _ arguments: [Value]) throws(RenderError) -> Value {
        try self.budget.consume(1 + receiver.weight >> 4)
        switch (method, receiver) {
        case (.items, .map(let map)): return Self.pairs(map)
        case (.keys, .map(let map)): return .list(Value.List(items: map.members.map(\.key), isTuple: false))
        case (.values, .map(let map)): return .list(Value.List(items: map.members.map(\.value), isTuple: false))
        case (.get, .map(let map)): return map.value(for: arguments[0]) ?? (arguments.count > 1 ? arguments[1] : .none)
        case (.cycle, .loop(let loop)): return arguments[loop.index % arguments.count]
        case (.strftime, .dateTime): return try Self.dated(receiver, arguments[0])
        case (.isoformat, .dateTime(let timestamp)):
            var bytes: [UInt8] = []
            CivilDate(timestamp).print(into: &bytes, separator: UInt8(ascii: "T"))
            return .text(bytes)
        case (_, .text(let text)): return try self.call(method, text, arguments)
        default: throw RenderError(.value, "\(receiver.kind) has no method '\(method.rawValue)'")
        }
    }

    private mutating func call(
        _ method: Method,
        _ text: Value.Text,
        _ arguments: [Value]
    ) throws(RenderError) -> Value {
        let first = arguments.first ?? .none
        func kept(_ bytes: [UInt8]) -> Value { .text(bytes, isSafe: text.isSafe) }
        func kept(_ bytes: ArraySlice<UInt8>) -> Value { .text(Value.Text(bytes, isSafe: text.isSafe)) }
        switch method {
        case .upper: return kept(UTF8Text.uppercased(text.bytes))
        case .lower: return kept(UTF8Text.lowercased(text.bytes))
        case .capitalize: return kept(TextFilters.capitalized(text.bytes))
        case .title: return kept(TextFilters.pythonTitled(text.bytes))
        case .strip, .lstrip, .rstrip:
            let set = try Self.optionalText(first)
            return kept(
                TextFilters.trimmed(text.bytes, set, atStart: method != .rstrip, atEnd: method != .lstrip)
            )
        case .startswith: return .bool(text.bytes.starts(with: try Self.requiredText(first)))
        case .endswith: return .bool(text.bytes.reversed().starts(with: try Self.requiredText(first).reversed()))
        case .replace:
            var limit = Int.max
            if arguments.count > 2 {
                let count = try Self.whole(arguments[2], "replace")
                if count >= 0 { limit = Int(clamping: count) }
            }
            guard case .text(var new) = arguments[1] else {
                throw RenderError(.value, "'replace' needs text, not \(arguments[1].kind)")
            }
            if text.isSafe { new = Escape.escaped(new) }
            let old = try Self.requiredText(first)
            let result = TextFilters.replaced(text.bytes, old, new.bytes, limit: limit, bound: self.budget.bytes)
            try self.budget.pay(bytes: result.count)
            return kept(result)
        case .split:
            var limit = Int.max
            if arguments.count > 1 {
                let count = try Self.whole(arguments[1], "split")
                if count >= 0 { limit = Int(clamping: count) }
            }
            let separator = try Self.optionalText(first)
            guard separator?.isEmpty != true else { throw RenderError(.value, "'split' needs a separator") }
            let parts = TextFilters.split(text.bytes, separator, limit: limit)
            try self.budget.pay(items: parts.count)
            return .list(Value.List(items: parts.map { kept($0) }, isTuple: false))
        default: throw RenderError(.value, "text has no method '\(method.rawValue)'")
        }
    }

    private static func optionalText(_ value: Value) throws(RenderError) -> ArraySlice<UInt8>? {
        if case .none = value { return nil }
        return try Self.requiredText(value)
    }

    private static func requiredText(_ value: Value) throws(RenderError) -> ArraySlice<UInt8> {
        guard case .text(let text) = value else { throw RenderError(.value, "text is needed, not \(value.kind)") }
        return text.bytes
    }

    /// Whether a value passes a test.
    mutating func test(_ test: Test, _ value: Value, _ argument: Value) throws(RenderError) -> Bool {
        switch test {
        case .defined: return !value.isUndefined
        case .undefined: return value.isUndefined
        case .none: return value.isNone
        case .even, .odd: return try self.remainder(value, .integer(2)) == .integer(test == .odd ? 1 : 0)
        case .divisibleby: return try self.remainder(value, argument) == .integer(0)
        case .eq, .equalto: return try self.holds(.equal, value, argument)
        case .ne: return try self.holds(.notEqual, value, argument)
        case .lt, .lessthan: return try self.holds(.less, value, argument)
        case .le: return try self.holds(.lessEqual, value, argument)
        case .gt, .greaterthan: return try self.holds(.greater, value, argument)
        case .ge: return try self.holds(.greaterEqual, value, argument)
        case .in: return try self.holds(.isIn, value, argument)
        default: return Self.isOfKind(test, value, argument)
        }
    }

    private mutating func remainder(_ value: Value, _ divisor: Value) throws(RenderError) -> Value {
        guard Operations.double(value) != nil else { throw RenderError(.value, "\(value.kind) is not a number") }
        return try Operations.arithmetic(.remainder, value, divisor)
    }

    private static func isOfKind(_ test: Test, _ value: Value, _ argument: Value) -> Bool {
        switch (test, value) {
        case (.string, .text), (.boolean, .bool), (.float, .float), (.integer, .integer), (.mapping, .map): return true
        case (.number, .integer), (.number, .float), (.number, .bool): return true
        case (.sequence, .text), (.sequence, .list), (.sequence, .map), (.sequence, .undefined): return true
        case (.iterable, .text), (.iterable, .list), (.iterable, .map), (.iterable, .undefined), (.iterable, .loop):
            return true
        case (.true, .bool(let truth)): return truth
        case (.false, .bool(let truth)): return !truth
        case (.escaped, .text(let text)): return text.isSafe
        case (.upper, _): return TextFilters.hasCase(value.asText.bytes, upper: true)
        case (.lower, _): return TextFilters.hasCase(value.asText.bytes, upper: false)
        case (.sameas, .none): return argument.isNone
        case (.sameas, .bool(let truth)):
            if case .bool(let other) = argument { return truth == other }
            return false
        case (.sameas, .integer(let number)):
            if case .integer(let other) = argument { return number == other }
            return false
        case (.sameas, .text), (.sameas, .float): return value == argument
        default: return false
        }
    }
}
