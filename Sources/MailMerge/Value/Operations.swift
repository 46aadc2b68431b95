// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Python's operators on values.
enum Operations {
    // MARK: Parts

    static func attribute(_ name: [UInt8], of value: Value) -> Value {
        switch value {
        case .map(let map): return map.value(named: name) ?? .undefined
        case .loop(let loop): return Self.attribute(String(decoding: name, as: UTF8.self), of: loop)
        case .dateTime(let timestamp):
            let date = CivilDate(timestamp)
            switch String(decoding: name, as: UTF8.self) {
            case "year": return .integer(Int64(date.year))
            case "month": return .integer(Int64(date.month))
            case "day": return .integer(Int64(date.day))
            case "hour": return .integer(Int64(date.hour))
            case "minute": return .integer(Int64(date.minute))
            case "second": return .integer(Int64(date.second))
            default: return .undefined
            }
        default: return .undefined
        }
    }

    private static func attribute(_ name: String, of loop: Value.Loop) -> Value {
        let count = loop.items.count
        switch name {
        case "index": return .integer(Int64(loop.index + 1))
        case "index0": return .integer(Int64(loop.index))
        case "revindex": return .integer(Int64(count - loop.index))
        case "revindex0": return .integer(Int64(count - loop.index - 1))
        case "first": return .bool(loop.index == 0)
        case "last": return .bool(loop.index == count - 1)
        case "length": return .integer(Int64(count))
        // Only recursive loops, which there are none of, are deeper.
        case "depth": return .integer(1)
        case "depth0": return .integer(0)
        case "previtem": return loop.index > 0 ? loop.items[loop.index - 1] : .undefined
        case "nextitem": return loop.index + 1 < count ? loop.items[loop.index + 1] : .undefined
        default: return .undefined
        }
    }

    static func item(_ index: Value, of value: Value) -> Value {
        switch (value, index) {
        case (.map(let map), _): return map.value(for: index) ?? .undefined
        case (.list(let list), _):
            guard let position = Self.position(index, count: list.items.count) else { return .undefined }
            return list.items[position]
        case (.text(let text), .integer), (.text(let text), .bool):
            let positions = UTF8Text.boundaries(text.bytes)
            guard let position = Self.position(index, count: positions.count - 1) else { return .undefined }
            return .text(Value.Text(text.bytes[positions[position]..<positions[position + 1]], isSafe: text.isSafe))
        case (.loop, .text(let name)), (.dateTime, .text(let name)): return Self.attribute(Array(name.bytes), of: value)
        default: return .undefined
        }
    }

    private static func position(_ index: Value, count: Int) -> Int? {
        guard let number = index.wholeNumber, let position = Int(exactly: number), position >= -count, position < count
        else {
            return nil
        }
        return position < 0 ? position + count : position
    }

    static func slice(_ value: Value, start: Int?, stop: Int?, step: Int) -> Value {
        switch value {
        case .list(let list):
            let positions = Self.positions(list.items.count, start, stop, step)
            return .list(Value.List(items: positions.map { list.items[$0] }, isTuple: list.isTuple))
        case .text(let text):
            let bounds = UTF8Text.boundaries(text.bytes)
            var bytes: [UInt8] = []
            for position in Self.positions(bounds.count - 1, start, stop, step) {
                bytes.append(contentsOf: text.bytes[bounds[position]..<bounds[position + 1]])
            }
            return .text(bytes, isSafe: text.isSafe)
        default: return .undefined
        }
    }

    private static func positions(_ count: Int, _ start: Int?, _ stop: Int?, _ step: Int) -> [Int] {
        func clamp(_ position: Int, _ low: Int, _ high: Int) -> Int {
            max(low, min(high, position < 0 ? position + count : position))
        }
        if step > 0 {
            let first = clamp(start ?? 0, 0, count)
            return Array(stride(from: first, to: clamp(stop ?? count, 0, count), by: step))
        }
        let first = clamp(start ?? count - 1, -1, count - 1)
        let last = stop.map { clamp($0, -1, count - 1) } ?? -1
        return Array(stride(from: first, to: last, by: step))
    }

    // MARK: Text

    /// Joins texts; once one of them is markup, the others are escaped if `escapes`, and the whole is markup.
    static func join(_ texts: [Value.Text], separator: Value.Text?, escapes: Bool) -> Value.Text {
        let isMarkup = escapes && (texts.contains(where: \.isSafe) || separator?.isSafe == true)
        var bytes: [UInt8] = []
        for (index, text) in texts.enumerated() {
            if index > 0, let separator { Self.append(separator, isMarkup, to: &bytes) }
            Self.append(text, isMarkup, to: &bytes)
        }
        return Value.Text(bytes, isSafe: isMarkup)
    }

    private static func append(_ text: Value.Text, _ isMarkup: Bool, to bytes: inout [UInt8]) {
        if isMarkup, !text.isSafe {
            Escape.append(text.bytes, to: &bytes)
        } else {
            bytes.append(contentsOf: text.bytes)
        }
    }

