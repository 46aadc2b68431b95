// SPDX-License-Identifier: Apache-2.0

/// Reads the number literals of templates, which are Python's.
struct NumberScanner {
    enum Value { case integer(Int64), float(Double) }

    private let bytes: [UInt8]
    private let start: Int

    init(_ bytes: [UInt8], at start: Int) {
        self.bytes = bytes
        self.start = start
    }

    /// The literal that begins here, or `nil` if it does not fit.
    func scan() -> (value: Value, end: Int)? {
        if let radix = self.radix() { return self.scanInteger(from: self.start + 2, radix: radix) }
        let whole = self.digits(from: self.start, radix: 10)
        var end = whole
        if self.byte(end) == UInt8(ascii: "."), Self.digit(self.byte(end + 1)) < 10 {
            end = self.digits(from: end + 1, radix: 10)
        }
        if self.byte(end) | 0x20 == UInt8(ascii: "e") {
            var exponent = end + 1
            if self.byte(exponent) == UInt8(ascii: "+") || self.byte(exponent) == UInt8(ascii: "-") { exponent += 1 }
            if Self.digit(self.byte(exponent)) < 10 { end = self.digits(from: exponent, radix: 10) }
        }
        if end == whole {
            // Python has no decimal integers with leading zeros; a run of zeros is a number of its own.
            return self.scanInteger(from: self.start, radix: 10)
        }
        let text = String(decoding: self.bytes[self.start..<end].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
        guard let value = Double(text), value.isFinite else { return nil }
        return (.float(value), end)
    }

    private func radix() -> Int64? {
        guard self.byte(self.start) == UInt8(ascii: "0") else { return nil }
        let radix: Int64
        switch self.byte(self.start + 1) | 0x20 {
        case UInt8(ascii: "x"): radix = 16
        case UInt8(ascii: "o"): radix = 8
        case UInt8(ascii: "b"): radix = 2
        default: return nil
        }
        let first = self.byte(self.start + 2) == UInt8(ascii: "_") ? self.start + 3 : self.start + 2
        return Self.digit(self.byte(first)) < radix ? radix : nil
    }

    private func scanInteger(from start: Int, radix: Int64) -> (value: Value, end: Int)? {
        var value: Int64 = 0
        let end = self.digits(from: start, radix: radix)
        for byte in self.bytes[start..<end] where byte != UInt8(ascii: "_") {
            let (scaled, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = scaled.addingReportingOverflow(Self.digit(byte))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return (.integer(value), end)
    }

    private func digits(from start: Int, radix: Int64) -> Int {
        var end = start
        while true {
            if Self.digit(self.byte(end)) < radix {
                end += 1
            } else if self.byte(end) == UInt8(ascii: "_"), Self.digit(self.byte(end + 1)) < radix {
                end += 2
            } else {
                return end
            }
        }
    }

    private func byte(_ position: Int) -> UInt8 { position < self.bytes.count ? self.bytes[position] : 0 }

    private static func digit(_ byte: UInt8) -> Int64 {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int64(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int64(byte - UInt8(ascii: "A")) + 10
        default: 99
        }
    }
}

/// Reads the escapes of string literals, which are Python's.
enum StringLiteral {
    /// The text that a literal's inside stands for, or `nil` for an escape that is cut short, names no character or
    /// names one by its Unicode name.
    static func unescape(_ inside: ArraySlice<UInt8>) -> [UInt8]? {
        var text: [UInt8] = []
        text.reserveCapacity(inside.count)
        var position = inside.startIndex
        while position < inside.endIndex {
            let byte = inside[position]
            position += 1
            guard byte == UInt8(ascii: "\\"), position < inside.endIndex else {
                text.append(byte)
                continue
            }
            let escape = inside[position]
            position += 1
            if let plain = Self.single(escape) {
                text.append(plain)
                continue
            }
            switch escape {
            case UInt8(ascii: "\n"): break
            case UInt8(ascii: "x"): guard Self.append(inside, &position, 2, 16, &text) else { return nil }
            case UInt8(ascii: "u"): guard Self.append(inside, &position, 4, 16, &text) else { return nil }
            case UInt8(ascii: "U"): guard Self.append(inside, &position, 8, 16, &text) else { return nil }
            case UInt8(ascii: "N"): return nil
            case UInt8(ascii: "0")...UInt8(ascii: "7"):
                var length = 1
                while length < 3, position - 1 + length < inside.endIndex,
                    (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(inside[position - 1 + length])
                { length += 1 }
                position -= 1
                guard Self.append(inside, &position, length, 8, &text) else { return nil }
            default:
                text.append(byte)
                text.append(escape)
            }
        }
        return text
    }

    private static func single(_ escape: UInt8) -> UInt8? {
        switch escape {
        case UInt8(ascii: "n"): 10
        case UInt8(ascii: "t"): 9
        case UInt8(ascii: "r"): 13
        case UInt8(ascii: "a"): 7
        case UInt8(ascii: "b"): 8
        case UInt8(ascii: "f"): 12
        case UInt8(ascii: "v"): 11
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): escape
        default: nil
        }
    }

    private static func append(
        _ inside: ArraySlice<UInt8>,
        _ position: inout Int,
        _ length: Int,
        _ radix: Int,
        _ text: inout [UInt8]
    ) -> Bool {
        guard inside.endIndex - position >= length else { return false }
        let digits = String(decoding: inside[position..<(position + length)], as: UTF8.self)
        guard let code = UInt32(digits, radix: radix), let scalar = Unicode.Scalar(code) else { return false }
        position += length
        text.append(contentsOf: UTF8.encode(scalar)?.map { $0 } ?? [])
        return true
    }
}
