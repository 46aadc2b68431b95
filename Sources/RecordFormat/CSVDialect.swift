// SPDX-License-Identifier: Apache-2.0

/// How a particular CSV is written, as its beginning shows.
///
/// RFC 4180 has commas, quotes and CRLF; spreadsheets also write semicolons, tabs and bars, and every line end.
public struct CSVDialect: Sendable, Hashable {
    /// How many bytes are enough to recognise it.
    public static let detectionBytes = 64 * 1_024

    /// What separates fields: one of `, ; |` and tab.
    public var delimiter: UInt8
    /// Whether the first record names the columns.
    public var hasHeader: Bool
    /// How the text is written.
    public var encoding: TextEncoding
    /// Whether the first line is `sep=;`, by which a spreadsheet names the delimiter, and no record.
    public var hasSeparatorLine = false

    /// A dialect that is known.
    public init(delimiter: UInt8 = UInt8(ascii: ","), hasHeader: Bool = true, encoding: TextEncoding = .utf8) {
        self.delimiter = delimiter
        self.hasHeader = hasHeader
        self.encoding = encoding
    }

    /// The dialect that the beginning of a stream shows.
    ///
    /// The delimiter is the one by which most records have as many fields as the first, and more than one; a comma if
    /// none is better. A first line `sep=;` names it itself. The first record is a header if its fields read like distinct names: letters, digits, spaces and
    /// `_ - .`, beginning with a letter.
    ///
    /// - Parameters:
    ///   - beginning: The first ``detectionBytes``, or all.
    ///   - isWhole: Whether nothing follows.
    ///   - encoding: The encoding, if it is known.
    public init(detecting beginning: [UInt8], isWhole: Bool, encoding: TextEncoding? = nil) {
        let encoding = encoding ?? .detected(in: beginning, isWhole: isWhole)
        self.init(encoding: encoding)
        if let named = Self.separator(in: beginning, isWhole: isWhole, encoding) {
            self.delimiter = named
            self.hasSeparatorLine = true
            self.hasHeader = Self.looksLikeHeader(Self.sample(beginning, isWhole: isWhole, self).first)
            return
        }
        var best = -1
        for delimiter in [UInt8(ascii: ","), UInt8(ascii: ";"), 0x09, UInt8(ascii: "|")] {
            let dialect = CSVDialect(delimiter: delimiter, encoding: encoding)
            let (first, counts) = Self.sample(beginning, isWhole: isWhole, dialect)
            guard !counts.isEmpty else { continue }
            let columns = first.count
            let agreeing = counts.count { $0 == columns }
            // More columns break ties between delimiters that divide all records alike.
            let score = columns < 2 ? 0 : agreeing * 10_000 / counts.count * 1_000 + min(columns, 999)
            guard score > best else { continue }
            best = score
            self.delimiter = delimiter
            self.hasHeader = Self.looksLikeHeader(first)
        }
    }

    /// The delimiter that a first line such as `sep=;` names, quoted or not; `nil` if there is no such line.
    private static func separator(in beginning: [UInt8], isWhole: Bool, _ encoding: TextEncoding) -> UInt8? {
        var transcoder = TextTranscoder(encoding)
        var text: [UInt8] = []
        beginning.prefix(64).withUnsafeBufferPointer { transcoder.append($0, to: &text) }
        if isWhole, beginning.count <= 64 { transcoder.finish(to: &text) }
        let quote = UInt8(ascii: "\"")
        let isQuoted = text.first == quote
        var rest = isQuoted ? text[1...] : text[...]
        guard rest.count >= 5, rest.prefix(4).map({ $0 | 0x20 }) == Array("sep=".utf8).map({ $0 | 0x20 }) else {
            return nil
        }
        rest = rest.dropFirst(4)
        guard let delimiter = rest.popFirst(), delimiter == 0x09 || (0x20...0x7E).contains(delimiter),
            delimiter != quote
        else { return nil }
        if isQuoted, rest.popFirst() != quote { return nil }
        guard let end = rest.first else { return isWhole ? delimiter : nil }
        return end == 0x0A || end == 0x0D ? delimiter : nil
    }

    /// The first record, and the number of fields of every record in the sample.
    private static func sample(
        _ beginning: [UInt8],
        isWhole: Bool,
        _ dialect: CSVDialect
    ) -> (first: [String], counts: [Int]) {
        var reader = CSVReader(dialect)
        reader.feed(beginning)
        if isWhole { reader.finish() }
        var first: [String] = []
        var counts: [Int] = []
        while counts.count < 1_000 {
            guard let step = try? reader.next() else { break }  // The sample has fewer records than any bound.
            switch step {
            case .record:
                if counts.isEmpty { first = (0..<reader.fieldCount).map { reader.text(at: $0) ?? "\u{FFFD}" } }
                counts.append(reader.fieldCount)
            case .refused: counts.append(0)
            case .needsInput, .end: return (first, counts)
            }
        }
        return (first, counts)
    }

    private static func looksLikeHeader(_ fields: [String]) -> Bool {
        let names = fields.map(CSVDialect.trimmed).filter { !$0.isEmpty }
        return !names.isEmpty && Set(names).count == names.count && names.allSatisfy(self.looksLikeName)
    }

    private static func looksLikeName(_ text: Substring) -> Bool {
        guard let first = text.unicodeScalars.first, first.properties.isAlphabetic || first == "_" else { return false }
        return text.unicodeScalars.count <= 64
            && text.unicodeScalars.allSatisfy {
                $0.properties.isAlphabetic || ("0"..."9").contains($0) || " _-.".unicodeScalars.contains($0)
            }
    }

    /// The text without spaces and tabs at its ends.
    public static func trimmed(_ text: String) -> Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\u{A0}" }
        var rest = text[...].drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }
}