    /// The position from `start` on where `part` occurs.
    static func find(_ part: ArraySlice<UInt8>, in text: ArraySlice<UInt8>, from start: Int) -> Int? {
        guard let first = part.first else { return start }
        var position = start
        while position + part.count <= text.endIndex {
            if text[position] == first, text[position..<(position + part.count)].elementsEqual(part) { return position }
            position += 1
        }
        return nil
    }

    // MARK: Order

    static func isLess(_ left: Value, _ right: Value) throws(RenderError) -> Bool {
        switch (left, right) {
        case (.text(let left), .text(let right)): return left.bytes.lexicographicallyPrecedes(right.bytes)
        case (.dateTime(let left), .dateTime(let right)): return left < right
        case (.list(let left), .list(let right)) where left.isTuple == right.isTuple:
            for (one, other) in zip(left.items, right.items) where one != other { return try Self.isLess(one, other) }
            return left.items.count < right.items.count
        case (.float(let left), .float(let right)): return left < right
        default:
            if let left = left.wholeNumber, let right = right.wholeNumber { return left < right }
            if case .float(let float) = left, let whole = right.wholeNumber { return float < Double(whole) }
            if case .float(let float) = right, let whole = left.wholeNumber { return Double(whole) < float }
            throw RenderError(.value, "\(left.kind) and \(right.kind) cannot be ordered")
        }
    }

    // MARK: Numbers

    /// The floating-point number that a number stands for.
    static func double(_ value: Value) -> Double? {
        if case .float(let number) = value { return number }
        return value.wholeNumber.map { Double($0) }
    }

    static func negate(_ value: Value) throws(RenderError) -> Value {
        if case .float(let number) = value { return .float(-number) }
        guard let number = value.wholeNumber else { throw RenderError(.value, "\(value.kind) has no negative") }
        guard number != .min else { throw Self.overflow }
        return .integer(-number)
    }

    static let overflow = RenderError(.value, "a whole number exceeds 64 bits")

    static func arithmetic(_ symbol: Symbol, _ left: Value, _ right: Value) throws(RenderError) -> Value {
        if let one = left.wholeNumber, let other = right.wholeNumber {
            switch symbol {
            case .divide:
                guard other != 0 else { throw Self.zero }
                return .float(Double(one) / Double(other))
            case .power where other < 0:
                guard one != 0 else { throw Self.zero }
                return .float(pow(Double(one), Double(other)))
            default: return .integer(try Self.whole(symbol, one, other))
            }
        }
        guard let one = Self.double(left), let other = Self.double(right) else {
            throw RenderError(.value, "'\(symbol.spelling)' cannot join \(left.kind) and \(right.kind)")
        }
        return .float(try Self.floating(symbol, one, other))
    }

    private static let zero = RenderError(.value, "division by zero")

    private static func whole(_ symbol: Symbol, _ left: Int64, _ right: Int64) throws(RenderError) -> Int64 {
        let result: (partialValue: Int64, overflow: Bool)
        switch symbol {
        case .add: result = left.addingReportingOverflow(right)
        case .subtract: result = left.subtractingReportingOverflow(right)
        case .multiply: result = left.multipliedReportingOverflow(by: right)
        case .floorDivide, .remainder:
            guard right != 0 else { throw Self.zero }
            guard !(left == .min && right == -1) else { throw Self.overflow }
            var (quotient, remainder) = left.quotientAndRemainder(dividingBy: right)
            if remainder != 0, (remainder < 0) != (right < 0) {
                quotient -= 1
                remainder += right
            }
            return symbol == .remainder ? remainder : quotient
        default:
            var power: Int64 = 1
            guard right <= 64 || left.magnitude <= 1 else { throw Self.overflow }
            for _ in 0..<(left.magnitude <= 1 ? right & 1 == 0 && right > 0 ? 2 : min(right, 1) : right) {
                let (product, overflow) = power.multipliedReportingOverflow(by: left)
                guard !overflow else { throw Self.overflow }
                power = product
            }
            return power
        }
        guard !result.overflow else { throw Self.overflow }
        return result.partialValue
    }

    private static func floating(_ symbol: Symbol, _ left: Double, _ right: Double) throws(RenderError) -> Double {
        switch symbol {
        case .add: return left + right
        case .subtract: return left - right
        case .multiply: return left * right
        case .power:
            if left == 0, right < 0 { throw Self.zero }
            let result = pow(left, right)
            guard result.isFinite || !left.isFinite || !right.isFinite else { throw Self.overflow }
            return result
        default: break
        }
        guard right != 0 else { throw Self.zero }
        if symbol == .divide { return left / right }
        var remainder = fmod(left, right)
        if remainder != 0, (remainder < 0) != (right < 0) { remainder += right }
        if symbol == .remainder { return remainder == 0 ? Double(signOf: right, magnitudeOf: 0) : remainder }
        let quotient = (left - remainder) / right
        let floor = quotient.rounded(.down)
        return quotient - floor > 0.5 ? floor + 1 : floor
    }
}
