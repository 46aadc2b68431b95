// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite

extension StoreError {
    /// The error of a failed step.
    static func fromSQLite(code: Int32, connection: OpaquePointer?) -> StoreError {
        let message = connection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) } ?? "code \(code)"
        switch code & 0xFF {
        case SQLITE_FULL: return StoreError(.full, "the store has no space left: \(message)")
        case SQLITE_CORRUPT, SQLITE_NOTADB: return StoreError(.corrupt, "the store's file is damaged: \(message)")
        case SQLITE_CONSTRAINT: return StoreError(.conflict, "a value is in use: \(message)")
        default: return StoreError(.database, "the database failed (code \(code)): \(message)")
        }
    }

    /// The library's error as a store's error.
    static func fromGRDB(_ error: DatabaseError) -> StoreError {
        switch error.resultCode {
        case .SQLITE_FULL: return StoreError(.full, "the store has no space left", underlying: error)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return StoreError(.corrupt, "the store's file is damaged", underlying: error)
        case .SQLITE_CONSTRAINT: return StoreError(.conflict, "a value is in use", underlying: error)
        default: return StoreError(.database, "the database failed", underlying: error)
        }
    }
}
