// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Reads, rounds and writes numbers as Python does.
enum PythonNumber {
    /// What `int(text, base)` gives, or `nil` where it raises.
    static func integer(_ text: ArraySlice<UInt8>, base: Int) -> Int64? {
        guard (2...36).contains(base) else { return nil }
        var digits = Array(TextFilters.trimmed(text, nil))
        var sign = ""
        if let first = digits.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "+") {
            sign = first == UInt8(ascii: "-") ? "-" : ""
            digits.removeFirst()
        }
        if digits.count > 2, digits[0] == UInt8(ascii: "0") {
            let mark = digits[1] | 0x20
            let isPrefix =
                base == 16 && mark == UInt8(ascii: "x") || base == 8 && mark == UInt8(ascii: "o")
                || base == 2 && mark == UInt8(ascii: "b")
            if isPrefix { digits.removeFirst(2) }
        }
        guard let plain = Self.withoutUnderscores(digits), plain.first.map({ $0 != UInt8(ascii: "-") }) == true,
            plain.first != UInt8(ascii: "+")
        else { return nil }
        return Int64(sign + String(decoding: plain, as: UTF8.self), radix: base)
    }

    /// What `float(text)` gives, or `nil` where it raises.
    static func double(_ text: ArraySlice<UInt8>) -> Double? {
        guard let plain = Self.withoutUnderscores(Array(TextFilters.trimmed(text, nil))), !plain.isEmpty else {
            return nil
        }
        var sawDigit = false
        for byte in plain {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): sawDigit = true
            case UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "e"), UInt8(ascii: "E"): continue
            default: return Self.named(plain)
            }
        }
        guard sawDigit else { return nil }
        // Python takes a point without digits at either side, Swift does not.
        var padded: [UInt8] = []
        for (index, byte) in plain.enumerated() {
            if byte == UInt8(ascii: ".") {
                if index == 0 || !Self.isDigit(plain[index - 1]) { padded.append(UInt8(ascii: "0")) }
                padded.append(byte)
                if index + 1 == plain.count || !Self.isDigit(plain[index + 1]) { padded.append(UInt8(ascii: "0")) }
                if index > 0, !Self.isDigit(plain[index - 1]), plain[index - 1] | 0x20 == UInt8(ascii: "e") {
                    return nil
                }
            } else {
                padded.append(byte)
            }
        }
        if plain.count > 1, let point = plain.firstIndex(of: UInt8(ascii: ".")) {
            let before = point > 0 && Self.isDigit(plain[point - 1])
            let after = point + 1 < plain.count && Self.isDigit(plain[point + 1])
            guard before || after else { return nil }
        }
        return Double(String(decoding: padded, as: UTF8.self))
    }

    private static func named(_ text: [UInt8]) -> Double? {
        var word = text
        var isNegative = false
        if word.first == UInt8(ascii: "-") || word.first == UInt8(ascii: "+") {
            isNegative = word.removeFirst() == UInt8(ascii: "-")
        }
        switch String(decoding: UTF8Text.lowercased(word[...]), as: UTF8.self) {
        case "inf", "infinity": return isNegative ? -.infinity : .infinity
        case "nan": return .nan
        default: return nil
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func withoutUnderscores(_ digits: [UInt8]) -> [UInt8]? {
        guard digits.contains(UInt8(ascii: "_")) else { return digits }
        for (index, byte) in digits.enumerated() where byte == UInt8(ascii: "_") {
            guard index > 0, index + 1 < digits.count, Self.isDigit(digits[index - 1]), Self.isDigit(digits[index + 1])
            else { return nil }
        }
        return digits.filter { $0 != UInt8(ascii: "_") }
    }

    /// What `round(number, places)` gives: correctly rounded by the exact value, ties to even.
    static func rounded(_ number: Double, places: Int) -> Double {
        if places >= 0 {
            let text = String(
                decoding: Self.print(number, conversion: UInt8(ascii: "f"), precision: places),
                as: UTF8.self
            )
            return Double(text) ?? number
        }
        let scale = Self.power(ofTen: -places)
        return (number / scale).rounded(.toNearestOrEven) * scale
    }

    /// What `round(number, -places)` gives: a multiple of a power of ten, ties to even.
    static func rounded(_ number: Int64, places: Int) throws(RenderError) -> Int64 {
        guard places < 19 else { return 0 }
        var scale: Int64 = 1
        for _ in 0..<places { scale *= 10 }
        let (quotient, remainder) = number.magnitude.quotientAndRemainder(dividingBy: UInt64(scale))
        let twice = remainder * 2
        let isUp = twice > UInt64(scale) || (twice == UInt64(scale) && quotient & 1 == 1)
        let (magnitude, overflow) = (quotient + (isUp ? 1 : 0)).multipliedReportingOverflow(by: UInt64(scale))
        guard !overflow, let result = Int64(exactly: magnitude) else { throw Operations.overflow }
        return number < 0 ? -result : result
    }

    /// A power of ten.
    static func power(ofTen exponent: Int) -> Double { Double("1e\(exponent)") ?? 0 }

    /// What C's `printf` prints for a floating-point conversion; NaN and infinities as Python does.
    static func print(_ number: Double, conversion: UInt8, precision: Int) -> [UInt8] {
        guard number.isFinite else {
            let text = number.isNaN ? "nan" : number < 0 ? "-inf" : "inf"
            let isUpper = conversion < UInt8(ascii: "a")
            return Array((isUpper ? text.uppercased() : text).utf8)
        }
        let pattern = "%.\(precision)" + String(decoding: [conversion], as: UTF8.self)
        var buffer = [CChar](repeating: 0, count: 800)
        let length = withVaList([number]) { arguments in
            vsnprintf(&buffer, buffer.count, pattern, arguments)
        }
        return buffer.prefix(max(0, min(Int(length), buffer.count - 1))).map { UInt8(bitPattern: $0) }
    }
}
