// SPDX-License-Identifier: Apache-2.0
//
// The seam between the operations and the databases. Operations are written once, in SQL that both databases understand:
// parameters are `?` in order; a list travels as one parameter in `IN (SELECT value FROM json_each(?))`, bound with
// `bind(_:list:)`; an upsert is `ON CONFLICT … DO`; a new row's number comes from `RETURNING`.

internal import MailingModel

/// One connection of a database, as operations use it; it never leaves its own thread or queue.
protocol StoreConnection: AnyObject {
    /// A statement from the connection's cache, compiled at its first use.
    func prepare(_ sql: String) throws -> any StoreStatement
    /// Writes rows, all columns of many at once.
    func write(_ batch: RowBatch) throws
    /// Makes the tables of a mailing's own partition, with the columns and indexes of the shared ones.
    func makePartition(_ partition: Partition) throws
    /// One step of removing the tables of a mailing's own partition; it neither waits nor keeps others waiting for long.
    func removePartition(_ partition: Partition) throws -> PartitionRemoval
    /// How many rows the last statement changed.
    var changedRows: Int { get }
    /// Whether a transaction is open.
    var isInsideTransaction: Bool { get }
    /// A writing operation runs in the open transaction, which then counts as a commit that may be reported to others.
    func noteChange()
    /// Begins a transaction, and ensures that this process may write.
    func begin() throws
    /// Commits the transaction; its changes are on disk when this returns.
    ///
    /// - Throws: ``CommitUnknown`` if it is unknown whether it was carried out.
    func commit() throws
    /// Rolls back the transaction.
    func rollback() throws
    /// Marks a point to which ``rollbackToSavepoint()`` returns; they do not nest.
    func savepoint() throws
    /// Releases the savepoint.
    func releaseSavepoint() throws
    /// Rolls back to the savepoint, and releases it.
    func rollbackToSavepoint() throws
}

/// The answer to a COMMIT was lost, and what became of it could not be found out.
struct CommitUnknown: Error {
    var reason: any Error
}

/// A statement with its parameters, which are numbered from 1.
protocol StoreStatement {
    /// Binds a number.
    @discardableResult
    func bind(_ index: Int32, _ value: Int64?) -> Self
    /// Binds a text.
    @discardableResult
    func bind(_ index: Int32, _ value: String?) -> Self
    /// Binds bytes.
    @discardableResult
    func bind(_ index: Int32, _ value: [UInt8]?) -> Self
    /// Binds a list of numbers to `IN (SELECT value FROM json_each(?))`.
    @discardableResult
    func bind(_ index: Int32, list: [Int64]) -> Self
    /// Binds a list of texts to `IN (SELECT value FROM json_each(?))`.
    @discardableResult
    func bind(_ index: Int32, list: [String]) -> Self
    /// Runs it and reads its rows in order until `read` returns `false`.
    func rowsWhile(_ read: (any StoreRow) throws -> Bool) throws
}

extension StoreStatement {
    /// Binds a number.
    @discardableResult
    func bind(_ index: Int32, _ value: Int64) -> Self { self.bind(index, Optional(value)) }

    /// Binds a number.
    @discardableResult
    func bind(_ index: Int32, _ value: Int) -> Self { self.bind(index, Optional(Int64(value))) }

    /// Binds a timestamp as milliseconds.
    @discardableResult
    func bind(_ index: Int32, _ value: Timestamp?) -> Self { self.bind(index, value?.milliseconds) }

    /// Runs a statement whose rows, if any, do not matter.
    func run() throws { try self.rowsWhile { _ in true } }

    /// The first row, or `nil`.
    func first<Value>(_ read: (any StoreRow) throws -> Value) throws -> Value? {
        var value: Value?
        try self.rowsWhile { row in
            value = try read(row)
            return false
        }
        return value
    }

    /// All rows, in order.
    func rows(_ read: (any StoreRow) throws -> Void) throws {
        try self.rowsWhile { row in
            try read(row)
            return true
        }
    }
}

/// The row at which a statement stands; columns from 0, valid until the next row.
///
/// A value that is missing, a number that is none or out of its range, and an unknown case are damaged data,
/// ``StoreError/Code/corrupt``: taken for 0 or for an empty text they would do harm out of sight.
protocol StoreRow {
    /// A number, `nil` for null.
    func optionalInt64(_ column: Int32) throws -> Int64?
    /// A text, `nil` for null.
    func optionalText(_ column: Int32) throws -> String?
    /// Bytes, `nil` for null.
    func optionalBlob(_ column: Int32) throws -> [UInt8]?
}

