// SPDX-License-Identifier: Apache-2.0

/// White space as Python's `str.isspace` sees it, in UTF-8.
enum Spaces {
    /// Whether a character is white space.
    static func contains(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
            true
        default: false
        }
    }

    /// Whether a byte is white space of its own.
    static func contains(_ byte: UInt8) -> Bool { (byte >= 0x09 && byte <= 0x0D) || (byte >= 0x1C && byte <= 0x20) }

    /// The first position in `from..<end` that holds no white space.
    static func skip(_ bytes: [UInt8], from start: Int, to end: Int) -> Int {
        var position = start
        while position < end {
            if Self.contains(bytes[position]) {
                position += 1
            } else if bytes[position] >= 0x80, let scalar = UTF8Text.scalar(bytes, at: position),
                Self.contains(scalar.value)
            {
                position += scalar.length
            } else {
                break
            }
        }
        return position
    }

    /// The position after the last character in `end..<start` that is no white space.
    static func skipBack(_ bytes: [UInt8], from start: Int, to end: Int) -> Int {
        var position = start
        while position > end {
            if Self.contains(bytes[position - 1]) {
                position -= 1
                continue
            }
            guard bytes[position - 1] >= 0x80 else { break }
            var first = position - 1
            while first > end, bytes[first] & 0xC0 == 0x80 { first -= 1 }
            guard let scalar = UTF8Text.scalar(bytes, at: first), first + scalar.length == position,
                Self.contains(scalar.value)
            else { break }
            position = first
        }
        return position
    }
}
