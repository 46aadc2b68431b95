// SPDX-License-Identifier: Apache-2.0

internal import PostgreSQL

/// A statement of an operation in PostgreSQL's dialect, with its parameters.
final class PostgreSQLStatement: StoreStatement {
    private let connection: PostgreSQLStoreConnection
    private let sql: String
    private var values: [PostgreSQLValue] = []

    init(_ sql: String, on connection: PostgreSQLStoreConnection) {
        self.sql = sql
        self.connection = connection
    }

    @discardableResult
    func bind(_ index: Int32, _ value: Int64?) -> Self { self.bind(index, PostgreSQLValue.int8(orNull: value)) }

    @discardableResult
    func bind(_ index: Int32, _ value: String?) -> Self { self.bind(index, PostgreSQLValue.text(orNull: value)) }

    @discardableResult
    func bind(_ index: Int32, _ value: [UInt8]?) -> Self { self.bind(index, PostgreSQLValue.bytea(orNull: value)) }

    @discardableResult
    func bind(_ index: Int32, list: [Int64]) -> Self { self.bind(index, PostgreSQLValue.int8Array(list)) }

    @discardableResult
    func bind(_ index: Int32, list: [String]) -> Self { self.bind(index, PostgreSQLValue.textArray(list)) }

    private func bind(_ index: Int32, _ value: PostgreSQLValue) -> Self {
        let index = Int(index) - 1
        // Operations bind in order; what is not bound stays null and is then refused by the server.
        while self.values.count <= index { self.values.append(.null(.text)) }
        self.values[index] = value
        return self
    }

    func rowsWhile(_ read: (any StoreRow) throws -> Bool) throws {
        for row in try self.connection.query(self.sql, self.values) {
            guard try read(PostgreSQLStoreRow(row: row)) else { return }
        }
    }

    /// Rewrites an operation's statement: `?` becomes `$1` and so on, a list an array.
    static func translate(_ sql: String) -> String {
        let sql = sql.replacing("IN (SELECT value FROM json_each(?))", with: "= ANY(?)")
        var text = ""
        text.reserveCapacity(sql.utf8.count + 16)
        var number = 0
        for character in sql {
            if character == "?" {
                number += 1
                text += "$\(number)"
            } else {
                text.append(character)
            }
        }
        return text
    }
}

/// A row of a result.
private struct PostgreSQLStoreRow: StoreRow {
    let row: PostgreSQLRow

    func optionalInt64(_ column: Int32) throws -> Int64? { try self.row.optionalInt64(Int(column)) }
    func optionalText(_ column: Int32) throws -> String? { try self.row.optionalText(Int(column)) }
    func optionalBlob(_ column: Int32) throws -> [UInt8]? { try self.row.optionalBytes(Int(column)) }
}
