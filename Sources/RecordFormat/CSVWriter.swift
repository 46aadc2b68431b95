// SPDX-License-Identifier: Apache-2.0

/// Writes CSV as RFC 4180 §2 has it: CRLF, quotes where they are needed.
///
/// Spreadsheets run a cell that begins with `= + - @`, a tab or a CR as a formula, whoever wrote it. Unless that is
/// switched off, such a cell gets an apostrophe in front, which spreadsheets do not show.
public struct CSVWriter: Sendable {
    private let delimiter: UInt8
    private let escapesFormulas: Bool

    /// A writer.
    ///
    /// - Parameters:
    ///   - delimiter: What separates fields.
    ///   - escapesFormulas: `true` unless no spreadsheet will open it and every byte counts.
    public init(delimiter: UInt8 = UInt8(ascii: ","), escapesFormulas: Bool = true) {
        self.delimiter = delimiter
        self.escapesFormulas = escapesFormulas
    }

    /// Appends one record.
    public func write(_ fields: some Sequence<String>, to text: inout [UInt8]) {
        var isFirst = true
        for field in fields {
            if !isFirst { text.append(self.delimiter) }
            isFirst = false
            self.write(field, to: &text)
        }
        text.append(0x0D)
        text.append(0x0A)
    }

    private func write(_ field: String, to text: inout [UInt8]) {
        let isFormula = self.escapesFormulas && field.utf8.first.map(Self.beginsFormula) == true
        let needsQuotes = field.utf8.contains {
            $0 == self.delimiter || $0 == UInt8(ascii: "\"") || $0 == 0x0A || $0 == 0x0D
        }
        if needsQuotes { text.append(UInt8(ascii: "\"")) }
        if isFormula { text.append(UInt8(ascii: "'")) }
        for byte in field.utf8 {
            if byte == UInt8(ascii: "\"") { text.append(byte) }
            text.append(byte)
        }
        if needsQuotes { text.append(UInt8(ascii: "\"")) }
    }

    private static func beginsFormula(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "="), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "@"), 0x09, 0x0D: true
        default: false
        }
    }
}
