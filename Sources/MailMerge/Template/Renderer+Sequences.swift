// SPDX-License-Identifier: Apache-2.0

extension Renderer {
    /// The filters that look at the items of a value.
    mutating func sequence(_ filter: Filter, _ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        switch filter {
        case .count, .length: return .integer(try Self.length(of: value))
        case .first: return try Self.end(of: value, items: self.items(of: value), last: false)
        case .last: return try Self.end(of: value, items: self.items(of: value), last: true)
        case .list: return .list(Value.List(items: try self.items(of: value), isTuple: false))
        case .reverse:
            if case .text = value { return Operations.slice(value, start: nil, stop: nil, step: -1) }
            return .list(Value.List(items: try self.items(of: value).reversed(), isTuple: false))
        case .items:
            guard !value.isUndefined else { return .list(Value.List(items: [], isTuple: false)) }
            guard case .map(let map) = value else { throw RenderError(.value, "\(value.kind) has no items") }
            return Self.pairs(map)
        case .join: return .text(try self.joined(value, given))
        case .sort: return try self.sorted(value, given)
        case .unique: return try self.unique(value, given)
        default: return try self.extreme(filter, value, given)
        }
    }

    static func pairs(_ map: Value.Map) -> Value {
        let items = map.members.map { Value.list(Value.List(items: [$0.key, $0.value], isTuple: true)) }
        return .list(Value.List(items: items, isTuple: false))
    }

    static func length(of value: Value) throws(RenderError) -> Int64 {
        switch value {
        case .undefined: return 0
        case .text(let text): return Int64(UTF8Text.count(text.bytes))
        case .list(let list): return Int64(list.items.count)
        case .map(let map): return Int64(map.members.count)
        default: throw RenderError(.value, "\(value.kind) has no length")
        }
    }

    private static func end(of value: Value, items: [Value], last: Bool) -> Value {
        guard let item = last ? items.last : items.first else { return .undefined }
        // Python walks markup backwards by index, which keeps it markup, and forwards by character, which does not.
        if last, case .text(let whole) = value, case .text(let text) = item {
            return .text(Value.Text(text.bytes, isSafe: whole.isSafe))
        }
        return item
    }

    private mutating func joined(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value.Text {
        var texts: [Value.Text] = []
        let separator = given[0]?.asText ?? Value.Text([])
        var bytes = 0
        for item in try self.items(of: value) {
            let text = try Self.attribute(given[1], of: item).asText
            bytes += text.bytes.count + separator.bytes.count
            try self.budget.consume(1 + text.bytes.count >> 6)
            texts.append(text)
        }
        try self.budget.pay(bytes: bytes)
        return Operations.join(texts, separator: separator, escapes: self.escapes)
    }

    /// The value at `a.b.0` below an item; the item itself without a path.
    private static func attribute(_ path: Value?, of item: Value) throws(RenderError) -> Value {
        guard let path, !path.isNone else { return item }
        if let index = path.wholeNumber { return Operations.item(.integer(index), of: item) }
        guard case .text(let text) = path else { throw RenderError(.value, "\(path.kind) names no attribute") }
        var value = item
        for part in text.bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            if let index = Int64(String(decoding: part, as: UTF8.self)) {
                value = Operations.item(.integer(index), of: value)
            } else {
                value = Operations.item(.text(Value.Text(part)), of: value)
            }
        }
        return value
    }

    private static func key(_ item: Value, _ path: Value?, caseSensitive: Value?) throws(RenderError) -> Value {
        let value = try Self.attribute(path, of: item)
        guard caseSensitive?.isTrue != true, case .text(let text) = value else { return value }
        return .text(UTF8Text.lowercased(text.bytes))
    }

    private mutating func sorted(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        let items = try self.items(of: value)
        var keyed: [(key: [Value], item: Value)] = []
        // Several attributes, separated by commas, order by the first, then the second.
        var paths: [Value?] = [given[2]]
        if case .text(let text)? = given[2] {
            paths = text.bytes.split(separator: UInt8(ascii: ",")).map { .text(Value.Text($0)) }
        }
        for item in items {
            var keys: [Value] = []
            for path in paths { keys.append(try Self.key(item, path, caseSensitive: given[1])) }
            keyed.append((keys, item))
        }
        let rounds = max(1, Int.bitWidth - items.count.leadingZeroBitCount)
        try self.budget.consume(items.count * rounds)
        let descending = given[0]?.isTrue == true
        try Self.mergeSort(&keyed) { (left, right) throws(RenderError) in
            for (one, other) in zip(left.key, right.key) where one != other {
                return try descending ? Operations.isLess(other, one) : Operations.isLess(one, other)
            }
            return false
        }
        return .list(Value.List(items: keyed.map(\.item), isTuple: false))
    }

    /// Sorts, keeping the order of equals; stops at the first comparison that fails.
    private static func mergeSort<Element>(
        _ elements: inout [Element],
        by isLess: (Element, Element) throws(RenderError) -> Bool
    ) throws(RenderError) {
        var width = 1
        while width < elements.count {
            var merged: [Element] = []
            merged.reserveCapacity(elements.count)
            var start = 0
            while start < elements.count {
                let middle = min(start + width, elements.count)
                let end = min(middle + width, elements.count)
                var (left, right) = (start, middle)
                while left < middle, right < end {
                    if try isLess(elements[right], elements[left]) {
                        merged.append(elements[right])
                        right += 1
                    } else {
                        merged.append(elements[left])
                        left += 1
                    }
                }
                merged.append(contentsOf: elements[left..<middle])
                merged.append(contentsOf: elements[right..<end])
                start = end
            }
            elements = merged
            width *= 2
        }
    }

    private mutating func unique(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        var keys: [Value] = []
        var kept: [Value] = []
        for item in try self.items(of: value) {
            let key = try Self.key(item, given[1], caseSensitive: given[0])
            switch key {
            case .list(let list) where !list.isTuple:
                throw RenderError(.value, "'unique' cannot compare lists")
            case .map: throw RenderError(.value, "'unique' cannot compare maps")
            default: try self.budget.consume(1 + keys.count >> 2)
            }
            if !keys.contains(key) {
                keys.append(key)
                kept.append(item)
            }
        }
        return .list(Value.List(items: kept, isTuple: false))
    }

    private mutating func extreme(_ filter: Filter, _ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        var best: (key: Value, item: Value)?
        for item in try self.items(of: value) {
            let key = try Self.key(item, given[1], caseSensitive: given[0])
            try self.budget.consume()
            guard let known = best else {
                best = (key, item)
                continue
            }
            let isBetter =
                try filter == .max
                ? Operations.isLess(known.key, key) : Operations.isLess(key, known.key)
            if isBetter { best = (key, item) }
        }
        return best?.item ?? .undefined
    }
}
