// SPDX-License-Identifier: Apache-2.0

import PostgreSQL
import TestPostgreSQL
import Testing

@Suite("Values and rows")
struct ValueTests {
    let connection: PostgreSQLConnection

    init() throws { self.connection = try TestDatabase().connect() }

    private func echo(_ value: PostgreSQLValue, _ type: String) throws -> PostgreSQLRow {
        try self.connection.query("SELECT $1::\(type)", [value]).only()
    }

    @Test("numbers return as they were sent, extremes among them")
    func numbers() throws {
        for number in [Int16.min, -1, 0, 1, Int16.max] {
            #expect(try self.echo(.int2(number), "int2").int(0) == Int(number))
            #expect(try self.echo(.int2(number), "int2").int32(0) == Int32(number))
        }
        for number in [Int32.min, -1, 0, 1, Int32.max] {
            #expect(try self.echo(.int4(number), "int4").int64(0) == Int64(number))
            #expect(try self.echo(.int4(number), "int4").int32(0) == number)
        }
        for number in [Int64.min, -1, 0, 1, Int64.max] {
            #expect(try self.echo(.int8(number), "int8").int64(0) == number)
        }
        for number in [0, -0.0, 1.5, .greatestFiniteMagnitude, .leastNonzeroMagnitude, .infinity, -.infinity] {
            #expect(try self.echo(.double(number), "float8").double(0).bitPattern == number.bitPattern)
        }
        #expect(try self.echo(.double(.nan), "float8").double(0).isNaN)
        #expect(try self.connection.query("SELECT 0.5::float4, 4294967295::oid").only().double(0) == 0.5)
        #expect(try self.connection.query("SELECT 0.5::float4, 4294967295::oid").only().int(1) == 4_294_967_295)
        #expect(try self.echo(.bool(true), "bool").bool(0))
        #expect(try !self.echo(.bool(false), "bool").bool(0))
    }

    @Test("text and bytes return as they were sent, empty and long ones among them")
    func texts() throws {
        let long = String(repeating: "ärger und 🦉 ", count: 40_000)
        for text in ["", "a", "é", "🦉", "'; DROP TABLE t; --", "line\nbreak\u{1}", long] {
            #expect(try self.echo(.text(text), "text").text(0) == text)
        }
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
        for value in [[], [0], [0, 255, 0], bytes] {
            #expect(try self.echo(.bytea(value), "bytea").bytes(0) == value)
        }
    }

    @Test("null of each type returns as null", arguments: PostgreSQLType.allCases)
    func nulls(type: PostgreSQLType) throws {
        let row = try self.connection.query("SELECT $1", [.null(type)]).only()
        #expect(try row.isNull(0))
        #expect(try row.optionalInt(0) == nil)
        #expect(try row.optionalInt32(0) == nil)
        #expect(try row.optionalBool(0) == nil)
        #expect(try row.optionalDouble(0) == nil)
        #expect(try row.optionalText(0) == nil)
        #expect(try row.optionalBytes(0) == nil)
        #expect(try failure { try row.int(0) }.code == .unexpectedValue)
        #expect(try failure { try row.textArray(0) }.code == .unexpectedValue)
    }

    @Test("arrays return as they were sent, empty ones and null elements among them")
    func arrays() throws {
        #expect(try self.echo(.int2Array([.min, nil, .max]), "int2[]").int64Array(0) == [-32_768, nil, 32_767])
        #expect(
            try self.echo(.int4Array([.min, nil, .max]), "int4[]").int64Array(0) == [-1 << 31, nil, (1 << 31) - 1]
        )
        #expect(try self.echo(.int8Array([.min, nil, .max]), "int8[]").int64Array(0) == [.min, nil, .max])
        #expect(
            try self.echo(.textArray(["", nil, "NULL", "{\"a\"}"]), "text[]").textArray(0) == [
                "", nil, "NULL", "{\"a\"}",
            ]
        )
        #expect(try self.echo(.byteaArray([[], nil, [0, 1]]), "bytea[]").bytesArray(0) == [[], nil, [0, 1]])
        #expect(try self.echo(.boolArray([true, nil, false]), "bool[]").boolArray(0) == [true, nil, false])
        #expect(try self.echo(.int8Array([]), "int8[]").int64Array(0).isEmpty)
        #expect(try self.echo(.textArray([]), "text[]").textArray(0).isEmpty)
        #expect(try self.connection.query("SELECT cardinality($1)", [.int8Array([nil])]).only().int(0) == 1)
        let many = (0..<100_000).map { Optional(Int64($0)) }
        #expect(try self.echo(.int8Array(many), "int8[]").int64Array(0) == many)
    }

    @Test("text with U+0000 is refused before anything is sent")
    func zero() throws {
        let error = try failure { try self.echo(.text("a\0b"), "text") }
        #expect(error.code == .invalidValue)
        #expect(error.message.contains("U+0000"))
        #expect(error.statement == "SELECT $1::text")
        #expect(try failure { try self.echo(.textArray(["a", "\0"]), "text[]") }.code == .invalidValue)
        #expect(try failure { try self.connection.query("SELECT 1\0") }.code == .invalidValue)
        #expect(try failure { try self.connection.execute(script: "SELECT 1\0") }.code == .invalidValue)
        #expect(try self.echo(.text("ab"), "text").text(0) == "ab")
    }

    @Test("more parameters than PostgreSQL takes are refused, as many are not")
    func manyParameters() throws {
        let values = Array(repeating: PostgreSQLValue.int4(1), count: 65_536)
        #expect(try failure { try self.connection.query("SELECT 1", values) }.code == .invalidValue)
        let sql = "SELECT " + (1...1_600).map { "$\($0)::int4" }.joined(separator: "+")
        #expect(try self.connection.query(sql, Array(values.prefix(1_600))).only().int(0) == 1_600)
    }

    @Test("a column is not read as what it does not hold")
    func mismatch() throws {
        let row = try self.connection.query("SELECT 'a'::text, 70000::int8 << 20, 1.5::numeric, '{{1,2}}'::int4[]")
            .only()
        #expect(try failure { try row.int(0) }.code == .unexpectedValue)
        #expect(try failure { try row.bytes(0) }.code == .unexpectedValue)
        #expect(try failure { try row.int32(1) }.code == .unexpectedValue)
        #expect(try failure { try row.text(1) }.code == .unexpectedValue)
        #expect(try failure { try row.double(2) }.code == .unexpectedValue)
        #expect(try failure { try row.int64Array(3) }.code == .unexpectedValue)
        #expect(try failure { try row.int(4) }.code == .unexpectedValue)
        #expect(try failure { try row.int(-1) }.code == .unexpectedValue)
        #expect(try failure { try self.connection.query("SELECT 1 WHERE false").only() }.code == .unexpectedValue)
    }
}
