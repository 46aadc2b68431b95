// SPDX-License-Identifier: Apache-2.0

/// Steps through UTF-8 by characters (Unicode scalars, as Python counts them).
enum UTF8Text {
    /// The character that begins at `position` and its length in bytes, or `nil` where no well-formed one does.
    static func scalar(_ bytes: [UInt8], at position: Int) -> (value: Unicode.Scalar, length: Int)? {
        Self.scalar(bytes[...], at: position)
    }

    /// The character that begins at `position` and its length in bytes, or `nil` where no well-formed one does.
    static func scalar(_ bytes: ArraySlice<UInt8>, at position: Int) -> (value: Unicode.Scalar, length: Int)? {
        guard position < bytes.endIndex else { return nil }
        let first = bytes[position]
        if first < 0x80 { return (Unicode.Scalar(first), 1) }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard first >= 0xC2, first <= 0xF4, position + length <= bytes.endIndex else { return nil }
        var code = UInt32(first) & (0xFF >> UInt32(length + 1))
        for offset in 1..<length {
            let byte = bytes[position + offset]
            guard byte & 0xC0 == 0x80 else { return nil }
            code = code << 6 | UInt32(byte & 0x3F)
        }
        let minimum: UInt32 = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80
        guard code >= minimum, let scalar = Unicode.Scalar(code) else { return nil }
        return (scalar, length)
    }

    /// How many characters the text has; an ill-formed byte counts as one.
    static func count(_ bytes: ArraySlice<UInt8>) -> Int {
        var count = 0
        for byte in bytes where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }

    /// The positions where characters begin, and the end.
    static func boundaries(_ bytes: ArraySlice<UInt8>) -> [Int] {
        var positions: [Int] = []
        positions.reserveCapacity(bytes.count + 1)
        var position = bytes.startIndex
        while position < bytes.endIndex {
            positions.append(position)
            position += Self.scalar(bytes, at: position)?.length ?? 1
        }
        positions.append(bytes.endIndex)
        return positions
    }

    /// Whether all bytes are ASCII.
    static func isASCII(_ bytes: ArraySlice<UInt8>) -> Bool {
        var all: UInt8 = 0
        for byte in bytes { all |= byte }
        return all < 0x80
    }

    /// The text with every character replaced.
    static func map(_ bytes: ArraySlice<UInt8>, _ transform: (Unicode.Scalar) -> String) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            result.append(contentsOf: transform(scalar).utf8)
        }
        return result
    }

    /// The text in upper case.
    static func uppercased(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        if Self.isASCII(bytes) {
            return bytes.map { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 - 32 : $0 }
        }
        return Self.map(bytes) { $0.properties.uppercaseMapping }
    }

    /// The text in lower case.
    static func lowercased(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        if Self.isASCII(bytes) {
            return bytes.map { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 + 32 : $0 }
        }
        return Self.map(bytes) { $0.properties.lowercaseMapping }
    }
}
