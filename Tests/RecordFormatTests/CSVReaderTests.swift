// SPDX-License-Identifier: Apache-2.0

import RecordFormat
import TestKit
import Testing

@Suite("CSV, RFC 4180")
struct CSVReaderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var found: [Found]
        var testDescription: String { self.name }
    }

    static let cases: [Case] = [
        Case(name: "nothing", text: "", found: []),
        Case(name: "CRLF", text: "a,b\r\nc,d\r\n", found: [.row(["a", "b"], line: 1), .row(["c", "d"], line: 2)]),
        Case(name: "LF, none at the end", text: "a\nb", found: [.row(["a"], line: 1), .row(["b"], line: 2)]),
        Case(name: "CR", text: "a,b\rc,d\r", found: [.row(["a", "b"], line: 1), .row(["c", "d"], line: 2)]),
        Case(
            name: "empty lines count but are no records",
            text: "\r\na\r\n\r\n\nb\r\r",
            found: [.row(["a"], line: 2), .row(["b"], line: 5)]
        ),
        Case(
            name: "empty fields",
            text: ",\n\"\",a,\n",
            found: [.row(["", ""], line: 1), .row(["", "a", ""], line: 2)]
        ),
        Case(
            name: "line breaks of every kind in quotes",
            text: "\"a\r\nb\rc\nd\",x\ny",
            found: [.row(["a\r\nb\rc\nd", "x"], line: 1), .row(["y"], line: 5)]
        ),
        Case(
            name: "doubled quotes and delimiters in quotes",
            text: "\"say \"\"yes\"\", \",\"\"\"\"\n",
            found: [.row(["say \"yes\", ", "\""], line: 1)]
        ),
        Case(
            name: "a quote inside an unquoted field",
            text: "5\" pipe,b\n",
            found: [.row(["5\" pipe", "b"], line: 1)]
        ),
        Case(
            name: "text after a closing quote refuses its record alone",
            text: "a\nb,\"c\"d,e\nf\n",
            found: [
                .row(["a"], line: 1), .refused(.textAfterQuote, line: 2, column: 2), .row(["f"], line: 3),
            ]
        ),
        Case(
            name: "a quote that is not closed",
            text: "a\n\"b\nc",
            found: [.row(["a"], line: 1), .refused(.openQuote, line: 2, column: 1)]
        ),
        Case(name: "a closing quote at the very end", text: "\"a\"", found: [.row(["a"], line: 1)]),
        Case(name: "an empty last field at the very end", text: "a,", found: [.row(["a", ""], line: 1)]),
        Case(name: "text in several scripts", text: "Zoë,日本\n", found: [.row(["Zoë", "日本"], line: 1)]),
    ]

    @Test("reads records, wherever the input is cut", arguments: Self.cases)
    func table(_ row: Case) throws {
        let bytes = Array(row.text.utf8)
        for length in 1...max(bytes.count, 1) {
            #expect(try readCSV(pieces(bytes, of: length)) == row.found, "cut every \(length) bytes")
        }
        for cut in 0...bytes.count {
            #expect(try readCSV([bytes[..<cut], bytes[cut...]]) == row.found, "cut after \(cut) bytes")
        }
    }

    @Test("a bound refuses the record that breaks it and no other")
    func bounds() throws {
        var limits = RecordLimits()
        limits.fieldBytes = 4
        limits.recordBytes = 12
        limits.fields = 3
        let text = "abcd,e\nabcde,f\n1,2,3\n1,2,3,4\n\"123456\",7\n\"12345678901234567890\nx\nabc,def\n"
        let expected: [Found] = [
            .row(["abcd", "e"], line: 1), .refused(.longField, line: 2, column: 1), .row(["1", "2", "3"], line: 3),
            .refused(.manyFields, line: 4, column: 5), .refused(.longField, line: 5, column: 1),
            .refused(.longRecord, line: 6, column: 1), .row(["x"], line: 7), .row(["abc", "def"], line: 8),
        ]
        for length in 1...text.utf8.count {
            let found = try readCSV(pieces(Array(text.utf8), of: length), limits: limits)
            #expect(found == expected, "cut every \(length) bytes")
        }
        limits.records = 2
        #expect(throws: TooManyRecords(limit: 2)) { try readCSV([Array("a\nb\nc\n".utf8)[...]], limits: limits) }
    }

    @Test("a record that is not UTF-8 shows it and the next one is read")
    func badBytes() throws {
        let bytes: [UInt8] = Array("a,".utf8) + [0xC3, 0x28] + Array("\nb,c\n".utf8)
        #expect(try readCSV([bytes[...]]) == [.row(["a", "<?>"], line: 1), .row(["b", "c"], line: 2)])
    }

    @Test("counts lines, the last one without an end too")
    func lines() throws {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\r\n", 1), ("a\n\"b\nc\"", 3), ("a\n\n", 2)] {
            var reader = CSVReader(CSVDialect())
            reader.feed(text.utf8)
            reader.finish()
            while try reader.next() != .end {}
            #expect(reader.lines == lines, "\(text.debugDescription)")
        }
    }

    @Test("no mutation traps, reads differently in pieces, or grows a record beyond its bounds")
    func mutations() throws {
        var random = SeededGenerator(seed: 4180)
        var limits = RecordLimits()
        let seeds = Self.cases.map { Array($0.text.utf8) }.filter { !$0.isEmpty }
        for _ in 0..<3_000 {
            let bytes = random.mutated(random.mutated(random.pick(seeds) + random.pick(seeds)))
            limits.fieldBytes = Int.random(in: 1...20, using: &random)
            limits.recordBytes = Int.random(in: 1...40, using: &random)
            let whole = try readCSV([bytes[...]], limits: limits)
            let cut = Int.random(in: 1...7, using: &random)
            let inPieces = try readCSV(pieces(bytes, of: cut), limits: limits)
            #expect(whole == inPieces, "\(bytes)")
            for case .row(let fields, _) in whole {
                #expect(fields.allSatisfy { $0 == "<?>" || $0.utf8.count <= limits.fieldBytes })
            }
        }
    }

    @Test("a record can be had as it was written, wherever the stream is cut")
    func recordText() throws {
        let rows = ["a,b", "\"c\nd\", e", "x\"y\"z,é", "\"open", "last"]
        let text = Array((rows[..<3].joined(separator: "\r\n") + "\r\n\r\n" + "\"q\"x,1\n" + rows[4]).utf8)
        for length in 1...text.count {
            var reader = CSVReader(CSVDialect())
            var rest = pieces(text, of: length).makeIterator()
            var found: [String] = []
            reading: while true {
                switch try reader.next() {
                case .record, .refused:
                    var bytes: [UInt8] = []
                    reader.appendRecord(to: &bytes)
                    found.append(String(decoding: bytes, as: UTF8.self))
                case .needsInput: if let piece = rest.next() { reader.feed(piece) } else { reader.finish() }
                case .end: break reading
                }
            }
            #expect(found == ["a,b", "\"c\nd\", e", "x\"y\"z,é", "\"q\"x,1", "last"])
        }
    }
}
