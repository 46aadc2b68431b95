// SPDX-License-Identifier: Apache-2.0

import MailingModel

extension Value {
    /// Appends what Python's `str()` prints.
    func print(into output: inout [UInt8]) {
        switch self {
        case .undefined: break
        case .text(let text): output.append(contentsOf: text.bytes)
        case .dateTime(let timestamp): CivilDate(timestamp).print(into: &output, separator: UInt8(ascii: " "))
        case .loop: output.append(contentsOf: "loop".utf8)
        default: self.represent(into: &output)
        }
    }

    /// What Python's `str()` prints; markup stays markup.
    var asText: Text {
        if case .text(let text) = self { return text }
        var bytes: [UInt8] = []
        self.print(into: &bytes)
        return Text(bytes)
    }

    /// Appends what Python's `repr()` prints.
    func represent(into output: inout [UInt8]) {
        switch self {
        case .undefined: output.append(contentsOf: "Undefined".utf8)
        case .none: output.append(contentsOf: "None".utf8)
        case .bool(let truth): output.append(contentsOf: (truth ? "True" : "False").utf8)
        case .integer(let number): Decimal.append(number, to: &output)
        case .float(let number): PythonFloat.print(number, into: &output)
        case .text(let text):
            if text.isSafe { output.append(contentsOf: "Markup(".utf8) }
            Self.quote(text.bytes, into: &output)
            if text.isSafe { output.append(UInt8(ascii: ")")) }
        case .dateTime(let timestamp): CivilDate(timestamp).represent(into: &output)
        case .loop: output.append(contentsOf: "loop".utf8)
        case .list(let list):
            output.append(UInt8(ascii: list.isTuple ? "(" : "["))
            for (index, item) in list.items.enumerated() {
                if index > 0 { output.append(contentsOf: ", ".utf8) }
                item.represent(into: &output)
            }
            if list.isTuple, list.items.count == 1 { output.append(UInt8(ascii: ",")) }
            output.append(UInt8(ascii: list.isTuple ? ")" : "]"))
        case .map(let map):
            output.append(UInt8(ascii: "{"))
            for (index, member) in map.members.enumerated() {
                if index > 0 { output.append(contentsOf: ", ".utf8) }
                member.key.represent(into: &output)
                output.append(contentsOf: ": ".utf8)
                member.value.represent(into: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    private static func quote(_ bytes: ArraySlice<UInt8>, into output: inout [UInt8]) {
        let hasSingle = bytes.contains(UInt8(ascii: "'"))
        let quote = hasSingle && !bytes.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        output.append(quote)
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\\": output.append(contentsOf: "\\\\".utf8)
            case "\n": output.append(contentsOf: "\\n".utf8)
            case "\r": output.append(contentsOf: "\\r".utf8)
            case "\t": output.append(contentsOf: "\\t".utf8)
            case _ where scalar.value == UInt32(quote):
                output.append(UInt8(ascii: "\\"))
                output.append(quote)
            case _ where Self.isPrintable(scalar): output.append(contentsOf: Character(scalar).utf8)
            default:
                let (mark, width) = scalar.value > 0xFFFF ? ("U", 8) : scalar.value > 0xFF ? ("u", 4) : ("x", 2)
                let digits = String(scalar.value, radix: 16)
                output.append(contentsOf: "\\\(mark)".utf8)
                output.append(contentsOf: String(repeating: "0", count: width - digits.utf8.count).utf8)
                output.append(contentsOf: digits.utf8)
            }
        }
        output.append(quote)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }
}

/// Writes whole numbers.
enum Decimal {
    /// Appends decimal digits, with a minus sign if need be.
    static func append(_ number: Int64, to output: inout [UInt8]) {
        if number < 0 { output.append(UInt8(ascii: "-")) }
        var digits: (UInt64, UInt64) = (number.magnitude, 1)
        while digits.0 / digits.1 >= 10 { digits.1 *= 10 }
        while digits.1 > 0 {
            output.append(UInt8(ascii: "0") + UInt8(digits.0 / digits.1 % 10))
            digits.1 /= 10
        }
    }

    /// Appends decimal digits, zeros first up to a width.
    static func append(_ number: Int, width: Int, to output: inout [UInt8]) {
        var digits: [UInt8] = []
        Self.append(Int64(number), to: &digits)
        for _ in 0..<max(0, width - digits.count) { output.append(UInt8(ascii: "0")) }
        output.append(contentsOf: digits)
    }
}

/// Writes floating-point numbers as Python's `repr` does: the shortest digits that read back the same.
enum PythonFloat {
    /// Appends the number.
    static func print(_ number: Double, into output: inout [UInt8]) {
        guard number.isFinite else {
            output.append(contentsOf: (number.isNaN ? "nan" : number < 0 ? "-inf" : "inf").utf8)
            return
        }
        var (digits, point) = Self.digits(of: number.magnitude)
        if number.sign == .minus { output.append(UInt8(ascii: "-")) }
        // `point` is where the decimal point stands, counted from the first digit; Python changes to exponents beyond
        // these two limits.
        if point > 16 || point < -3 {
            output.append(digits.removeFirst())
            if !digits.isEmpty {
                output.append(UInt8(ascii: "."))
                output.append(contentsOf: digits)
            }
            let exponent = point - 1
            output.append(contentsOf: (exponent < 0 ? "e-" : "e+").utf8)
            Decimal.append(abs(exponent), width: 2, to: &output)
        } else if point <= 0 {
            output.append(contentsOf: "0.".utf8)
            for _ in 0..<(-point) { output.append(UInt8(ascii: "0")) }
            output.append(contentsOf: digits)
        } else {
            for index in 0..<point { output.append(index < digits.count ? digits[index] : UInt8(ascii: "0")) }
            output.append(UInt8(ascii: "."))
            if digits.count > point {
                output.append(contentsOf: digits[point...])
            } else {
                output.append(UInt8(ascii: "0"))
            }
        }
    }

    /// The shortest digits without zeros around them, and the position of the decimal point counted from the first one.
    private static func digits(of number: Double) -> (digits: [UInt8], point: Int) {
        guard number != 0 else { return ([UInt8(ascii: "0")], 1) }
        var digits: [UInt8] = []
        var point: Int?
        var exponent = 0
        var text = Array(number.description.utf8)[...]
        if let mark = text.firstIndex(of: UInt8(ascii: "e")) {
            exponent = Int(String(decoding: text[(mark + 1)...], as: UTF8.self)) ?? 0
            text = text[..<mark]
        }
        for byte in text {
            if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
        }
        var position = (point ?? digits.count) + exponent
        while digits.count > 1, digits.first == UInt8(ascii: "0") {
            digits.removeFirst()
            position -= 1
        }
        while digits.count > 1, digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return (digits, position)
    }
}
