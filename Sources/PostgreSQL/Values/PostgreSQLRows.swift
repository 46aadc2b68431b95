// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

/// The rows of one statement, in the order in which the server sent them.
///
/// They lie in libpq's memory as they came; a column is read when it is asked for. Stays on the thread of its
/// connection, and outlives it.
public final class PostgreSQLRows: RandomAccessCollection {
    private let result: OpaquePointer
    /// How many rows there are.
    public let count: Int
    /// How many columns each row has.
    public let columns: Int

    /// Takes a result over.
    init(_ result: OpaquePointer) {
        self.result = result
        self.count = Int(PQntuples(result))
        self.columns = Int(PQnfields(result))
    }

    deinit { PQclear(self.result) }

    /// How many rows the statement inserted, updated, deleted, copied or returned.
    public var affected: Int { PQcmdTuples(self.result).flatMap { Int(String(cString: $0)) } ?? 0 }

    /// The first row's index.
    public var startIndex: Int { 0 }
    /// The index after the last row's.
    public var endIndex: Int { self.count }

    /// The row at an index.
    public subscript(_ row: Int) -> PostgreSQLRow {
        precondition(row >= 0 && row < self.count, "row \(row) of \(self.count) was asked for")
        return PostgreSQLRow(storage: .result(self, row: row))
    }

    /// The name of a column, from 0.
    public func name(ofColumn column: Int) -> String? {
        PQfname(self.result, Int32(clamping: column)).map { String(cString: $0) }
    }

    /// The only row.
    ///
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/unexpectedValue`` if there is none or more than one.
    public func only() throws -> PostgreSQLRow {
        guard self.count == 1 else {
            throw PostgreSQLError(.unexpectedValue, "reading the only row", "there are \(self.count) rows")
        }
        return self[0]
    }

    // MARK: The result as such

    /// What kind of result it is.
    var status: ExecStatusType { PQresultStatus(self.result) }
    /// Whether a COPY is binary.
    var isBinary: Bool { PQbinaryTuples(self.result) == 1 }
    /// What the server calls the statement that ran: "INSERT 0 1".
    var tag: String { PQcmdStatus(self.result).map { String(cString: $0) } ?? "" }
    /// Whether the server ends the connection with it.
    var isFatal: Bool {
        let severity = self.diagnostic(DiagnosticField.severity)
        return severity == "FATAL" || severity == "PANIC"
    }
    var sqlState: String? { self.diagnostic(DiagnosticField.sqlState) }

    /// What the result says went wrong.
    func error(_ code: PostgreSQLError.Code, _ wait: Wait) -> PostgreSQLError {
        PostgreSQLError(result: self.result, code: code, doing: wait.doing, statement: wait.statement)
    }

    private func diagnostic(_ field: Int) -> String? {
        PQresultErrorField(self.result, Int32(field)).map { String(cString: $0) }
    }

    /// Reads a field; the bytes stay valid during the call.
    func withField<Answer>(_ row: Int, _ column: Int, _ read: (FieldDecoder) throws -> Answer) throws -> Answer {
        guard column >= 0, column < self.columns else { throw PostgreSQLRow.noColumn(column, of: self.columns) }
        let (row, number) = (Int32(row), Int32(column))
        var bytes: UnsafeRawBufferPointer?
        if PQgetisnull(self.result, row, number) == 0 {
            let length = Int(PQgetlength(self.result, row, number))
            bytes = UnsafeRawBufferPointer(start: PQgetvalue(self.result, row, number), count: length)
        }
        // The pointers are valid as long as the result, which this object frees at its end.
        return try withExtendedLifetime(self) {
            try read(FieldDecoder(bytes: bytes, type: PQftype(self.result, number), column: column))
        }
    }
}

/// One row; its columns are read by number, from 0.
///
/// Reading checks type and length: ``PostgreSQLError/Code/unexpectedValue`` is thrown for null where a value is asked
/// for, and for a column that holds something else. Integers of 2, 4 and 8 bytes can be read as any integer that
/// holds the value. In a COPY the stream does not carry types, and lengths alone are checked.
public struct PostgreSQLRow {
    enum Storage {
        case result(PostgreSQLRows, row: Int)
        case copy(CopyRow, number: Int)
    }

