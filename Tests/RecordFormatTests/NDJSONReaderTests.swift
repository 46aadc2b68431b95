// SPDX-License-Identifier: Apache-2.0

import RecordFormat
import TestKit
import Testing

@Suite("JSON lines, RFC 8259")
struct NDJSONReaderTests {
    @Test("reads objects in the order of their members, wherever the input is cut")
    func objects() throws {
        let text = """
            \u{FEFF}{"b":"\\u00e9\\ud83d\\ude00\\n\\/","a":[1,-2.5e1,true,null,{}],"n":9223372036854775808}\r

            {"x":
            ["a"]
            {"y":"Zoë"} trailing
             {"z": "日本" , "e":0}
            """
        let expected: [Found] = [
            .row(["{\"b\":\"é😀\\n/\",\"a\":[1,-25.0,true,null,{}],\"n\":9.223372036854776e+18}\n"], line: 1),
            .refused(.badJSON, line: 3, column: 6), .refused(.notObject, line: 4, column: nil),
            .refused(.badJSON, line: 5, column: 14), .row(["{\"z\":\"日本\",\"e\":0}\n"], line: 6),
        ]
        let bytes = Array(text.utf8)
        for length in 1...bytes.count {
            #expect(try readNDJSON(pieces(bytes, of: length)) == expected, "cut every \(length) bytes")
        }
    }

    @Test(
        "what is not JSON is refused",
        arguments: [
            "{\"a\":01}", "{\"a\":1.}", "{\"a\":-}", "{\"a\":+1}", "{\"a\":1e}", "{\"a\":tru}", "{\"a\" 1}", "{'a':1}",
            "{\"a\":1,}", "{\"a\":\"\u{1}\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud800\\u0061\"}",
            "{\"a\":\"\\u12g4\"}", "{\"a\":\"x}", "{", "{\"a\":1e999}", "{\"a\":NaN}",
            "{\"a\":" + String(repeating: "[", count: 64) + String(repeating: "]", count: 64) + "}",
        ]
    )
    func malformed(text: String) throws {
        let found = try readNDJSON([Array(text.utf8)[...]])
        guard case .refused(.badJSON, line: 1, column: _?)? = found.first else {
            Issue.record("\(found)")
            return
        }
        #expect(found.count == 1)
    }

    @Test("a bound refuses the line that breaks it and no other")
    func bounds() throws {
        var limits = RecordLimits()
        limits.recordBytes = 20
        limits.fields = 2
        limits.fieldBytes = 6
        let text = """
            {"a":"123456"}
            {"a":"1234567"}
            {"a":1,"b":2,"c":3}
            {"a":"\(String(repeating: "x", count: 40))"}
            {"a":1}
            """
        let expected: [Found] = [
            .row(["{\"a\":\"123456\"}\n"], line: 1), .refused(.longField, line: 2, column: 15),
            .refused(.manyFields, line: 3, column: 19), .refused(.longRecord, line: 4, column: nil),
            .row(["{\"a\":1}\n"], line: 5),
        ]
        for length in 1...text.utf8.count {
            #expect(try readNDJSON(pieces(Array(text.utf8), of: length), limits: limits) == expected, "every \(length)")
        }
        limits.records = 1
        #expect(throws: TooManyRecords(limit: 1)) { try readNDJSON([Array(text.utf8)[...]], limits: limits) }
    }

    @Test("text that is not UTF-8 is refused")
    func badBytes() throws {
        let bytes = Array("{\"a\":\"".utf8) + [0xE9] + Array("\"}\n{\"a\":1}\n".utf8)
        #expect(
            try readNDJSON([bytes[...]]) == [
                .refused(.badEncoding, line: 1, column: 9), .row(["{\"a\":1}\n"], line: 2),
            ]
        )
    }

    @Test("no mutation traps, reads differently in pieces, or is written other than it was read")
    func mutations() throws {
        var random = SeededGenerator(seed: 8259)
        let seeds = [
            "{\"email\":\"a@b.test\",\"n\":-12.5e3,\"list\":[1,{\"x\":null}],\"t\":true}\n",
            "{\"u\":\"\\u00e9\\\"\"}\r\n",
            "\n{\"deep\":[[[[]]]],\"ö\":\"日本\"}\n",
        ].map { Array($0.utf8) }
        for _ in 0..<3_000 {
            let bytes = random.mutated(random.pick(seeds) + random.pick(seeds))
            let whole = try readNDJSON([bytes[...]])
            #expect(
                try readNDJSON(pieces(bytes, of: Int.random(in: 1...7, using: &random))) == whole,
                "\(bytes)"
            )
            for case .row(let texts, _) in whole {
                let again = try readNDJSON([Array(texts[0].utf8)[...]])
                #expect(again == [.row(texts, line: 1)])
            }
        }
    }
}
