// SPDX-License-Identifier: Apache-2.0

import RecordFormat

/// What a stream turned out to hold, in order.
enum Found: Equatable, CustomStringConvertible {
    case row([String], line: Int)
    case refused(RecordError.Code, line: Int, column: Int?)

    var description: String {
        switch self {
        case .row(let fields, let line): "\(line): \(fields)"
        case .refused(let code, let line, let column): "\(line): \(code) at \(column ?? 0)"
        }
    }
}

/// Cuts bytes into pieces of a length.
func pieces(_ bytes: [UInt8], of length: Int) -> [ArraySlice<UInt8>] {
    stride(from: 0, to: bytes.count, by: length).map { bytes[$0..<min($0 + length, bytes.count)] }
}

/// Reads a CSV that arrives in pieces; a field that is not well-formed reads `<?>`.
func readCSV(
    _ pieces: some Sequence<ArraySlice<UInt8>>,
    _ dialect: CSVDialect = CSVDialect(),
    limits: RecordLimits = RecordLimits()
) throws -> [Found] {
    var reader = CSVReader(dialect, limits: limits)
    var found: [Found] = []
    var rest = pieces.makeIterator()
    while true {
        switch try reader.next() {
        case .record:
            found.append(
                .row((0..<reader.fieldCount).map { reader.text(at: $0) ?? "<?>" }, line: reader.recordLine)
            )
        case .refused(let error): found.append(.refused(error.code, line: error.line, column: error.column))
        case .needsInput:
            if let piece = rest.next() { reader.feed(piece) } else { reader.finish() }
        case .end: return found
        }
    }
}

/// Reads JSON lines that arrive in pieces; a record is the text of its members.
func readNDJSON(
    _ pieces: some Sequence<ArraySlice<UInt8>>,
    limits: RecordLimits = RecordLimits()
) throws -> [Found] {
    var reader = NDJSONReader(limits: limits)
    var found: [Found] = []
    var rest = pieces.makeIterator()
    while true {
        switch try reader.next() {
        case .record:
            found.append(
                .row([String(decoding: JSONValue.object(reader.members).line, as: UTF8.self)], line: reader.recordLine)
            )
        case .refused(let error): found.append(.refused(error.code, line: error.line, column: error.column))
        case .needsInput:
            if let piece = rest.next() { reader.feed(piece) } else { reader.finish() }
        case .end: return found
        }
    }
}
