// SPDX-License-Identifier: Apache-2.0

import RecordFormat
import TestKit
import Testing

@Suite("Writing CSV")
struct CSVWriterTests {
    private func written(_ fields: [String], _ writer: CSVWriter = CSVWriter()) -> String {
        var text: [UInt8] = []
        writer.write(fields, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    @Test("quotes what needs quotes")
    func quotes() {
        #expect(self.written(["a", "b,c", "say \"x\"", "d\ne", ""]) == "a,\"b,c\",\"say \"\"x\"\"\",\"d\ne\",\r\n")
    }

    @Test(
        "a cell that a spreadsheet would run gets an apostrophe",
        arguments: ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=\"a\""]
    )
    func formulas(cell: String) throws {
        let safe = self.written([cell])
        #expect(safe.hasPrefix("'") || safe.hasPrefix("\"'"))
        #expect(try readCSV([Array(safe.utf8)[...]]) == [.row(["'" + cell], line: 1)])
        let plain = self.written([cell], CSVWriter(escapesFormulas: false))
        #expect(try readCSV([Array(plain.utf8)[...]]) == [.row([cell], line: 1)])
    }

    @Test("what is written is read back")
    func roundTrip() throws {
        var random = SeededGenerator(seed: 4)
        let writer = CSVWriter(escapesFormulas: false)
        for _ in 0..<500 {
            let fields = (0..<Int.random(in: 2...5, using: &random)).map { _ in
                random.text(words: 0...3) + random.pick(["", "\"", ",", "\r\n", "\n", "\r"])
            }
            var text: [UInt8] = []
            writer.write(fields, to: &text)
            #expect(try readCSV([text[...]]) == [.row(fields, line: 1)])
        }
    }
}
