// SPDX-License-Identifier: Apache-2.0

/// Writes one header field and knows in which column it is, so that every line ends by column 76 where it can.
struct FieldWriter: ~Copyable {
    /// The longest line without its CRLF.
    static let columnLimit = 76

    private(set) var bytes: [UInt8]
    private var column = 0

    /// Begins a field at the end of some bytes; what no name may hold becomes a hyphen.
    init(appendingTo bytes: consuming [UInt8], name: String) {
        self.bytes = bytes
        self.raw(name.utf8.map { $0 > 0x20 && $0 < 0x7F && $0 != 0x3A ? $0 : 0x2D })
        self.bytes.append(0x3A)
        self.column += 1
    }

    /// The bytes with the field ended.
    consuming func finish() -> [UInt8] {
        self.bytes.append(0x0D)
        self.bytes.append(0x0A)
        return self.bytes
    }

    /// The bytes that still fit in this line.
    var room: Int { Self.columnLimit - self.column }

    /// Writes text where it stands, without regard to the line's length.
    mutating func raw(_ text: some Collection<UInt8>) {
        self.bytes.append(contentsOf: text)
        self.column += text.count
    }

    /// Writes a space and a word, or a line end before them if the word does not fit.
    ///
    /// `following` is what must stay on the word's line, such as a comma.
    mutating func word(
        _ word: some Collection<UInt8>,
        after space: [UInt8] = [0x20],
        following: Int = 0,
        first: Bool = false
    ) {
        if !first, self.column + space.count + word.count + following > Self.columnLimit { self.fold() }
        self.raw(space)
        self.raw(word)
    }

    /// Ends the line; a space must come next.
    mutating func fold() {
        self.bytes.append(0x0D)
        self.bytes.append(0x0A)
        self.column = 0
    }

    /// Writes text as encoded words, each begun after a space, never splitting a character.
    ///
    /// - Note: RFC 2047 §2 and §5; the letters kept in `Q` are those that a phrase allows.
    mutating func encodedWords(_ text: ArraySlice<UInt8>) {
        let isQ = EncodedWord.prefersQ(text)
        var position = text.startIndex
        while position < text.endIndex {
            if self.room < 24 { self.fold() }
            let payload = min(EncodedWord.limit, self.room - 1) - EncodedWord.overhead
            let end = EncodedWord.end(of: text[position...], payload: payload, isQ: isQ)
            self.bytes.append(0x20)
            let before = self.bytes.count
            EncodedWord.append(text[position..<end], isQ: isQ, to: &self.bytes)
            self.column += 1 + self.bytes.count - before
            position = end
            if position < text.endIndex { self.fold() }
        }
    }
}