extension StoreRow {
    /// A number.
    func int64(_ column: Int32) throws -> Int64 { try self.required(self.optionalInt64(column), column) }
    /// A number.
    func int(_ column: Int32) throws -> Int { Int(try self.int64(column)) }
    /// A number in the range of its type.
    func integer<Number: FixedWidthInteger>(_ column: Int32) throws -> Number {
        let value = try self.int64(column)
        guard let number = Number(exactly: value) else {
            throw StoreError(.corrupt, "a stored number is out of its range: \(value) in column \(column)")
        }
        return number
    }
    /// A case, stored as its number.
    func value<Value: RawRepresentable>(_ column: Int32) throws -> Value where Value.RawValue: FixedWidthInteger {
        let number: Value.RawValue = try self.integer(column)
        guard let value = Value(rawValue: number) else {
            throw StoreError(.corrupt, "a stored \(Value.self) is unknown: \(number)")
        }
        return value
    }
    /// A truth value, stored as a number.
    func bool(_ column: Int32) throws -> Bool { try self.int64(column) != 0 }
    /// A timestamp.
    func timestamp(_ column: Int32) throws -> Timestamp { Timestamp(milliseconds: try self.int64(column)) }
    /// A timestamp, `nil` for null.
    func optionalTimestamp(_ column: Int32) throws -> Timestamp? {
        try self.optionalInt64(column).map { Timestamp(milliseconds: $0) }
    }
    /// A text.
    func text(_ column: Int32) throws -> String { try self.required(self.optionalText(column), column) }
    /// Bytes.
    func blob(_ column: Int32) throws -> [UInt8] { try self.required(self.optionalBlob(column), column) }
    /// A hash of 32 bytes.
    func hash(_ column: Int32) throws -> BlobHash {
        guard let hash = BlobHash(bytes: try self.blob(column)) else {
            throw StoreError(.corrupt, "a stored hash does not have 32 bytes")
        }
        return hash
    }

    private func required<Value>(_ value: Value?, _ column: Int32) throws -> Value {
        guard let value else { throw StoreError(.corrupt, "a stored value is missing in column \(column)") }
        return value
    }
}

/// Rows of one table to be written together, column by column.
struct RowBatch {
    /// How many bytes a column of numbers has in PostgreSQL.
    enum Width {
        case two, four, eight
    }

    /// One column's values, a row each.
    enum Values {
        case numbers([Int64?], Width)
        case texts([String?])
        case bytes([[UInt8]?])
    }

    /// The table.
    let table: String
    /// The key by which a row replaces an older one; without it a second row of the same key is an error, and many rows are
    /// copied, for which each column of numbers must have the ``Width`` of the table's.
    let key: StaticString?
    /// How many rows there are.
    let count: Int
    private(set) var columns: [(name: StaticString, values: Values)] = []

    /// Begins a batch of so many rows.
    init(_ table: String, replacingBy key: StaticString? = nil, count: Int) {
        self.table = table
        self.key = key
        self.count = count
    }

    /// Adds a column of numbers.
    mutating func add(_ name: StaticString, numbers: some Sequence<Int64?>, _ width: Width = .eight) {
        self.add(name, .numbers(Array(numbers), width))
    }

    /// Adds a column of texts.
    mutating func add(_ name: StaticString, texts: some Sequence<String?>) { self.add(name, .texts(Array(texts))) }

    /// Adds a column of bytes.
    mutating func add(_ name: StaticString, bytes: some Sequence<[UInt8]?>) { self.add(name, .bytes(Array(bytes))) }

    private mutating func add(_ name: StaticString, _ values: Values) {
        let count =
            switch values {
            case .numbers(let values, _): values.count
            case .texts(let values): values.count
            case .bytes(let values): values.count
            }
        precondition(count == self.count, "column \(name) of \(self.table) has \(count) of \(self.count) values")
        self.columns.append((name, values))
    }

    /// The statement that writes the rows which `source` yields: `VALUES …` or a SELECT.
    func insertion(from source: String) -> String {
        let names = self.columns.map { "\($0.name)" }
        var sql = "INSERT INTO \(self.table)(\(names.joined(separator: ", "))) \(source)"
        if let key = self.key {
            let kept = Set("\(key)".split(separator: ",").map { $0.trimmingPrefix(" ") })
            let others = names.filter { !kept.contains($0[...]) }.map { "\($0) = excluded.\($0)" }
            sql += " ON CONFLICT(\(key)) DO UPDATE SET \(others.joined(separator: ", "))"
        }
        return sql
    }
}