    let storage: Storage

    /// How many columns there are.
    public var columns: Int {
        switch self.storage {
        case .result(let rows, _): rows.columns
        case .copy(let row, _): row.columns
        }
    }

    /// Whether a column is null.
    public func isNull(_ column: Int) throws -> Bool { try self.read(column) { $0.isNull } }

    /// A number.
    public func int(_ column: Int) throws -> Int { Int(try self.int64(column)) }
    /// A number.
    public func int64(_ column: Int) throws -> Int64 { try self.read(column) { try $0.int64() } }
    /// A number that fits 4 bytes.
    public func int32(_ column: Int) throws -> Int32 { try self.read(column) { try $0.int32() } }
    /// A truth value.
    public func bool(_ column: Int) throws -> Bool { try self.read(column) { try $0.bool() } }
    /// A floating-point number of 4 or 8 bytes.
    public func double(_ column: Int) throws -> Double { try self.read(column) { try $0.double() } }
    /// Text.
    public func text(_ column: Int) throws -> String { try self.read(column) { try $0.text() } }
    /// Bytes, of `bytea` or `uuid`.
    public func bytes(_ column: Int) throws -> [UInt8] { try self.read(column) { try $0.bytea() } }

    /// A number, `nil` for null.
    public func optionalInt(_ column: Int) throws -> Int? { try self.optionalInt64(column).map { Int($0) } }
    /// A number, `nil` for null.
    public func optionalInt64(_ column: Int) throws -> Int64? { try self.optional(column) { try $0.int64() } }
    /// A number that fits 4 bytes, `nil` for null.
    public func optionalInt32(_ column: Int) throws -> Int32? { try self.optional(column) { try $0.int32() } }
    /// A truth value, `nil` for null.
    public func optionalBool(_ column: Int) throws -> Bool? { try self.optional(column) { try $0.bool() } }
    /// A floating-point number, `nil` for null.
    public func optionalDouble(_ column: Int) throws -> Double? { try self.optional(column) { try $0.double() } }
    /// Text, `nil` for null.
    public func optionalText(_ column: Int) throws -> String? { try self.optional(column) { try $0.text() } }
    /// Bytes, `nil` for null.
    public func optionalBytes(_ column: Int) throws -> [UInt8]? { try self.optional(column) { try $0.bytea() } }

    /// An array of integers, with `nil` for elements that are null.
    public func int64Array(_ column: Int) throws -> [Int64?] { try self.read(column) { try $0.int64Array() } }
    /// An array of truth values, with `nil` for elements that are null.
    public func boolArray(_ column: Int) throws -> [Bool?] { try self.read(column) { try $0.boolArray() } }
    /// An array of texts, with `nil` for elements that are null.
    public func textArray(_ column: Int) throws -> [String?] { try self.read(column) { try $0.textArray() } }
    /// An array of strings of bytes, with `nil` for elements that are null.
    public func bytesArray(_ column: Int) throws -> [[UInt8]?] { try self.read(column) { try $0.byteaArray() } }

    /// Reads a column's bytes in place, whatever its type.
    ///
    /// There are none for null. They must not be let out.
    public func withBytes<Answer>(
        _ column: Int,
        _ read: (UnsafeRawBufferPointer?) throws -> Answer
    ) throws -> Answer {
        try self.read(column) { try read($0.bytes) }
    }

    private func optional<Answer>(_ column: Int, _ read: (FieldDecoder) throws -> Answer) throws -> Answer? {
        try self.read(column) { $0.isNull ? nil : try read($0) }
    }

    private func read<Answer>(_ column: Int, _ read: (FieldDecoder) throws -> Answer) throws -> Answer {
        switch self.storage {
        case .result(let rows, let row): try rows.withField(row, column, read)
        case .copy(let row, let number): try row.withField(number, column, read)
        }
    }

    static func noColumn(_ column: Int, of columns: Int) -> PostgreSQLError {
        PostgreSQLError(.unexpectedValue, "reading column \(column)", "the row has \(columns)")
    }
}
