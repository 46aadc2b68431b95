// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite

/// A connection to an SQLite file, on the library's queue.
final class SQLiteConnection: StoreConnection {
    let database: Database
    /// Counts the commits of the writing connection; `nil` for one that only reads.
    private let commits: Commits?
    private var hasChanged = false

    /// The count of commits, and the term under which they are counted.
    struct Commits {
        let term: Int64
        let progress: StoreProgress
    }

    init(_ database: Database, commits: Commits? = nil) {
        self.database = database
        self.commits = commits
    }

    func prepare(_ sql: String) throws -> any StoreStatement { try self.statement(sql) }

    func write(_ batch: RowBatch) throws {
        let marks = batch.columns.map { _ in "?" }.joined(separator: ", ")
        let statement = try self.statement(batch.insertion(from: "VALUES (\(marks))"))
        for row in 0..<batch.count {
            for (index, column) in batch.columns.enumerated() {
                switch column.values {
                case .numbers(let values, _): statement.bind(Int32(index + 1), values[row])
                case .texts(let values): statement.bind(Int32(index + 1), values[row])
                case .bytes(let values): statement.bind(Int32(index + 1), values[row])
                }
            }
            try statement.run()
        }
    }

    // MARK: Partitions

    /// How many rows one step of ``removePartition(_:)`` removes.
    private static let removalStep = 5_000

    func makePartition(_ partition: Partition) throws { try Schema.makeTables(of: partition, self.database) }

    /// Rows go first, in steps, and the tables when little is left in them: where deleted content is overwritten, as
    /// Debian's SQLite does, a DROP writes every page of the table again, and takes seconds for a million rows.
    func removePartition(_ partition: Partition) throws -> PartitionRemoval {
        for table in [partition.deliveries, partition.recipients] {
            let last = try self.statement("SELECT id FROM \(table) ORDER BY id LIMIT 1 OFFSET ?")
                .bind(1, Self.removalStep - 1).first { try $0.int64(0) }
            if let last {
                try self.statement("DELETE FROM \(table) WHERE id <= ?").bind(1, last).run()
                return .goesOn
            }
        }
        try self.database.execute(sql: "DROP TABLE \(partition.deliveries); DROP TABLE \(partition.recipients)")
        return .done
    }

    /// The most compiled statements that a connection keeps: each partition has some of its own.
    private static let mostStatements = 512

    /// How many compiled statements there are.
    var compiledStatements: Int {
        guard let connection = self.database.sqliteConnection else { return 0 }
        var count = 0
        var statement = sqlite3_next_stmt(connection, nil)
        while let next = statement {
            count += 1
            statement = sqlite3_next_stmt(connection, next)
        }
        return count
    }

    /// Releases compiled statements if there are too many; none may be in use.
    func boundStatements() {
        if self.compiledStatements > Self.mostStatements { self.database.clearSchemaCache() }
    }

    var changedRows: Int { self.database.changesCount }

    var isInsideTransaction: Bool { self.database.isInsideTransaction }

    func noteChange() { self.hasChanged = true }

    func begin() throws {
        self.boundStatements()
        self.hasChanged = false
        try self.execute("BEGIN IMMEDIATE")
    }

    func commit() throws {
        guard self.hasChanged, let commits = self.commits else { return try self.execute("COMMIT") }
        let number = commits.progress.next()
        try self.statement("UPDATE leadership SET \"commit\" = ? WHERE term = ?").bind(1, number)
            .bind(2, commits.term).run()
        try self.execute("COMMIT")
        commits.progress.committed(number)
    }

    func rollback() throws { try self.execute("ROLLBACK") }
    func savepoint() throws { try self.execute("SAVEPOINT operation") }
    func releaseSavepoint() throws { try self.execute("RELEASE operation") }

    func rollbackToSavepoint() throws {
        try self.execute("ROLLBACK TO operation")
        try self.execute("RELEASE operation")
    }

    private func statement(_ sql: String) throws -> PreparedStatement {
        PreparedStatement(try self.database.cachedStatement(sql: sql).sqliteStatement)
    }

    private func execute(_ sql: String) throws { try self.statement(sql).run() }
}
