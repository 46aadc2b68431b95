// SPDX-License-Identifier: Apache-2.0

extension Renderer {
    /// What Python's `%` operator makes of a pattern: `%s %r %d %i %u %f %F %e %E %g %G %x %X %o %c %%` with flags,
    /// width and precision.
    mutating func format(_ pattern: Value.Text, _ arguments: [Value]) throws(RenderError) -> Value {
        var result: [UInt8] = []
        var next = 0
        let bytes = pattern.bytes
        var position = bytes.startIndex
        while position < bytes.endIndex {
            let byte = bytes[position]
            position += 1
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            let directive = try Self.directive(bytes, &position)
            if directive.conversion == UInt8(ascii: "%") {
                result.append(UInt8(ascii: "%"))
                continue
            }
            guard next < arguments.count else { throw RenderError(.value, "the format needs more values") }
            var piece = try Self.convert(arguments[next], directive, escapes: pattern.isSafe)
            next += 1
            try self.budget.pay(bytes: max(directive.width, piece.count))
            let pad = directive.width - UTF8Text.count(piece[...])
            if pad > 0 {
                let isNumeric = directive.zero && !directive.left && Self.isNumeric(directive.conversion)
                let fill = Array(repeating: UInt8(ascii: isNumeric ? "0" : " "), count: pad)
                let sign = isNumeric && (piece.first == UInt8(ascii: "-") || piece.first == UInt8(ascii: "+")) ? 1 : 0
                piece.insert(contentsOf: fill, at: directive.left ? piece.count : sign)
            }
            result.append(contentsOf: piece)
        }
        // A single map may be given and not be used up.
        if next < arguments.count {
            guard arguments.count == 1, case .map = arguments[0] else {
                throw RenderError(.value, "the format does not use all values")
            }
        }
        try self.budget.pay(bytes: result.count)
        return .text(result, isSafe: pattern.isSafe)
    }

    private struct Directive {
        var zero = false
        var left = false
        var plus = false
        var space = false
        var width = 0
        var precision: Int?
        var conversion: UInt8 = 0
    }

    private static func isNumeric(_ conversion: UInt8) -> Bool {
        conversion != UInt8(ascii: "s") && conversion != UInt8(ascii: "r") && conversion != UInt8(ascii: "c")
    }

    private static func directive(
        _ bytes: ArraySlice<UInt8>,
        _ position: inout Int
    ) throws(RenderError) -> Directive {
        var directive = Directive()
        func number() throws(RenderError) -> Int {
            var value = 0
            while position < bytes.endIndex, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
                value = value * 10 + Int(bytes[position] - UInt8(ascii: "0"))
                guard value <= 1 << 20 else { throw RenderError(.size, "the format's width or precision is too large") }
                position += 1
            }
            return value
        }
        flags: while position < bytes.endIndex {
            switch bytes[position] {
            case UInt8(ascii: "0"): directive.zero = true
            case UInt8(ascii: "-"): directive.left = true
            case UInt8(ascii: "+"): directive.plus = true
            case UInt8(ascii: " "): directive.space = true
            default: break flags
            }
            position += 1
        }
        directive.width = try number()
        if position < bytes.endIndex, bytes[position] == UInt8(ascii: ".") {
            position += 1
            directive.precision = try number()
        }
        guard position < bytes.endIndex else { throw RenderError(.value, "the format is cut short") }
        directive.conversion = bytes[position]
        position += 1
        return directive
    }

    private static func convert(
        _ value: Value,
        _ directive: Directive,
        escapes: Bool
    ) throws(RenderError) -> [UInt8] {
        switch directive.conversion {
        case UInt8(ascii: "s"):
            let text = value.asText
            return Self.cut(Array((escapes ? Escape.escaped(text) : text).bytes), directive.precision)
        case UInt8(ascii: "r"):
            var bytes: [UInt8] = []
            value.represent(into: &bytes)
            return Self.cut(escapes ? Array(Escape.escaped(Value.Text(bytes)).bytes) : bytes, directive.precision)
        case UInt8(ascii: "d"), UInt8(ascii: "i"), UInt8(ascii: "u"):
            return try Self.signed(Self.integer(value, allowsFloat: true), directive, radix: 10, uppercase: false)
        case UInt8(ascii: "x"), UInt8(ascii: "X"), UInt8(ascii: "o"):
            let radix = directive.conversion == UInt8(ascii: "o") ? 8 : 16
            let uppercase = directive.conversion == UInt8(ascii: "X")
            return try Self.signed(
                Self.integer(value, allowsFloat: false),
                directive,
                radix: radix,
                uppercase: uppercase
            )
        case UInt8(ascii: "c"):
            if case .text(let text) = value, UTF8Text.count(text.bytes) == 1 { return Array(text.bytes) }
            guard let number = value.wholeNumber, let code = UInt32(exactly: number),
                let scalar = Unicode.Scalar(code)
            else { throw RenderError(.value, "'%c' needs one character") }
            return Array(Character(scalar).utf8)
        case UInt8(ascii: "f"), UInt8(ascii: "F"), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "g"),
            UInt8(ascii: "G"):
            guard let number = Operations.double(value) else {
                throw RenderError(.value, "\(value.kind) is not a number")
            }
            let precision = min(directive.precision ?? 6, 300)
            var bytes = PythonNumber.print(number, conversion: directive.conversion, precision: precision)
            if number.sign == .plus { Self.addSign(to: &bytes, directive) }
            return bytes
        default: throw RenderError(.value, "the format holds an unknown conversion")
        }
    }

    private static func cut(_ bytes: [UInt8], _ precision: Int?) -> [UInt8] {
        guard let precision else { return bytes }
        let bounds = UTF8Text.boundaries(bytes[...])
        return precision < bounds.count - 1 ? Array(bytes[..<bounds[precision]]) : bytes
    }

    private static func integer(_ value: Value, allowsFloat: Bool) throws(RenderError) -> Int64 {
        if let number = value.wholeNumber { return number }
        guard allowsFloat, case .float(let number) = value else {
            throw RenderError(.value, "\(value.kind) is not a whole number")
        }
        guard let whole = Int64(exactly: number.rounded(.towardZero)) else { throw Operations.overflow }
        return whole
    }

    private static func signed(
        _ number: Int64,
        _ directive: Directive,
        radix: Int,
        uppercase: Bool
    ) -> [UInt8] {
        var bytes = Array(String(number.magnitude, radix: radix, uppercase: uppercase).utf8)
        if let precision = directive.precision, precision > bytes.count {
            bytes.insert(
                contentsOf: Array(repeating: UInt8(ascii: "0"), count: min(precision, 400) - bytes.count),
                at: 0
            )
        }
        if number < 0 { bytes.insert(UInt8(ascii: "-"), at: 0) } else { Self.addSign(to: &bytes, directive) }
        return bytes
    }

    private static func addSign(to bytes: inout [UInt8], _ directive: Directive) {
        if directive.plus || directive.space { bytes.insert(UInt8(ascii: directive.plus ? "+" : " "), at: 0) }
    }
}
