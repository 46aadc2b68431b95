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

    @Test("returns rows in order and counts what was changed")
    func rows() throws {
        try self.connection.execute(script: "CREATE TABLE t (a int8 PRIMARY KEY, b text); CREATE INDEX ON t (b)")
        let inserted = try self.connection.query(
            "INSERT INTO t SELECT * FROM unnest($1::int8[], $2::text[])",
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
    }

    @Test("a deadline cancels the statement on the server and returns")
    func deadline() throws {
        let began = ContinuousClock.now
        let error = try failure {
            try self.connection.withDeadline(began + .milliseconds(100)) {
                try self.connection.query("SELECT pg_sleep(60)")
            }
        }
        #expect(error.code == .timedOut)
        #expect(error.sqlState == "57014")
        #expect(ContinuousClock.now - began < .seconds(5))
        #expect(try self.connection.query("SELECT 1").only().int(0) == 1)
    }
}
