// SPDX-License-Identifier: Apache-2.0

/// The encoded words in which header fields carry text beyond ASCII; always UTF-8.
///
/// - Note: RFC 2047 §2 to §5.
enum EncodedWord {
    /// The longest encoded word.
    static let limit = 75
    /// What an encoded word has besides its text.
    static let overhead = 12

    private static let hex = Array("0123456789ABCDEF".utf8)

    /// Whether `Q` is not longer than `B` for a text.
    static func prefersQ(_ text: ArraySlice<UInt8>) -> Bool {
        text.reduce(0) { $0 + self.cost($1) } <= (text.count + 2) / 3 * 4
    }

    /// Where a first encoded word of a text ends if its payload is bounded; at least one character.
    static func end(of text: ArraySlice<UInt8>, payload: Int, isQ: Bool) -> Int {
        var end = text.startIndex
        var used = 0
        while end < text.endIndex {
            var next = end + 1
            while next < text.endIndex, text[next] & 0xC0 == 0x80 { next += 1 }
            let width = isQ ? text[end..<next].reduce(0) { $0 + self.cost($1) } : next - end
            let total = isQ ? used + width : (used + width + 2) / 3 * 4
            if total > payload, end > text.startIndex { break }
            used += width
            end = next
        }
        return end
    }

    /// Appends one encoded word.
    static func append(_ text: ArraySlice<UInt8>, isQ: Bool, to output: inout [UInt8]) {
        output.append(contentsOf: isQ ? "=?UTF-8?Q?".utf8 : "=?UTF-8?B?".utf8)
        if isQ {
            for byte in text {
                if byte == 0x20 {
                    output.append(0x5F)
                } else if self.cost(byte) == 1 {
                    output.append(byte)
                } else {
                    output.append(0x3D)
                    output.append(self.hex[Int(byte >> 4)])
                    output.append(self.hex[Int(byte & 15)])
                }
            }
        } else {
            Base64.encodeUnbroken(text, into: &output)
        }
        output.append(0x3F)
        output.append(0x3D)
    }

    private static func cost(_ byte: UInt8) -> Int {
        switch byte {
        case 0x20, 0x21, 0x2A, 0x2B, 0x2D, 0x2F, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: 1
        default: 3
        }
    }
}
