// SPDX-License-Identifier: Apache-2.0

/// Reads header text as a person would see it.
///
/// - Note: RFC 2047 §6. UTF-8, ASCII and ISO 8859-1 are decoded, words in another charset stay as they are.
public enum HeaderDecoder {
    /// Unfolded text with its encoded words decoded; white space between two of them is dropped.
    ///
    /// Octets of neighbouring words of one charset are joined before they are decoded, so a character that a sender has
    /// split between words is mended.
    public static func text(_ line: [UInt8]) -> String {
        var result = ""
        var plain: [UInt8] = []
        var pending: (charset: String, bytes: [UInt8])?
        var gap: [UInt8] = []
        var index = 0
        func flush() {
            if let word = pending { result += Self.decoded(word.bytes, word.charset) }
            pending = nil
            plain.append(contentsOf: gap)
            gap = []
        }
        while index < line.count {
            if line[index] == 0x3D, let word = self.word(line, index) {
                result += String(decoding: plain, as: UTF8.self)
                plain = []
                if let held = pending, held.charset == word.charset {
                    pending = (held.charset, held.bytes + word.bytes)
                } else {
                    if let held = pending { result += self.decoded(held.bytes, held.charset) }
                    pending = (word.charset, word.bytes)
                }
                gap = []
                index = word.end
            } else if pending != nil, ASCIIText.isSpace(line[index]) {
                gap.append(line[index])
                index += 1
            } else {
                flush()
                plain.append(line[index])
                index += 1
            }
        }
        flush()
        return result + String(decoding: plain, as: UTF8.self)
    }

    private static func decoded(_ bytes: [UInt8], _ charset: String) -> String {
        charset == "iso-8859-1"
            ? String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
            : String(decoding: bytes, as: UTF8.self)
    }

    private static func word(_ line: [UInt8], _ start: Int) -> (charset: String, bytes: [UInt8], end: Int)? {
        guard start + 8 <= line.count, line[start + 1] == 0x3F else { return nil }
        let rest = line[(start + 2)..<min(line.count, start + 512)]
        guard let charsetEnd = rest.firstIndex(of: 0x3F), charsetEnd + 2 < rest.endIndex, rest[charsetEnd + 2] == 0x3F
        else { return nil }
        let text = rest[(charsetEnd + 3)...]
        guard let textEnd = text.firstIndex(of: 0x3F), textEnd + 1 < text.endIndex, text[textEnd + 1] == 0x3D else {
            return nil
        }
        let label = rest[..<charsetEnd].prefix { $0 != 0x2A }
        let charset = ASCIIText.lowercased(String(decoding: label, as: UTF8.self))
        guard ["utf-8", "us-ascii", "iso-8859-1"].contains(charset) else { return nil }
        switch rest[charsetEnd + 1] {
        case 0x42, 0x62: return (charset, Base64.decode(text[..<textEnd]), textEnd + 2)
        case 0x51, 0x71:
            let spaced = text[..<textEnd].map { $0 == 0x5F ? 0x20 : $0 }
            // A space at the end is text here, while quoted-printable would drop it.
            return (charset, Array(QuotedPrintable.decode(spaced + [0x2E]).dropLast()), textEnd + 2)
        default: return nil
        }
    }
}
