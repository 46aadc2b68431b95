// SPDX-License-Identifier: Apache-2.0

/// The fields of the row of a COPY that is being visited.
///
/// The bytes are in a buffer that the next row overwrites; a row that was kept can then no longer be read.
final class CopyRow {
    fileprivate var bytes: [UInt8] = []
    /// Where fields start and how long they are; -1 for null.
    fileprivate var fields: [(start: Int, length: Int)] = []
    fileprivate(set) var number = 0

    var columns: Int { self.fields.count }

    func withField<Answer>(_ number: Int, _ column: Int, _ read: (FieldDecoder) throws -> Answer) throws -> Answer {
        guard number == self.number else {
            throw PostgreSQLError(.misuse, "reading column \(column)", "the COPY has gone on to another row")
        }
        guard self.fields.indices.contains(column) else { throw PostgreSQLRow.noColumn(column, of: self.columns) }
        let field = self.fields[column]
        guard field.length >= 0 else { return try read(FieldDecoder(bytes: nil, type: 0, column: column)) }
        return try self.bytes.withUnsafeBytes { bytes in
            let field = UnsafeRawBufferPointer(rebasing: bytes[field.start..<field.start + field.length])
            return try read(FieldDecoder(bytes: field, type: 0, column: column))
        }
    }
}

/// Cuts the stream of a binary COPY into rows, wherever its messages end.
///
/// The stream is a signature of 11 bytes, flags, the length of an extension, then for each row the number of fields
/// and each field with its length, and at the end the number -1.
struct CopyDecoder {
    /// What every stream starts with.
    static let signature: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00]

    private let row = CopyRow()
    private var position = 0
    private var hasHeader = false
    /// Whether the end has been read.
    private(set) var isComplete = false

    /// Takes more of the stream and visits the rows that are complete.
    mutating func feed(_ bytes: UnsafeRawBufferPointer, _ visit: (PostgreSQLRow) throws -> Void) throws {
        if self.position > 0 {
            self.row.bytes.removeFirst(self.position)
            self.position = 0
        }
        self.row.bytes.append(contentsOf: bytes)
        while !self.isComplete {
            let hasHeader = self.hasHeader
            guard let end = hasHeader ? try self.row(at: self.position) : try self.header() else { return }
            self.position = end
            self.hasHeader = true
            guard hasHeader, !self.isComplete else { continue }
            self.row.number += 1
            try visit(PostgreSQLRow(storage: .copy(self.row, number: self.row.number)))
        }
        guard self.position == self.row.bytes.count else { throw Self.malformed("bytes after its end") }
    }

    /// Where the header ends, `nil` if it is not all there.
    private func header() throws -> Int? {
        let bytes = self.row.bytes
        guard bytes.count >= 19 else { return nil }
        guard bytes.starts(with: Self.signature) else { throw Self.malformed("no signature") }
        // Flags above 15 change the layout; older servers sent object numbers so.
        guard self.integer(11, 4) & 0xFFFF_0000 == 0 else { throw Self.malformed("unknown flags") }
        let extended = self.integer(15, 4)
        guard extended >= 0, extended < 1 << 20 else { throw Self.malformed("an extension of \(extended) bytes") }
        return bytes.count >= 19 + extended ? 19 + extended : nil
    }

    /// Where the row at a position ends, `nil` if it is not all there; its fields are noted.
    private mutating func row(at start: Int) throws -> Int? {
        var position = start
        let count = self.row.bytes.count
        self.row.fields.removeAll(keepingCapacity: true)
        guard count - position >= 2 else { return nil }
        let columns = self.integer(position, 2)
        position += 2
        guard columns >= 0 else {
            guard columns == -1 else { throw Self.malformed("\(columns) fields") }
            self.isComplete = true
            return position
        }
        for _ in 0..<columns {
            guard count - position >= 4 else { return nil }
            let length = self.integer(position, 4)
            position += 4
            guard length >= -1 else { throw Self.malformed("a field of \(length) bytes") }
            guard count - position >= max(0, length) else { return nil }
            self.row.fields.append((position, length))
            position += max(0, length)
        }
        return position
    }

    /// A signed number in network order.
    private func integer(_ position: Int, _ width: Int) -> Int {
        var value = Int(Int8(bitPattern: self.row.bytes[position]))
        for offset in 1..<width { value = value << 8 | Int(self.row.bytes[position + offset]) }
        return value
    }

    private static func malformed(_ what: String) -> PostgreSQLError {
        PostgreSQLError(.unexpectedValue, "reading a binary COPY", "the stream has \(what)")
    }
}
