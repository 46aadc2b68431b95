// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("Pipelines")
struct PipelineTests {
    let connection: PostgreSQLConnection

    init() throws {
        self.connection = try TestDatabase().connect()
        try self.connection.execute(script: "CREATE TABLE t (a int8 PRIMARY KEY)")
    }

    private func count() throws -> Int { try self.connection.query("SELECT count(*) FROM t").only().int(0) }

    @Test("answers come in the order of the statements")
    func order() throws {
        let answers = try self.connection.pipeline { pipeline in
            for number in 0..<3_000 { try pipeline.query("SELECT $1", [.int8(Int64(number))]) }
        }
        #expect(try answers.map { try $0.only().int(0) } == Array(0..<3_000))
        #expect(try self.connection.pipeline { _ in }.isEmpty)
    }

    @Test("10,000 statements with large parameters and large answers do not block each other")
    func large() throws {
        let bytes = Array(repeating: UInt8(1), count: 20_000)
        var numbers = 0
        var total = 0
        try self.connection.pipeline { pipeline in
            for _ in 0..<10_000 { try pipeline.query("SELECT $1 || $1", [.bytea(bytes)]) }
        } each: { number, rows in
            if number == numbers { numbers += 1 }
            total += try rows.only().withBytes(0) { $0?.count ?? 0 }
        }
        #expect(numbers == 10_000)
        #expect(total == 10_000 * 40_000)
    }

    @Test("an error in the middle undoes all, names the statement and leaves a usable connection")
    func middle() throws {
        var answered = 0
        let error = try failure {
            try self.connection.pipeline { pipeline in
                for number in 0..<5_000 {
                    try pipeline.query("INSERT INTO t VALUES ($1)", [.int8(Int64(number == 4_000 ? 1 : number))])
                }
            } each: { _, _ in
                answered += 1
            }
        }
        #expect(error.isUniqueViolation)
        #expect(error.statementIndex == 4_000)
        #expect(error.statement == "INSERT INTO t VALUES ($1)")
        #expect(answered == 4_000)
        #expect(try self.count() == 0)
    }

    @Test("a statement that cannot be prepared names itself and is not kept")
    func unprepared() throws {
        let error = try failure {
            try self.connection.pipeline { pipeline in
                try pipeline.query("INSERT INTO t VALUES (1)")
                try pipeline.query("SELECT * FROM absent")
                try pipeline.query("SELECT 'never prepared'")
            }
        }
        #expect(error.sqlState == "42P01")
        #expect(error.statementIndex == 1)
        #expect(error.statement == "SELECT * FROM absent")
        try self.connection.execute(script: "CREATE TABLE absent ()")
        #expect(try self.connection.query("SELECT * FROM absent").isEmpty)
        #expect(try self.connection.query("SELECT 'never prepared'").count == 1)
        #expect(try self.count() == 0)
    }

    @Test("an error of the builder or of the visitor undoes all")
    func ownErrors() throws {
        #expect(throws: TimedOut.self) {
            try self.connection.pipeline { pipeline in
                for number in 0..<200 { try pipeline.query("INSERT INTO t VALUES ($1)", [.int8(Int64(number))]) }
                throw TimedOut(what: "")
            }
        }
        #expect(try self.count() == 0)
        #expect(throws: TimedOut.self) {
            try self.connection.pipeline { pipeline in
                for number in 0..<20_000 { try pipeline.query("INSERT INTO t VALUES ($1)", [.int8(Int64(number))]) }
            } each: { number, _ in
                if number == 10 { throw TimedOut(what: "") }
            }
        }
        #expect(try self.count() == 0)
        #expect(
            try failure { try self.connection.pipeline { try $0.query("SELECT $1", [.text("\0")]) } }.code
                == .invalidValue
        )
        #expect(try self.connection.query("SELECT 1").count == 1)
    }

    @Test("takes part in an open transaction")
    func transaction() throws {
        try self.connection.transaction {
            try self.connection.pipeline { pipeline in
                for number in 0..<10 { try pipeline.query("INSERT INTO t VALUES ($1)", [.int8(Int64(number))]) }
            }
            #expect(self.connection.isInTransaction)
        }
        #expect(try self.count() == 10)
    }

    @Test("a deadline ends it")
    func deadline() throws {
        let error = try failure {
            try self.connection.withDeadline(.now + .milliseconds(100)) {
                try self.connection.pipeline { pipeline in
                    try pipeline.query("INSERT INTO t VALUES (1)")
                    for _ in 0..<3 { try pipeline.query("SELECT pg_sleep(600)") }
                }
            }
        }
        #expect(error.code == .timedOut)
        #expect(try self.count() == 0)
    }

    @Test("COPY in it is refused at the price of the connection")
    func copy() throws {
        let error = try failure { try self.connection.pipeline { try $0.query("COPY t FROM STDIN") } }
        #expect(error.code == .misuse || error.code == .connectionLost)
        #expect(!self.connection.isOpen)
    }
}
