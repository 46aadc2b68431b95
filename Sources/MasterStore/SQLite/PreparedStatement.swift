// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite
internal import MailingModel

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A compiled statement of one connection, bound and stepped without copies through Foundation.
///
/// It comes from the connection's cache and goes back there: whoever steps it must reset it, which
/// ``rowsWhile(_:)`` does.
struct PreparedStatement: StoreStatement {
    private let statement: OpaquePointer

    init(_ statement: OpaquePointer) { self.statement = statement }

    // MARK: Binding, from 1

    @discardableResult
    func bind(_ index: Int32, _ value: Int64?) -> PreparedStatement {
        guard let value else { return self.bindNull(index) }
        sqlite3_bind_int64(self.statement, index, value)
        return self
    }

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
    func bind(_ index: Int32, list: [Int64]) -> PreparedStatement {
        self.bind(index, "[" + list.map { String($0) }.joined(separator: ",") + "]")
    }

    @discardableResult
    func bind(_ index: Int32, list: [String]) -> PreparedStatement {
        // Bytes that are no text in JSON's sense cannot be in a Swift string.
        self.bind(index, (try? JSONEncoder().encode(list)).map { String(decoding: $0, as: UTF8.self) } ?? "[]")
    }

    private func bindNull(_ index: Int32) -> PreparedStatement {
        sqlite3_bind_null(self.statement, index)
        return self
    }

    // MARK: Running

    func rowsWhile(_ read: (any StoreRow) throws -> Bool) throws {
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

/// The row at which a statement stands.
struct PreparedRow: StoreRow {
    private let statement: OpaquePointer

    init(_ statement: OpaquePointer) { self.statement = statement }

    func optionalInt64(_ column: Int32) throws -> Int64? {
        switch sqlite3_column_type(self.statement, column) {
        case SQLITE_INTEGER: return sqlite3_column_int64(self.statement, column)
        case SQLITE_NULL: return nil
        // The library would make a number of any text.
        default: throw StoreError(.corrupt, "what is stored in column \(column) is no number")
        }
    }

    func optionalText(_ column: Int32) -> String? {
        guard let start = sqlite3_column_text(self.statement, column) else { return nil }
        let count = Int(sqlite3_column_bytes(self.statement, column))
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    func optionalBlob(_ column: Int32) -> [UInt8]? {
        guard !self.isNullValue(column) else { return nil }
        // An empty value has no address.
        guard let start = sqlite3_column_blob(self.statement, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(self.statement, column))))
    }

    private func isNullValue(_ column: Int32) -> Bool {
        sqlite3_column_type(self.statement, column) == SQLITE_NULL
    }
}
