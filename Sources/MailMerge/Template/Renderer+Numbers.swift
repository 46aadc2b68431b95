// SPDX-License-Identifier: Apache-2.0

extension Renderer {
    /// The filters that make numbers.
    mutating func numeric(_ filter: Filter, _ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        switch filter {
        case .abs:
            if case .float(let number) = value { return .float(number.magnitude) }
            guard let number = value.wholeNumber else { throw RenderError(.value, "\(value.kind) is not a number") }
            guard number != .min else { throw Operations.overflow }
            return .integer(abs(number))
        case .int: return try Self.integer(value, given)
        case .float:
            if value.isUndefined { throw RenderError(.value, "a missing value is not a number") }
            return Self.double(value).map { .float($0) } ?? given[0] ?? .float(0)
        case .round: return try Self.rounded(value, given)
        default: return try self.sum(value, given)
        }
    }

    private static func integer(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        let base = try Self.whole(given[1] ?? .integer(10), "int")
        if value.isUndefined { throw RenderError(.value, "a missing value is not a number") }
        if let number = value.wholeNumber { return .integer(number) }
        if case .text(let text) = value, let number = PythonNumber.integer(text.bytes, base: Int(clamping: base)) {
            return .integer(number)
        }
        if let number = Self.double(value), number.isFinite {
            guard let whole = Int64(exactly: number.rounded(.towardZero)) else { throw Operations.overflow }
            return .integer(whole)
        }
        return given[0] ?? .integer(0)
    }

    private static func double(_ value: Value) -> Double? {
        if case .text(let text) = value { return PythonNumber.double(text.bytes) }
        return Operations.double(value)
    }

    private static func rounded(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        let precision = Int(clamping: try Self.whole(given[0] ?? .integer(0), "round"))
        let method = given[1].map { String(decoding: $0.asText.bytes, as: UTF8.self) } ?? "common"
        guard ["common", "ceil", "floor"].contains(method) else {
            throw RenderError(.value, "'round' knows the methods common, ceil and floor")
        }
        guard (-300...300).contains(precision) else { throw RenderError(.value, "'round' has no such precision") }
        if method == "common" {
            if let number = value.wholeNumber, precision >= 0 { return .integer(number) }
            if let number = value.wholeNumber { return .integer(try PythonNumber.rounded(number, places: -precision)) }
            guard case .float(let number) = value else { throw RenderError(.value, "\(value.kind) is not a number") }
            return .float(number.isFinite ? PythonNumber.rounded(number, places: precision) : number)
        }
        guard let number = Operations.double(value) else {
            throw RenderError(.value, "\(value.kind) is not a number")
        }
        let scale = PythonNumber.power(ofTen: precision)
        return .float((number * scale).rounded(method == "ceil" ? .up : .down) / scale)
    }

    private mutating func sum(_ value: Value, _ given: [Value?]) throws(RenderError) -> Value {
        var total = given[1] ?? .integer(0)
        for item in try self.items(of: value) {
            try self.budget.consume()
            var part = item
            if let path = given[0], case .text(let text) = path {
                for name in text.bytes.split(separator: UInt8(ascii: ".")) {
                    part = Operations.item(.text(Value.Text(name)), of: part)
                }
            }
            total = try Operations.arithmetic(.add, total, part)
        }
        return total
    }
}
