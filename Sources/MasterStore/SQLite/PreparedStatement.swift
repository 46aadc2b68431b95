// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite
internal import MailingModel

/// A compiled statement of one connection, bound and stepped without copies through Foundation.
///
/// It comes from the connection's cache and goes back there: whoever steps it must reset it, which ``run()``,
/// ``first(_:)`` and ``rows(_:)`` do.
struct PreparedStatement {
    private let statement: OpaquePointer

    init(_ statement: OpaquePointer) { self.statement = statement }

    // MARK: Binding, from 1

    @discardableResult
    func bind(_ index: Int32, _ value: Int64) -> PreparedStatement {
        sqlite3_bind_int64(self.statement, index, value)
        return self
    }

    @discardableResult
    func bind(_ index: Int32, _ value: Int) -> PreparedStatement { self.bind(index, Int64(value)) }

    @discardableResult
    func bind(_ index: Int32, _ value: Int64?) -> PreparedStatement {
        guard let value else { return self.bindNull(index) }
        return self.bind(index, value)
    }

    @discardableResult
    func bind(_ index: Int32, _ value: Timestamp?) -> PreparedStatement { self.bind(index, value?.milliseconds) }

    @discardableResult
    func bind(_ index: Int32, _ value: String?) -> PreparedStatement {
        guard var value else { return self.bindNull(index) }
        guard !value.isEmpty else {
            sqlite3_bind_text(self.statement, index, "", 0, Self.copied)
            return self
        }
        value.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) {
                _ = sqlite3_bind_text64(
                    self.statement,
                    index,
                    $0.baseAddress,
                    UInt64($0.count),
                    Self.copied,
                    UInt8(SQLITE_UTF8)
                )
            }
        }
        return self
    }

    @discardableResult
    func bind(_ index: Int32, _ value: [UInt8]?) -> PreparedStatement {
        guard let value else { return self.bindNull(index) }
        guard !value.isEmpty else {
            sqlite3_bind_zeroblob(self.statement, index, 0)
            return self
        }
        value.withUnsafeBytes {
            _ = sqlite3_bind_blob64(self.statement, index, $0.baseAddress, UInt64($0.count), Self.copied)
        }
        return self
    }

    @discardableResult
    func bindNull(_ index: Int32) -> PreparedStatement {
        sqlite3_bind_null(self.statement, index)
        return self
    }

    // MARK: Running

    /// Runs a statement that yields no rows.
    func run() throws {
        defer { sqlite3_reset(self.statement) }
        while try self.step() {}
    }

    /// The first row, or `nil`; the rest is not computed.
    func first<Value>(_ read: (PreparedRow) throws -> Value) throws -> Value? {
        defer { sqlite3_reset(self.statement) }
        return try self.step() ? try read(PreparedRow(self.statement)) : nil
    }

    /// All rows, in order.
    func rows(_ read: (PreparedRow) throws -> Void) throws {
        defer { sqlite3_reset(self.statement) }
        while try self.step() { try read(PreparedRow(self.statement)) }
    }

    /// Rows in order until `read` returns `false`.
    func rowsWhile(_ read: (PreparedRow) throws -> Bool) throws {
        defer { sqlite3_reset(self.statement) }
        while try self.step() {
            guard try read(PreparedRow(self.statement)) else { return }
        }
    }

    private func step() throws -> Bool {
        switch sqlite3_step(self.statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw StoreError.fromSQLite(code: code, connection: sqlite3_db_handle(self.statement))
        }
    }

    private static var copied: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
}

/// The row at which a statement stands; columns from 0, valid until the next step.
struct PreparedRow {
    private let statement: OpaquePointer

    init(_ statement: OpaquePointer) { self.statement = statement }

    func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(self.statement, column) }
    func int(_ column: Int32) -> Int { Int(truncatingIfNeeded: sqlite3_column_int64(self.statement, column)) }
    func int32(_ column: Int32) -> Int32 { sqlite3_column_int(self.statement, column) }
    func bool(_ column: Int32) -> Bool { sqlite3_column_int(self.statement, column) != 0 }
    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(self.statement, column) == SQLITE_NULL }

    func optionalInt64(_ column: Int32) -> Int64? { self.isNull(column) ? nil : self.int64(column) }
    func timestamp(_ column: Int32) -> Timestamp { Timestamp(milliseconds: self.int64(column)) }
    func optionalTimestamp(_ column: Int32) -> Timestamp? { self.isNull(column) ? nil : self.timestamp(column) }

    func text(_ column: Int32) -> String {
        guard let start = sqlite3_column_text(self.statement, column) else { return "" }
        let count = Int(sqlite3_column_bytes(self.statement, column))
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    func optionalText(_ column: Int32) -> String? { self.isNull(column) ? nil : self.text(column) }

    func blob(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(self.statement, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(self.statement, column))))
    }

    func optionalBlob(_ column: Int32) -> [UInt8]? { self.isNull(column) ? nil : self.blob(column) }

    func hash(_ column: Int32) throws -> BlobHash {
        guard let hash = BlobHash(bytes: self.blob(column)) else {
            throw StoreError(.corrupt, "a stored hash does not have 32 octets")
        }
        return hash
    }
}

extension StoreError {
    /// The error of a failed step, in our words.
    static func fromSQLite(code: Int32, connection: OpaquePointer?) -> StoreError {
        let words = connection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? "code \(code)"
        switch code & 0xFF {
        case SQLITE_FULL: return StoreError(.full, "the store has no space left: \(words)")
        case SQLITE_CORRUPT, SQLITE_NOTADB: return StoreError(.corrupt, "the store's file is damaged: \(words)")
        case SQLITE_CONSTRAINT: return StoreError(.conflict, "a value is in use: \(words)")
        default: return StoreError(.database, "the database failed (code \(code)): \(words)")
        }
    }

    /// Any error of the database library, in our words; ours stay as they are.
    static func wrapping(_ error: any Error) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        switch error.resultCode {
        case .SQLITE_FULL: return StoreError(.full, "the store has no space left", underlying: error)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return StoreError(.corrupt, "the store's file is damaged", underlying: error)
        case .SQLITE_CONSTRAINT: return StoreError(.conflict, "a value is in use", underlying: error)
        default: return StoreError(.database, "the database failed", underlying: error)
        }
    }
}
