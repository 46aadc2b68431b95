// SPDX-License-Identifier: Apache-2.0

internal import PostgreSQL

/// A connection to a PostgreSQL server, as operations use it.
final class PostgreSQLStoreConnection: StoreConnection {
    let connection: PostgreSQLConnection
    /// Whose writing connection it is; `nil` for one that only reads.
    private let leadership: Leadership?
    private let texts: StatementTexts
    private(set) var changedRows = 0
    private var hasChanged = false

    init(_ connection: PostgreSQLConnection, _ texts: StatementTexts, leadership: Leadership? = nil) {
        self.connection = connection
        self.texts = texts
        self.leadership = leadership
    }

    func prepare(_ sql: String) throws -> any StoreStatement {
        PostgreSQLStatement(self.texts.translation(of: sql), on: self)
    }

    // MARK: Rows

    /// From how many new rows on they are copied; a COPY takes one round trip more than a statement, but less of the server.
    static let fewestCopied = 50

    func write(_ batch: RowBatch) throws {
        guard batch.key != nil || batch.count < Self.fewestCopied else { return try self.copy(batch) }
        var columns: [String] = []
        var values: [PostgreSQLValue] = []
        for (index, column) in batch.columns.enumerated() {
            switch column.values {
            case .numbers(let numbers, _):
                columns.append("$\(index + 1)::bigint[]")
                values.append(.int8Array(numbers))
            case .texts(let texts):
                columns.append("$\(index + 1)::text[]")
                values.append(.textArray(texts))
            case .bytes(let bytes):
                columns.append("$\(index + 1)::bytea[]")
                values.append(.byteaArray(bytes))
            }
        }
        let source = "SELECT * FROM unnest(\(columns.joined(separator: ", ")))"
        _ = try self.query(batch.insertion(from: source), values)
    }

    /// Sends new rows while the server stores those before them; it also writes them in fewer records of its log.
    private func copy(_ batch: RowBatch) throws {
        let names = batch.columns.map { "\($0.name)" }.joined(separator: ", ")
        self.changedRows = try self.connection.copyIn(
            "COPY \(batch.table)(\(names)) FROM STDIN (FORMAT binary)"
        ) { writer in
            var fields = batch.columns.map { _ in PostgreSQLValue.null(.text) }
            for row in 0..<batch.count {
                for (index, column) in batch.columns.enumerated() {
                    switch column.values {
                    case .numbers(let numbers, let width): fields[index] = try Self.field(numbers[row], width)
                    case .texts(let texts): fields[index] = .text(orNull: texts[row])
                    case .bytes(let bytes): fields[index] = .bytea(orNull: bytes[row])
                    }
                }
                try writer.row(fields)
            }
        }
        self.leadership?.heard()
    }

    private static func field(_ number: Int64?, _ width: RowBatch.Width) throws -> PostgreSQLValue {
        guard let number else { return .null(.int8) }
        switch width {
        case .two: if let number = Int16(exactly: number) { return .int2(number) }
        case .four: if let number = Int32(exactly: number) { return .int4(number) }
        case .eight: return .int8(number)
        }
        throw StoreError(.corrupt, "\(number) does not fit its column")
    }

    func query(_ sql: String, _ values: [PostgreSQLValue]) throws -> PostgreSQLRows {
        let rows = try self.connection.query(sql, values)
        self.leadership?.heard()
        self.changedRows = rows.affected
        return rows
    }

    // MARK: Partitions

    func makePartition(_ partition: Partition) throws {
        try self.connection.execute(script: PostgreSQLSchema.tables(of: partition))
    }

    /// Drops one of the tables if nobody uses it.
    ///
    /// A dump holds its locks for hours; whoever waits for them holds the writer up, and with it everybody who reads the
    /// table after. One at a time, because the files of a large one take the server a while.
    func removePartition(_ partition: Partition) throws -> PartitionRemoval {
        let tables = [partition.recipients, partition.deliveries]
        let left = try tables.filter {
            try self.connection.query("SELECT to_regclass($1) IS NOT NULL", [.text($0)]).only().bool(0)
        }
        guard let table = left.first else { return .done }
        try self.connection.execute(script: "SAVEPOINT partition")
        do {
            try self.connection.execute(script: "LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE NOWAIT")
        } catch let error as PostgreSQLError where error.sqlState == "55P03" {
            try self.connection.execute(script: "ROLLBACK TO SAVEPOINT partition; RELEASE SAVEPOINT partition")
            return .busy
        }
        try self.connection.execute(script: "DROP TABLE \(table); RELEASE SAVEPOINT partition")
        return left.count > 1 ? .goesOn : .done
    }

    // MARK: Transactions

    var isInsideTransaction: Bool { self.connection.isOpen && self.connection.isInTransaction }

    func noteChange() { self.hasChanged = true }

    func begin() throws {
        self.hasChanged = false
        try self.connection.execute(script: "BEGIN")
        do {
            try self.leadership?.claim(self.connection)
            self.leadership?.heard()
        } catch {
            if self.isInsideTransaction { try? self.rollback() }  // the connection ends it as well
            throw error
        }
    }

    func commit() throws {
        // The server would answer the COMMIT of a failed transaction with no error but a ROLLBACK.
        guard !self.connection.isTransactionFailed else {
            throw StoreError(.database, "a statement of the transaction had failed")
        }
        do {
            try self.connection.query("COMMIT")
        } catch let error as PostgreSQLError where error.isOutcomeUnknown {
            guard let leadership = self.leadership else { throw error }
            guard try leadership.wasCommitted(lost: error) else { throw error }
        }
        // A renewal of the leadership term alone is no commit that anybody could miss.
        if self.hasChanged { self.leadership?.committed() }
    }

    func rollback() throws { try self.connection.execute(script: "ROLLBACK") }
    func savepoint() throws { try self.connection.execute(script: "SAVEPOINT operation") }
    func releaseSavepoint() throws { try self.connection.execute(script: "RELEASE SAVEPOINT operation") }

    func rollbackToSavepoint() throws {
        try self.connection.execute(script: "ROLLBACK TO SAVEPOINT operation; RELEASE SAVEPOINT operation")
    }
}
