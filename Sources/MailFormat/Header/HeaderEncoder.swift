// SPDX-License-Identifier: Apache-2.0

/// Writes header fields from values that anyone may have supplied.
///
/// Whatever the values hold, one call writes exactly one field: line ends, NUL and other control characters become
/// spaces, what a name may not hold becomes a hyphen, and lines are folded only where white space stands. Lines end by
/// column 76 unless a single word is longer.
///
/// - Note: RFC 5322 §2.2, RFC 2047 and RFC 2231.
public enum HeaderEncoder {
    /// Appends a field of free text, such as `Subject`, with its CRLF.
    ///
    /// ASCII stays as it is; other text becomes encoded words.
    public static func appendUnstructured(name: String, text: some Collection<UInt8>, to output: inout [UInt8]) {
        let line = ASCIIText.oneLine(Array(text))
        var writer = FieldWriter(appendingTo: exchange(&output), name: name)
        let spans = self.words(line)
        let first = spans.firstIndex { self.needsEncoding(line[$0]) }
        let last = spans.lastIndex { self.needsEncoding(line[$0]) }
        self.writePlain(spans[..<(first ?? spans.endIndex)], of: line, to: &writer, isFirst: true)
        if let first, let last {
            let start =
                first > spans.startIndex ? line[..<spans[first].lowerBound].lastIndex { !ASCIIText.isSpace($0) } : nil
            // One space before the first encoded word is written as such; further ones belong to the text.
            let begin = start.map { $0 + 2 } ?? spans[first].lowerBound
            writer.encodedWords(line[begin..<spans[last].upperBound])
            self.writePlain(spans[(last + 1)...], of: line, to: &writer, isFirst: false)
        } else if spans.isEmpty {
            writer.raw([0x20])
        }
        output = writer.finish()
    }

    /// Appends a field of free text with its CRLF.
    public static func appendUnstructured(name: String, text: String, to output: inout [UInt8]) {
        self.appendUnstructured(name: name, text: text.utf8, to: &output)
    }

    /// Appends a field whose text is already in its written form, such as `List-Unsubscribe`, with its CRLF.
    ///
    /// The text is only made safe and folded at its spaces; a byte beyond ASCII becomes `?`.
    public static func appendStructured(name: String, text: some Collection<UInt8>, to output: inout [UInt8]) {
        let line = ASCIIText.oneLine(text.map { $0 < 0x80 ? $0 : 0x3F })
        var writer = FieldWriter(appendingTo: exchange(&output), name: name)
        let spans = self.words(line)
        self.writePlain(spans[...], of: line, to: &writer, isFirst: true)
        if spans.isEmpty { writer.raw([0x20]) }
        output = writer.finish()
    }

    /// Appends a field whose text is already in its written form, with its CRLF.
    public static func appendStructured(name: String, text: String, to output: inout [UInt8]) {
        self.appendStructured(name: name, text: text.utf8, to: &output)
    }

    /// Appends an address field, such as `From`, with its CRLF; one line for each mailbox where two do not fit.
    public static func appendMailboxes(name: String, _ mailboxes: [Mailbox], to output: inout [UInt8]) {
        var writer = FieldWriter(appendingTo: exchange(&output), name: name)
        for (index, mailbox) in mailboxes.enumerated() {
            self.write(mailbox, isFirst: index == 0, isLast: index == mailboxes.count - 1, to: &writer)
        }
        if mailboxes.isEmpty { writer.raw([0x20]) }
        output = writer.finish()
    }

    /// Appends a field with parameters, such as `Content-Type`, with its CRLF.
    ///
    /// - Parameters:
    ///   - name: The field's name.
    ///   - value: What precedes the parameters, in its written form.
    ///   - parameters: Names, which must be tokens, and texts; order is kept. Text beyond ASCII and long text is
    ///     written as RFC 2231 has it.
    ///   - output: What the field is appended to.
    public static func appendParameterised(
        name: String,
        value: String,
        parameters: [(name: String, text: String)],
        to output: inout [UInt8]
    ) {
        var writer = FieldWriter(appendingTo: exchange(&output), name: name)
        let line = ASCIIText.oneLine(value.utf8.map { $0 < 0x80 ? $0 : 0x3F })
        self.writePlain(self.words(line)[...], of: line, to: &writer, isFirst: true)
        for parameter in parameters {
            for piece in ParameterEncoder.pieces(name: parameter.name, text: parameter.text) {
                writer.raw([0x3B])
                writer.word(piece, following: 1)
            }
        }
        output = writer.finish()
    }

