// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("COPY")
struct CopyTests {
    let database: TestDatabase
    let connection: PostgreSQLConnection
    private let copyIn = "COPY t (a, b, c, d, e, f) FROM STDIN (FORMAT binary)"
    private let copyOut = "COPY (SELECT * FROM t ORDER BY a) TO STDOUT (FORMAT binary)"

    init() throws {
        self.database = try TestDatabase()
        self.connection = try self.database.connect()
        try self.connection.execute(
            script: "CREATE TABLE t (a int8 PRIMARY KEY, b text, c int4, d bool, e bytea, f float8)"
        )
    }

    private func row(_ number: Int) -> [PostgreSQLValue] {
        [
            .int8(Int64(number)), number % 7 == 0 ? .null(.text) : .text("someone-\(number)@example.org"),
            .int4(Int32(number)), .bool(number % 2 == 0), .bytea([0, UInt8(number % 256)]), .double(Double(number) / 2),
        ]
    }

    private func count() throws -> Int { try self.connection.query("SELECT count(*) FROM t").only().int(0) }

    @Test("brings 100,000 rows in and out as they were")
    func roundTrip() throws {
        let copied = try self.connection.copyIn(self.copyIn) { writer in
            for number in 0..<100_000 { try writer.row(self.row(number)) }
        }
        #expect(copied == 100_000)
        var number = 0
        var differences = 0
        let visited = try self.connection.copyOut(self.copyOut) { row in
            let text = number % 7 == 0 ? nil : "someone-\(number)@example.org"
            let isSame =
                try row.int(0) == number && row.optionalText(1) == text && row.int(2) == number
                && row.bool(3) == (number % 2 == 0) && row.bytes(4) == [0, UInt8(number % 256)]
                && row.double(5) == Double(number) / 2 && row.columns == 6
            if !isSame { differences += 1 }
            number += 1
        }
        #expect(visited == 100_000)
        #expect(number == 100_000)
        #expect(differences == 0)
    }

    @Test("no rows, and one row of a megabyte")
    func extremes() throws {
        #expect(try self.connection.copyIn(self.copyIn) { _ in } == 0)
        #expect(try self.connection.copyOut(self.copyOut) { _ in Issue.record("there is no row") } == 0)
        var row = self.row(1)
        row[4] = .bytea(Array(repeating: 7, count: 1 << 20))
        #expect(try self.connection.copyIn(self.copyIn) { try $0.row(row) } == 1)
        var length = 0
        try self.connection.copyOut(self.copyOut) { length = try $0.bytes(4).count }
        #expect(length == 1 << 20)
    }

    @Test("the server's refusal in the middle leaves a usable connection and no rows")
    func refusal() throws {
        let error = try failure {
            try self.connection.copyIn(self.copyIn) { writer in
                for number in 0..<50_000 { try writer.row(self.row(number % 40_000)) }
            }
        }
        #expect(error.isUniqueViolation)
        #expect(error.statement == self.copyIn)
        #expect(try self.count() == 0)
    }

    @Test("an error of the writer leaves a usable connection and no rows")
    func writerError() throws {
        #expect(throws: TimedOut.self) {
            try self.connection.copyIn(self.copyIn) { writer in
                for number in 0..<10_000 { try writer.row(self.row(number)) }
                throw TimedOut(what: "")
            }
        }
        #expect(try self.count() == 0)
    }

    @Test("a row that cannot be encoded can be left out")
    func refusedRow() throws {
        let copied = try self.connection.copyIn(self.copyIn) { writer in
            try writer.row(self.row(1))
            var bad = self.row(2)
            bad[1] = .text("\0")
            #expect(throws: PostgreSQLError.self) { try writer.row(bad) }
            #expect(throws: PostgreSQLError.self) { try writer.row([.int8(2)]) }
            try writer.row(self.row(3))
        }
        #expect(copied == 2)
    }

    @Test("an error of the visitor ends the COPY early and leaves a usable connection")
    func visitorError() throws {
        var visits = 0
        #expect(throws: TimedOut.self) {
            let endless = "COPY (SELECT generate_series(1, 100000000)) TO STDOUT (FORMAT binary)"
            try self.connection.copyOut(endless) { _ in
                visits += 1
                if visits == 1_000 { throw TimedOut(what: "") }
            }
        }
        #expect(visits == 1_000)
        #expect(try self.count() == 0)
    }

    @Test("an error of the server in the middle of a COPY out is reported")
    func failingQuery() throws {
        let error = try failure {
            try self.connection.copyOut(
                "COPY (SELECT 1 / (5000 - n) FROM generate_series(1, 10000) n) TO STDOUT (FORMAT binary)"
            ) { _ in }
        }
        #expect(error.sqlState == "22012")
        #expect(try self.count() == 0)
    }

    @Test("a deadline ends a COPY in both directions")
    func deadline() throws {
        let outward = try failure {
            try self.connection.withDeadline(.now + .milliseconds(100)) {
                let endless = "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT (FORMAT binary)"
                return try self.connection.copyOut(endless) { _ in }
            }
        }
        #expect(outward.code == .timedOut)
        let inward = try failure {
            try self.connection.withDeadline(.now + .milliseconds(100)) {
                try self.connection.copyIn(self.copyIn) { writer in
                    for number in 0... { try writer.row(self.row(number)) }
                }
            }
        }
        #expect(inward.code == .timedOut)
        #expect(try self.count() == 0)
    }

    @Test("what is not a binary COPY in that direction is refused")
    func misuse() throws {
        for sql in ["COPY t FROM STDIN", self.copyOut, "SELECT 1"] {
            #expect(try failure { try self.connection.copyIn(sql) { _ in } }.code == .misuse)
        }
        for sql in ["COPY t TO STDOUT", self.copyIn, "SELECT 1"] {
            #expect(try failure { try self.connection.copyOut(sql) { _ in } }.code == .misuse)
        }
        #expect(try failure { try self.connection.copyOut("COPY absent TO STDOUT") { _ in } }.sqlState == "42P01")
        #expect(try self.count() == 0)
    }

    @Test("the connection, a kept writer and a kept row cannot be used out of place")
    func confinement() throws {
        var kept: PostgreSQLCopyWriter?
        try self.connection.copyIn(self.copyIn) { writer in
            kept = writer
            #expect(try failure { try self.connection.query("SELECT 1") }.code == .misuse)
            try writer.row(self.row(1))
            try writer.row(self.row(2))
        }
        let writer = try #require(kept)
        #expect(try failure { try writer.row(self.row(3)) }.code == .misuse)
        var row: PostgreSQLRow?
        try self.connection.copyOut(self.copyOut) { row = row ?? $0 }
        let first = try #require(row)
        #expect(try failure { try first.int(0) }.code == .misuse)
    }
}
