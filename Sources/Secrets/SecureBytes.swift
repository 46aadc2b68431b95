// SPDX-License-Identifier: Apache-2.0

/// Random bytes and comparisons fit for secrets.
public enum SecureBytes {
    /// Bytes from the operating system's cryptographic generator.
    ///
    /// `count` is 0 or more.
    public static func random(count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0.prefix(count - bytes.count)) }
        }
        return bytes
    }

    /// Whether two byte strings are equal, in a time that depends on their lengths only.
    public static func areEqual(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for (one, other) in zip(left, right) {
            difference |= one ^ other
        }
        return difference == 0
    }
}

/// Base32 in lower case without padding: for what people read, dictate or have to select with a double click.
///
/// Source: RFC 4648 §6.
public enum Base32 {
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

    /// The text for bytes; 8 characters for every 5.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        var group: UInt16 = 0
        var bits = 0
        for byte in bytes {
            group = group << 8 | UInt16(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                text.append(Self.alphabet[Int(group >> UInt16(bits) & 31)])
            }
        }
        if bits > 0 {
            text.append(Self.alphabet[Int(group << UInt16(5 - bits) & 31)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text, upper or lower case, or `nil` if it is not the whole encoding of any bytes.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt16 = 0
        var bits = 0
        for character in text.utf8 {
            let value: UInt8
            switch character {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a")
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
            case UInt8(ascii: "2")...UInt8(ascii: "7"): value = character - UInt8(ascii: "2") + 26
            default: return nil
            }
            group = group << 5 | UInt16(value)
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt16(bits)))
            }
        }
        // Whatever is left over must be zero and shorter than a character.
        guard bits < 5, group & (1 << UInt16(bits) - 1) == 0 else { return nil }
        return bytes
    }
}

/// Base64 in the alphabet for URLs and file names, without padding.
///
/// Source: RFC 4648 §5.
public enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The text for bytes; 4 characters for every 3.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        var group: UInt16 = 0
        var bits = 0
        for byte in bytes {
            group = group << 8 | UInt16(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(Self.alphabet[Int(group >> UInt16(bits) & 63)])
            }
        }
        if bits > 0 {
            text.append(Self.alphabet[Int(group << UInt16(6 - bits) & 63)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of a text, or `nil` if it is not the whole encoding of any bytes.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt16 = 0
        var bits = 0
        for character in text.utf8 {
            let value: UInt8
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
            case UInt8(ascii: "-"): value = 62
            case UInt8(ascii: "_"): value = 63
            default: return nil
            }
            group = group << 6 | UInt16(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt16(bits)))
            }
        }
        guard bits < 6, group & (1 << UInt16(bits) - 1) == 0 else { return nil }
        return bytes
    }
}
