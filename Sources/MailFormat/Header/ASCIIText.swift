// SPDX-License-Identifier: Apache-2.0

/// Tests and changes of single bytes that the parsers and encoders share.
enum ASCIIText {
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }

    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Whether the byte may be in an atom, RFC 5322 §3.2.3.
    @inline(__always)
    static func isAtomText(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != 0x2E && !AddressParts.isSpecial(byte)
    }

    /// Whether the byte may be in a MIME token, RFC 2045 §5.1.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2F, 0x3F, 0x3D: false
        default: byte > 0x20 && byte < 0x7F && !AddressParts.isSpecial(byte)
        }
    }

    static func lowercased(_ text: String) -> String {
        String(decoding: text.utf8.map { self.lowercased($0) }, as: UTF8.self)
    }

    /// Text that can stand in one line: a line end of any kind and every other control character becomes a space,
    /// invalid UTF-8 the replacement character; spaces at both ends are dropped.
    static func oneLine(_ bytes: [UInt8]) -> [UInt8] {
        var isASCII = true
        for byte in bytes where byte >= 0x80 {
            isASCII = false
            break
        }
        let valid = isASCII ? bytes : Array(String(decoding: bytes, as: UTF8.self).utf8)
        var line: [UInt8] = []
        line.reserveCapacity(valid.count)
        var index = 0
        while index < valid.count {
            let byte = valid[index]
            if byte == 0x0D, index + 1 < valid.count, valid[index + 1] == 0x0A { index += 1 }
            let isNextControl = byte == 0xC2 && index + 1 < valid.count && valid[index + 1] < 0xA0
            if isNextControl { index += 1 }
            line.append((byte < 0x20 && byte != 0x09) || byte == 0x7F || isNextControl ? 0x20 : byte)
            index += 1
        }
        while let last = line.last, self.isSpace(last) { line.removeLast() }
        guard let first = line.first, self.isSpace(first) else { return line }
        return Array(line.drop { self.isSpace($0) })
    }
}
