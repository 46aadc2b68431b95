// SPDX-License-Identifier: Apache-2.0

/// Reads header text as a person would see it.
///
/// Encoded words are decoded in every ``Charset``; a word in an unknown one stays as it is. Bytes beyond ASCII outside of
/// encoded words, which no field should have and many have, are UTF-8 if they can be, else in the charset that the caller
/// names, else Windows-1252.
///
/// - Note: RFC 2047 §6, and RFC 6532 §3 for UTF-8 outside of encoded words.
public enum HeaderDecoder {
    /// Unfolded text with its encoded words decoded; white space between two of them is dropped.
    ///
    /// Bytes of neighbouring words of one charset are joined before they are decoded, so a character that a sender has
    /// split between words is repaired. Line ends and other control characters of decoded words become spaces.
    ///
    /// - Parameters:
    ///   - line: The text.
    ///   - undeclared: The charset of bytes beyond ASCII that are in no encoded word and are not UTF-8.
    /// - Returns: The text that a person sees.
    public static func text(_ line: [UInt8], undeclared: Charset? = nil) -> String {
        let line = self.unicode(line, undeclared: undeclared)
        var result = ""
        var plain: [UInt8] = []
        var pending: (charset: Charset, bytes: [UInt8])?
        var gap: [UInt8] = []
        var index = 0
        var charsets: [String: Charset?] = [:]
        func find(_ label: String) -> Charset? {
            if let found = charsets[label] { return found }
            let charset = Charset(label: label)
            charsets[label] = .some(charset)
            return charset
        }
        func flush() {
            if let word = pending { result += Self.decoded(word.bytes, word.charset) }
            pending = nil
            plain.append(contentsOf: gap)
            gap = []
        }
        while index < line.count {
            if line[index] == 0x3D, let word = self.word(line, index), let charset = find(word.label) {
                result += String(decoding: plain, as: UTF8.self)
                plain = []
                if let held = pending, held.charset == charset {
                    pending = (charset, held.bytes + word.bytes)
                } else {
                    if let held = pending { result += self.decoded(held.bytes, held.charset) }
                    pending = (charset, word.bytes)
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

    /// The label of the first encoded word whose charset is unknown, or `nil` if every word can be decoded.
    public static func unknownCharset(in line: [UInt8]) -> String? {
        var index = 0
        while index < line.count {
            if line[index] == 0x3D, let word = self.word(line, index) {
                if Charset(label: word.label) == nil { return word.label }
                index = word.end
            } else {
                index += 1
            }
        }
        return nil
    }

    /// A line as UTF-8, its encoded words still encoded.
    static func unicode(_ line: [UInt8], undeclared: Charset?) -> [UInt8] {
        var hasShift = false
        if let undeclared, undeclared.hasShifts { hasShift = line.contains(0x1B) || line.contains(0x0E) }
        guard hasShift || line.contains(where: { $0 >= 0x80 }) else { return line }
        if !hasShift, String(validating: line, as: UTF8.self) != nil { return line }
        return Array((undeclared?.decode(line) ?? Charset.decodeUndeclared(line)).utf8)
    }

    private static func decoded(_ bytes: [UInt8], _ charset: Charset) -> String {
        let text = charset.decode(bytes)
        guard text.unicodeScalars.contains(where: self.isControl) else { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { self.isControl($0) ? Unicode.Scalar(0x20) : $0 })
        )
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 && scalar.value != 0x09 || scalar.value == 0x7F
    }

    private struct Word {
        var label: String
        var bytes: [UInt8]
        var end: Int
    }

    /// The encoded word that begins at a position; its charset may be unknown.
    private static func word(_ line: [UInt8], _ start: Int) -> Word? {
        guard start + 8 <= line.count, line[start + 1] == 0x3F else { return nil }
        let rest = line[(start + 2)...]
        guard let charsetEnd = rest.firstIndex(of: 0x3F), charsetEnd + 2 < rest.endIndex, rest[charsetEnd + 2] == 0x3F
        else { return nil }
        let text = rest[(charsetEnd + 3)...]
        guard let textEnd = text.firstIndex(of: 0x3F), textEnd + 1 < text.endIndex, text[textEnd + 1] == 0x3D else {
            return nil
        }
        // The language of RFC 2231 §5 follows an asterisk.
        let label = rest[..<charsetEnd].prefix { $0 != 0x2A }
        guard !label.isEmpty, label.count <= 40, label.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        let bytes: [UInt8]
        switch rest[charsetEnd + 1] {
        case 0x42, 0x62: bytes = Base64.decode(text[..<textEnd])
        case 0x51, 0x71:
            let spaced = text[..<textEnd].map { $0 == 0x5F ? 0x20 : $0 }
            // A space at the end is text here, while quoted-printable would drop it.
            bytes = Array(QuotedPrintable.decode(spaced + [0x2E]).dropLast())
        default: return nil
        }
        return Word(label: ASCIIText.lowercased(String(decoding: label, as: UTF8.self)), bytes: bytes, end: textEnd + 2)
    }
}
