// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite

/// A connection to an SQLite file, on the library's queue.
final class SQLiteConnection: StoreConnection {
    let database: Database

    init(_ database: Database) { self.database = database }

    func prepare(_ sql: String) throws -> any StoreStatement { try self.statement(sql) }

    func write(_ batch: RowBatch) throws {
        let marks = batch.columns.map { _ in "?" }.joined(separator: ", ")
        let statement = try self.statement(batch.insertion(from: "VALUES (\(marks))"))
        for row in 0..<batch.count {
            for (index, column) in batch.columns.enumerated() {
                switch column.values {
                case .numbers(let values): statement.bind(Int32(index + 1), values[row])
                case .texts(let values): statement.bind(Int32(index + 1), values[row])
                case .octets(let values): statement.bind(Int32(index + 1), values[row])
                }
            }
            try statement.run()
        }
    }

    var changedRows: Int { self.database.changesCount }

    var isInsideTransaction: Bool { self.database.isInsideTransaction }

    func begin() throws { try self.execute("BEGIN IMMEDIATE") }
    func commit() throws { try self.execute("COMMIT") }
    func rollback() throws { try self.execute("ROLLBACK") }
    func savepoint() throws { try self.execute("SAVEPOINT verb") }
    func releaseSavepoint() throws { try self.execute("RELEASE verb") }

    func rollbackToSavepoint() throws {
        try self.execute("ROLLBACK TO verb")
        try self.execute("RELEASE verb")
    }

    private func statement(_ sql: String) throws -> PreparedStatement {
        PreparedStatement(try self.database.cachedStatement(sql: sql).sqliteStatement)
    }

    private func execute(_ sql: String) throws { try self.statement(sql).run() }
}
