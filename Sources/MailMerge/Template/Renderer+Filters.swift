// SPDX-License-Identifier: Apache-2.0

extension Renderer {
    /// The value that a filter makes of another.
    mutating func filter(
        _ filter: Filter,
        _ base: Expression,
        _ arguments: [Expression?]
    ) throws(RenderError) -> Value {
        let value = try self.evaluate(base)
        var given: [Value?] = []
        for argument in arguments {
            if let argument { given.append(try self.evaluate(argument)) } else { given.append(nil) }
        }
        try self.budget.consume(1 + value.weight >> 4)
        switch filter {
        case .d, .default: return Self.defaulted(value, given)
        case .upper: return Self.text(value) { UTF8Text.uppercased($0) }
        case .lower: return Self.text(value) { UTF8Text.lowercased($0) }
        case .capitalize: return Self.text(value) { TextFilters.capitalized($0) }
        case .title: return .text(TextFilters.titled(value.asText.bytes))
        case .trim: return Self.trimmed(value, given[0])
        case .string: return .text(value.asText)
        case .safe: return .text(Value.Text(value.asText.bytes, isSafe: true))
        case .e, .escape: return .text(Escape.escaped(value.asText))
        case .forceescape: return .text(Escape.escaped(Value.Text(value.asText.bytes)))
        case .striptags: return .text(HTMLText.stripped(value.asText.bytes))
        case .urlencode: return .text(try self.percentEncoded(value))
        case .wordcount: return .integer(Int64(TextFilters.wordCount(value.asText.bytes)))
        case .date, .strftime: return try Self.dated(value, given[0])
        case .format: return try self.format(value.asText, given.map { $0 ?? .undefined })
        case .center: return .text(try self.centred(value.asText, given[0]))
        case .replace: return .text(try self.replaced(value, given))
        case .truncate:
            if value.isUndefined { return value }
            guard case .text(let text) = value else { throw RenderError(.value, "\(value.kind) cannot be truncated") }
            return .text(try self.truncated(text, given))
        case .abs, .float, .int, .round, .sum: return try self.numeric(filter, value, given)
        default: return try self.sequence(filter, value, given)
        }
    }

    private static func text(_ value: Value, _ transform: (ArraySlice<UInt8>) -> [UInt8]) -> Value {
        let text = value.asText
        return .text(transform(text.bytes), isSafe: text.isSafe)
    }

    private static func defaulted(_ value: Value, _ given: [Value?]) -> Value {
        let applies = value.isUndefined || (given[1]?.isTrue == true && !value.isTrue)
        return applies ? given[0] ?? .text("") : value
    }

    private static func trimmed(_ value: Value, _ characters: Value?) -> Value {
        let text = value.asText
        let characters: Value? = if case .none? = characters { nil } else { characters }
        return .text(Value.Text(TextFilters.trimmed(text.bytes, characters?.asText.bytes), isSafe: text.isSafe))
    }

    static func dated(_ value: Value, _ pattern: Value?) throws(RenderError) -> Value {
        let date: CivilDate
        switch value {
        case .undefined, .none: return .text("")
        case .dateTime(let timestamp): date = CivilDate(timestamp)
        case .text(let text):
            guard let timestamp = CivilDate.parse(text.bytes) else {
                throw RenderError(.value, "this text is not a date")
            }
            date = CivilDate(timestamp)
        default: throw RenderError(.value, "\(value.kind) is not a date")
        }
        guard let bytes = date.format(pattern?.asText.bytes ?? Array("%Y-%m-%d".utf8)[...]) else {
            throw RenderError(.value, "the date format holds an unknown conversion")
        }
        return .text(bytes)
    }

    private mutating func percentEncoded(_ value: Value) throws(RenderError) -> [UInt8] {
        var pairs: [(Value, Value)] = []
        switch value {
        case .map(let map): pairs = map.members.map { ($0.key, $0.value) }
        case .list(let list):
            for item in list.items {
                let parts = try self.items(of: item)
                guard parts.count == 2 else { throw RenderError(.value, "'urlencode' needs pairs") }
                pairs.append((parts[0], parts[1]))
            }
        default:
            var bytes: [UInt8] = []
            PercentEncoding.append(value.asText.bytes, keepsSlash: true, to: &bytes)
            return bytes
        }
        var bytes: [UInt8] = []
        for (index, pair) in pairs.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "&")) }
            PercentEncoding.appendForm(pair.0.asText.bytes, to: &bytes)
            bytes.append(UInt8(ascii: "="))
            PercentEncoding.appendForm(pair.1.asText.bytes, to: &bytes)
            try self.budget.pay(bytes: bytes.count)
        }
        return bytes
    }

    private mutating func centred(_ text: Value.Text, _ width: Value?) throws(RenderError) -> Value.Text {
        let width = Int(clamping: try Self.whole(width ?? .integer(80), "center"))
        let pad = width - UTF8Text.count(text.bytes)
        guard pad > 0 else { return text }
        try self.budget.pay(bytes: pad)
        let left = pad / 2 + (pad & width & 1)
        var bytes = Array(repeating: UInt8(ascii: " "), count: left)
        bytes.append(contentsOf: text.bytes)
        bytes.append(contentsOf: Array(repeating: UInt8(ascii: " "), count: pad - left))
        return Value.Text(bytes, isSafe: text.isSafe)
    }

    private mutating func replaced(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value.Text {
        var text = value.asText
        let old = given[0]?.asText ?? Value.Text([])
        var new = given[1]?.asText ?? Value.Text([])
        if !self.escapes {
            text.isSafe = false
        } else if old.isSafe || new.isSafe, !text.isSafe {
            text = Escape.escaped(text)
        }
        if text.isSafe { new = Escape.escaped(new) }
        var limit = Int.max
        if let count = given[2], !count.isNone {
            let number = try Self.whole(count, "replace")
            if number >= 0 { limit = Int(clamping: number) }
        }
        let result = TextFilters.replaced(text.bytes, old.bytes, new.bytes, limit: limit, bound: self.budget.bytes)
        try self.budget.pay(bytes: result.count)
        return Value.Text(result, isSafe: text.isSafe)
    }

    private mutating func truncated(_ text: Value.Text, _ given: [Value?]) throws(RenderError) -> Value.Text {
        let length = Int(clamping: try Self.whole(given[0] ?? .integer(255), "truncate"))
        let end = given[2]?.asText ?? Value.Text(Array("...".utf8))
        var leeway = 5
        if let value = given[3], !value.isNone { leeway = Int(clamping: try Self.whole(value, "truncate")) }
        let endCount = UTF8Text.count(end.bytes)
        guard length >= endCount, leeway >= 0 else {
            throw RenderError(.value, "'truncate' has no room for its ending")
        }
        let bounds = UTF8Text.boundaries(text.bytes)
        guard bounds.count - 1 - length > leeway else { return text }
        var cut = text.bytes[..<bounds[length - endCount]]
        if given[1]?.isTrue != true, let space = cut.lastIndex(of: UInt8(ascii: " ")) { cut = cut[..<space] }
        return Operations.join([Value.Text(cut, isSafe: text.isSafe), end], separator: nil, escapes: true)
    }

    static func whole(_ value: Value, _ filter: String) throws(RenderError) -> Int64 {
        guard let number = value.wholeNumber else {
            throw RenderError(.value, "'\(filter)' needs a whole number, not \(value.kind)")
        }
        return number
    }
}

extension Value {
    var isNone: Bool {
        if case .none = self { return true }
        return false
    }
}