    private static func write(_ mailbox: Mailbox, isFirst: Bool, isLast: Bool, to writer: inout FieldWriter) {
        let comma = isLast ? 0 : 1
        let address = Array(mailbox.address.envelopeText.utf8)
        let name = ASCIIText.oneLine(Array(mailbox.displayName.utf8))
        if name.isEmpty {
            writer.word(address, following: comma, first: isFirst)
        } else {
            if let quoted = self.quoted(name) {
                writer.word(quoted, following: 0, first: isFirst)
            } else {
                writer.encodedWords(name[...])
            }
            writer.word([0x3C] + address + [0x3E], following: comma)
        }
        if !isLast { writer.raw([0x2C]) }
    }

    /// A display name as atoms or as one quoted string; `nil` if it needs encoded words.
    private static func quoted(_ name: [UInt8]) -> [UInt8]? {
        guard name.count <= 64, !name.contains(where: { $0 >= 0x80 }), !self.hasEncodedWordMark(name[...]) else {
            return nil
        }
        var isAtoms = true
        var previous: UInt8 = 0x20
        for byte in name {
            if !ASCIIText.isAtomText(byte), byte != 0x20 || previous == 0x20 { isAtoms = false }
            previous = byte
        }
        if isAtoms { return name }
        var quoted: [UInt8] = [0x22]
        for byte in name {
            if byte == 0x22 || byte == 0x5C { quoted.append(0x5C) }
            quoted.append(byte)
        }
        quoted.append(0x22)
        return quoted.count <= 72 ? quoted : nil
    }

    /// The words of a line, as ranges of what is not white space.
    private static func words(_ line: [UInt8]) -> [Range<Int>] {
        var words: [Range<Int>] = []
        var start: Int?
        for (index, byte) in line.enumerated() {
            if ASCIIText.isSpace(byte) {
                if let begin = start { words.append(begin..<index) }
                start = nil
            } else if start == nil {
                start = index
            }
        }
        if let start { words.append(start..<line.count) }
        return words
    }

    private static func writePlain(
        _ words: ArraySlice<Range<Int>>,
        of line: [UInt8],
        to writer: inout FieldWriter,
        isFirst: Bool
    ) {
        for index in words.indices {
            let isVeryFirst = isFirst && index == words.startIndex
            let previous = words.startIndex == index ? nil : words[index - 1].upperBound
            let space =
                previous.map { Array(line[$0..<words[index].lowerBound]) }
                ?? (isFirst ? [0x20] : Array(self.spaceBefore(words[index].lowerBound, in: line)))
            writer.word(line[words[index]], after: space, first: isVeryFirst)
        }
    }

    private static func spaceBefore(_ position: Int, in line: [UInt8]) -> ArraySlice<UInt8> {
        var start = position
        while start > 0, ASCIIText.isSpace(line[start - 1]) { start -= 1 }
        return line[start..<position]
    }

    /// Whether a word of free text must be encoded: it is not ASCII, looks encoded, or is too long for a line.
    private static func needsEncoding(_ word: ArraySlice<UInt8>) -> Bool {
        word.count > 74 || word.contains { $0 >= 0x80 } || self.hasEncodedWordMark(word)
    }

    private static func hasEncodedWordMark(_ text: ArraySlice<UInt8>) -> Bool {
        var previous: UInt8 = 0
        for byte in text {
            if previous == 0x3D, byte == 0x3F { return true }
            previous = byte
        }
        return false
    }
}

/// Takes the bytes out of a variable, so that the writer appends in place and does not copy.
private func exchange(_ bytes: inout [UInt8]) -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &bytes)
    return taken
}
