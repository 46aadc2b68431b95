// SPDX-License-Identifier: Apache-2.0

/// A template's text as it is compiled: line ends are LF, one final line end is gone.
struct TemplateSource: Sendable {
    /// UTF-8.
    let bytes: [UInt8]
    /// Whether the text ended with a line end, which rendering does not write.
    let endedWithNewline: Bool

    init(_ text: some Sequence<UInt8>) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.underestimatedCount)
        var afterReturn = false
        for byte in text {
            if byte == UInt8(ascii: "\r") {
                bytes.append(UInt8(ascii: "\n"))
                afterReturn = true
                continue
            }
            if byte != UInt8(ascii: "\n") || !afterReturn { bytes.append(byte) }
            afterReturn = false
        }
        self.endedWithNewline = bytes.last == UInt8(ascii: "\n")
        if self.endedWithNewline { bytes.removeLast() }
        self.bytes = bytes
    }

    /// Where a byte lies.
    func position(of offset: Int) -> SourcePosition {
        var line = 1
        var column = 1
        for byte in self.bytes.prefix(offset) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return SourcePosition(line: line, column: column)
    }

    /// An error at a byte.
    func error(at offset: Int, _ message: String) -> TemplateError {
        let position = self.position(of: offset)
        return TemplateError(line: position.line, column: position.column, message: message)
    }

    /// The byte at `offset`, or 0 beyond the end.
    func byte(_ offset: Int) -> UInt8 { offset < self.bytes.count ? self.bytes[offset] : 0 }

    /// Whether the text continues with `word`.
    func has(_ word: StaticString, at offset: Int) -> Bool {
        guard offset >= 0, offset + word.utf8CodeUnitCount <= self.bytes.count else { return false }
        return word.withUTF8Buffer { expected in
            for (index, byte) in expected.enumerated() where self.bytes[offset + index] != byte { return false }
            return true
        }
    }

    /// The first position from `offset` on where the text continues with `word`.
    func find(_ word: StaticString, from offset: Int) -> Int? {
        var position = offset
        while position + word.utf8CodeUnitCount <= self.bytes.count {
            if self.has(word, at: position) { return position }
            position += 1
        }
        return nil
    }
}
