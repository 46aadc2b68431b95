// SPDX-License-Identifier: Apache-2.0

import TestKit
import Testing
import XMLRPC

@Suite("XML-RPC writer")
struct WriterTests {
    private func response(_ value: XMLRPCValue) throws -> String {
        String(decoding: try XMLRPCWriter.response(value), as: UTF8.self)
    }

    @Test("writes a response in the layout that Python's client reads and writes")
    func writesResponse() throws {
        let document = try self.response(.structure(["id": .int(5), "ok": .bool(true)]))
        #expect(
            document == """
                <?xml version='1.0'?>
                <methodResponse>
                <params>
                <param>
                <value><struct>
                <member>
                <name>id</name>
                <value><int>5</int></value>
                </member>
                <member>
                <name>ok</name>
                <value><boolean>1</boolean></value>
                </member>
                </struct></value>
                </param>
                </params>
                </methodResponse>

                """
        )
    }

    @Test("writes a fault that reads back")
    func writesFault() throws {
        let document = XMLRPCWriter.fault(code: 404, message: "Mailing [7] <not> found!")
        #expect(
            String(decoding: document, as: UTF8.self).hasPrefix("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n")
        )
        #expect(
            try XMLRPCResponseParser.parse(document) == .fault(code: 404, message: "Mailing [7] <not> found!")
        )
    }

    @Test("refuses an int of more than 32 bits, at the edges exactly")
    func refusesWideInts() throws {
        #expect(throws: XMLRPCError.self) { try XMLRPCWriter.response(.int(2_147_483_648)) }
        #expect(throws: XMLRPCError.self) { try XMLRPCWriter.response(.array([.int(-2_147_483_649)])) }
        #expect(try self.response(.int(2_147_483_647)).contains("<int>2147483647</int>"))
        #expect(try self.response(.int(-2_147_483_648)).contains("<int>-2147483648</int>"))
        #expect(try self.response(.i8(.min)).contains("<i8>-9223372036854775808</i8>"))
        let error = #expect(throws: XMLRPCError.self) { try XMLRPCWriter.response(.int(1 << 31)) }
        #expect(error?.code == .notRepresentable)
        #expect(error?.description == "int 2147483648 exceeds XML-RPC limits")
    }

    @Test(
        "writes doubles in full, without an exponent",
        arguments: [
            (1.5, "1.5"), (-0.0, "-0.0"), (1e-7, "0.0000001"), (1e16, "10000000000000000.0"),
            (-1.25e20, "-125000000000000000000.0"),
            (3.0, "3.0"), (1.234567e-10, "0.0000000001234567"), (123456789.125, "123456789.125"),
        ]
    )
    func writesDoubles(number: Double, text: String) throws {
        #expect(try self.response(.double(number)).contains("<double>\(text)</double>"))
    }

    @Test("refuses doubles that are not finite", arguments: [Double.nan, .infinity, -.infinity])
    func refusesNonFinite(number: Double) {
        #expect(throws: XMLRPCError.self) { try XMLRPCWriter.response(.double(number)) }
    }

    @Test("every finite double reads back as itself")
    func roundTripsDoubles() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<2_000 {
            let number = Double(bitPattern: generator.next())
            guard number.isFinite else { continue }
            let document = try XMLRPCWriter.response(.double(number))
            #expect(try XMLRPCResponseParser.parse(document) == .success(.double(number)))
        }
    }

    @Test("writes base64 as lines of 76 characters")
    func writesBase64() throws {
        let document = try self.response(.base64([UInt8](repeating: 0xFF, count: 60)))
        let line = String(repeating: "/", count: 76)
        #expect(document.contains("<value><base64>\n\(line)\n////\n</base64></value>\n"))
    }

    @Test("base64 of every length reads back")
    func roundTripsBase64() throws {
        for length in 0..<130 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let document = try XMLRPCWriter.response(.base64(bytes))
            #expect(try XMLRPCResponseParser.parse(document) == .success(.base64(bytes)))
        }
    }

    @Test("escapes markup and replaces what XML cannot carry")
    func escapesText() throws {
        let document = try self.response(.string("<a&b>\u{0}\u{B}\r\n\t\u{FFFE}\u{FFFF}\u{FFFD}é\u{7F}"))
        #expect(
            document.contains(
                "<string>&lt;a&amp;b&gt;\u{FFFD}\u{FFFD}&#13;\n\t\u{FFFD}\u{FFFD}\u{FFFD}é\u{7F}</string>"
            )
        )
    }

    @Test("writes a time with a zone in UTC and drops its fraction")
    func writesDates() throws {
        let date = try #require(XMLRPCDateTime(parsing: "2026-01-02T00:30:05.75+01:00".utf8))
        #expect(try self.response(.dateTime(date)).contains("<dateTime.iso8601>20260101T23:30:05</dateTime.iso8601>"))
    }

    @Test("what is written reads back, whatever the value")
    func roundTripsValues() throws {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<300 {
            let call = XMLRPCCall(
                method: "m",
                parameters: (0..<3).map { _ in Self.randomValue(depth: 4, using: &generator) }
            )
            let document = try XMLRPCWriter.call(call)
            #expect(try XMLRPCRequestParser.parse(document) == call)
        }
    }

    private static func randomValue(depth: Int, using generator: inout SeededGenerator) -> XMLRPCValue {
        switch Int.random(in: 0..<(depth > 0 ? 10 : 8), using: &generator) {
        case 0: return .int(Int(Int32.random(in: .min ... .max, using: &generator)))
        case 1: return .i8(Int64.random(in: .min ... .max, using: &generator))
        case 2: return .bool(Bool.random(using: &generator))
        case 3:
            let scalars = (0..<Int.random(in: 0...30, using: &generator)).compactMap { _ in
                Unicode.Scalar(UInt32.random(in: 0x20...0x2FF, using: &generator))
            }
            return .string(String(String.UnicodeScalarView(scalars)))
        case 4: return .double(Double.random(in: -1e9...1e9, using: &generator))
        case 5:
            return .dateTime(
                XMLRPCDateTime(unixSeconds: Int64.random(in: -60_000_000_000...253_000_000_000, using: &generator))
            )
        case 6: return .base64((0..<20).map { _ in UInt8.random(in: 0...255, using: &generator) })
        case 7: return .nil
        case 8: return .array((0..<3).map { _ in Self.randomValue(depth: depth - 1, using: &generator) })
        default:
            return .structure(
                XMLRPCStructure(
                    (0..<3).map {
                        XMLRPCStructure.Member(
                            name: "m & \($0)",
                            value: Self.randomValue(depth: depth - 1, using: &generator)
                        )
                    }
                )
            )
        }
    }
}
