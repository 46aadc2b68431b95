// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("Statements")
struct StatementTests {
    let database: TestDatabase
    let connection: PostgreSQLConnection

    init() throws {
        self.database = try TestDatabase()
        self.connection = try self.database.connect()
    }

    private func prepared() throws -> Int {
        try self.connection.query("SELECT count(*) FROM pg_prepared_statements").only().int(0)
    }

    @Test("returns rows in order and counts what was changed")
    func rows() throws {
        try self.connection.execute(script: "CREATE TABLE t (a int8 PRIMARY KEY, b text); CREATE INDEX ON t (b)")
        let inserted = try self.connection.query(
            "INSERT INTO t SELECT * FROM unnest($1, $2)",
            [.int8Array([1, 2, 3]), .textArray(["one", nil, ""])]
        )
        #expect(inserted.affected == 3)
        let rows = try self.connection.query(
            "SELECT a, b FROM t WHERE a = ANY($1) ORDER BY a",
            [.int8Array([1, 2, 3])]
        )
        #expect(try rows.map { try $0.int(0) } == [1, 2, 3])
        #expect(try rows.map { try $0.optionalText(1) } == ["one", nil, ""])
        #expect(rows.name(ofColumn: 1) == "b")
        #expect(try self.connection.query("").isEmpty)
    }

