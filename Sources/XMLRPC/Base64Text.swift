// SPDX-License-Identifier: Apache-2.0

/// Base64 as XML-RPC carries it: wrapped lines, white space anywhere.
///
/// Source: RFC 4648 §4.
enum Base64Text {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let skipped: UInt8 = 0xFE
    private static let invalid: UInt8 = 0xFF
    private static let padding = UInt8(ascii: "=")

    private static let values: [UInt8] = {
        var table = [UInt8](repeating: Self.invalid, count: 256)
        for (value, byte) in Self.alphabet.enumerated() {
            table[Int(byte)] = UInt8(value)
        }
        for space: UInt8 in [0x20, 0x0A, 0x0D, 0x09] {
            table[Int(space)] = Self.skipped
        }
        return table
    }()

    /// The bytes that a text stands for, or `nil` if it holds a foreign character or its length is impossible.
    ///
    /// Missing padding is forgiven, text after padding is not.
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        let table = Self.values
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3 + 3)
        var group: UInt32 = 0
        var count = 0
        var padded = 0
        for byte in text {
            let value = table[Int(byte)]
            if value == Self.skipped { continue }
            if byte == Self.padding {
                padded += 1
                continue
            }
            guard value != Self.invalid, padded == 0 else { return nil }
            group = group << 6 | UInt32(value)
            count += 1
            if count == 4 {
                bytes.append(UInt8(truncatingIfNeeded: group >> 16))
                bytes.append(UInt8(truncatingIfNeeded: group >> 8))
                bytes.append(UInt8(truncatingIfNeeded: group))
                group = 0
                count = 0
            }
        }
        guard padded <= 2, count != 1, padded == 0 || count != 0 else { return nil }
        if count == 2 {
            bytes.append(UInt8(truncatingIfNeeded: group >> 4))
        } else if count == 3 {
            bytes.append(UInt8(truncatingIfNeeded: group >> 10))
            bytes.append(UInt8(truncatingIfNeeded: group >> 2))
        }
        return bytes
    }

    /// Appends bytes as lines of at most 76 characters, each ended by a newline.
    static func encode(_ bytes: [UInt8], into text: inout [UInt8]) {
        let alphabet = Self.alphabet
        text.reserveCapacity(text.count + bytes.count / 57 * 77 + 80)
        var index = 0
        var column = 0
        while index < bytes.count {
            let first = UInt32(bytes[index]) << 16
            let second = index + 1 < bytes.count ? UInt32(bytes[index + 1]) << 8 : 0
            let third = index + 2 < bytes.count ? UInt32(bytes[index + 2]) : 0
            let group = first | second | third
            text.append(alphabet[Int(group >> 18)])
            text.append(alphabet[Int(group >> 12 & 63)])
            text.append(index + 1 < bytes.count ? alphabet[Int(group >> 6 & 63)] : Self.padding)
            text.append(index + 2 < bytes.count ? alphabet[Int(group & 63)] : Self.padding)
            index += 3
            column += 4
            if column == 76 {
                text.append(0x0A)
                column = 0
            }
        }
        if column > 0 {
            text.append(0x0A)
        }
    }
}