    @Test("a refusal carries SQLSTATE, statement and constraint, and the connection goes on")
    func refusal() throws {
        try self.connection.execute(script: "CREATE TABLE t (a int8 CONSTRAINT only_once PRIMARY KEY)")
        let sql = "INSERT INTO t VALUES ($1)"
        try self.connection.query(sql, [.int8(7)])
        let error = try failure { try self.connection.query(sql, [.int8(7)]) }
        #expect(error.code == .server)
        #expect(error.isUniqueViolation)
        #expect(error.constraint == "only_once")
        #expect(error.statement == sql)
        #expect(error.detail?.contains("7") == true)
        #expect(!"\(error)".contains("(7)"))
        #expect(!error.isOutcomeUnknown)
        #expect(try self.connection.query("SELECT count(*) FROM t").only().int(0) == 1)
        #expect(try failure { try self.connection.query("SELEC 1") }.sqlState == "42601")
        #expect(try failure { try self.connection.execute(script: "SELECT 1; SELEC 1") }.sqlState == "42601")
        #expect(try failure { try self.connection.query("SELECT * FROM pg_authid") }.isMissingRights)
        #expect(try failure { try self.connection.query("COPY t TO STDOUT") }.code == .misuse)
        #expect(try failure { try self.connection.query("COPY t FROM STDIN") }.code == .misuse)
        #expect(
            try failure { try self.connection.execute(script: "COPY t FROM STDIN; COPY t TO STDOUT") }.code == .misuse
        )
        #expect(try self.connection.query("SELECT count(*) FROM t").only().int(0) == 1)
    }

    @Test("statements are prepared once, and the least used are deallocated")
    func cache() throws {
        var configuration = try self.database.configuration()
        configuration.preparedStatements = 5
        let connection = try PostgreSQLConnection(configuration)
        for number in 0..<40 { #expect(try connection.query("SELECT \(number)").only().int(0) == number) }
        for _ in 0..<10 { #expect(try connection.query("SELECT $1", [.int8(1)]).only().int(0) == 1) }
        #expect(try connection.query("SELECT $1", [.text("a")]).only().text(0) == "a")
        let kept = try connection.query("SELECT count(*) FROM pg_prepared_statements").only().int(0)
        #expect(kept == 5 || kept == 6)
    }

    @Test("statements survive DISCARD ALL", arguments: ["DISCARD ALL", "DEALLOCATE ALL"])
    func discard(command: String) throws {
        #expect(try self.prepared() == 1)
        try self.connection.query(command)
        #expect(try self.prepared() == 1)
        // Behind our back the server's refusal is the only sign.
        try self.connection.execute(script: command)
        #expect(try self.prepared() == 1)
    }

    @Test("statements survive ALTER TABLE under them")
    func staleness() throws {
        try self.connection.execute(script: "CREATE TABLE t (a int4); INSERT INTO t VALUES (1)")
        let sql = "SELECT * FROM t"
        #expect(try self.connection.query(sql).only().columns == 1)
        try self.connection.execute(script: "ALTER TABLE t ADD b text DEFAULT 'x'")
        #expect(try self.connection.query(sql).only().columns == 2)
        try self.connection.execute(script: "ALTER TABLE t ALTER a TYPE int8")
        let error = try failure { try self.connection.transaction { try self.connection.query(sql) } }
        #expect(error.isStaleStatement)
        #expect(try self.connection.transaction { try self.connection.query(sql).only().columns } == 2)
    }

    @Test("a deadline cancels the statement on the server and returns")
    func deadline() throws {
        let began = ContinuousClock.now
        let error = try failure {
            try self.connection.withDeadline(began + .milliseconds(100)) {
                try self.connection.query("SELECT pg_sleep(600)")
            }
        }
        #expect(error.code == .timedOut)
        #expect(error.sqlState == "57014")
        #expect(ContinuousClock.now - began < .seconds(300))
        #expect(try self.connection.query("SELECT 1").only().int(0) == 1)
        self.connection.statementTimeout = .milliseconds(50)
        #expect(try failure { try self.connection.execute(script: "SELECT pg_sleep(600)") }.code == .timedOut)
        let late = try failure { try self.connection.withDeadline(.now) { try self.connection.query("SELECT 1") } }
        #expect(late.code == .timedOut)
        #expect(try self.connection.query("SELECT 1").only().int(0) == 1)
    }

    @Test("the results of a statement that answers with much are read whole")
    func large() throws {
        let rows = try self.connection.query("SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n")
        #expect(rows.count == 20_000)
        #expect(try rows[19_999].int(0) == 20_000)
    }
}

@Suite("Transactions")
struct TransactionTests {
    let connection: PostgreSQLConnection

    init() throws {
        self.connection = try TestDatabase().connect()
        try self.connection.execute(script: "CREATE TABLE t (a int8 UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    }

    private func count() throws -> Int { try self.connection.query("SELECT count(*) FROM t").only().int(0) }

    @Test("commits when the work returns, rolls back when it throws")
    func both() throws {
        let answer = try self.connection.transaction {
            try self.connection.query("INSERT INTO t VALUES (1)")
            #expect(self.connection.isInTransaction)
            return 5
        }
        #expect(answer == 5)
        #expect(throws: TimedOut.self) {
            try self.connection.transaction {
                try self.connection.query("INSERT INTO t VALUES (2)")
                throw TimedOut(what: "")
            }
        }
        #expect(!self.connection.isInTransaction)
        #expect(try self.count() == 1)
        #expect(
            try failure { try self.connection.transaction("READ ONLY") { try self.connection.query("DELETE FROM t") } }
                .sqlState == "25006"
        )
    }

    @Test("a refused COMMIT is an error with nothing left open")
    func refusedCommit() throws {
        let error = try failure {
            try self.connection.transaction { try self.connection.query("INSERT INTO t VALUES (1), (1)") }
        }
        #expect(error.isUniqueViolation)
        #expect(!self.connection.isInTransaction)
        #expect(try self.count() == 0)
    }

    @Test("a failure that the work hides is not taken for a commit")
    func hiddenFailure() throws {
        let error = try failure {
            try self.connection.transaction {
                try self.connection.query("INSERT INTO t VALUES (1)")
                _ = try? self.connection.query("SELECT 1 / 0")
                #expect(self.connection.isTransactionFailed)
            }
        }
        #expect(error.code == .rolledBack)
        #expect(try self.count() == 0)
    }

    @Test("one inside another, and one that was ended inside, are errors")
    func misuse() throws {
        #expect(try failure { try self.connection.transaction { try self.connection.transaction {} } }.code == .misuse)
        #expect(try failure { try self.connection.transaction { try self.connection.query("COMMIT") } }.code == .misuse)
        #expect(!self.connection.isInTransaction)
    }

    @Test("is rolled back although the deadline has passed")
    func lateRollback() throws {
        let error = try failure {
            try self.connection.withDeadline(.now + .milliseconds(100)) {
                try self.connection.transaction {
                    try self.connection.query("INSERT INTO t VALUES (1)")
                    try self.connection.query("SELECT pg_sleep(600)")
                }
            }
        }
        #expect(error.code == .timedOut)
        #expect(!self.connection.isInTransaction)
        #expect(self.connection.isOpen)
        #expect(try self.count() == 0)
    }
}
