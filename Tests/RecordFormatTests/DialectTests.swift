// SPDX-License-Identifier: Apache-2.0

import RecordFormat
import Testing

@Suite("Detection of encoding, delimiter and header")
struct DialectTests {
    private static let text = "name,city\nZoë,Zürich “x”\n😀,Łódź\n"
    private static let latin = "name,city\nZoë,Zürich “x”\n"

    private static func utf16(_ text: String, littleEndian: Bool) -> [UInt8] {
        ([0xFEFF] + Array(text.utf16)).flatMap { unit -> [UInt8] in
            let halves = [UInt8(unit >> 8), UInt8(unit & 0xFF)]
            return littleEndian ? halves.reversed() : halves
        }
    }

    private static func windows1252(_ text: String) -> [UInt8] {
        text.unicodeScalars.map {
            switch $0 {
            case "“": 0x93
            case "”": 0x94
            default: UInt8($0.value)
            }
        }
    }

    @Test(
        "a first line sep= names the delimiter and is no record",
        arguments: [
            ("sep=;\r\nemail;n\r\na@x;1\r\n", ";"), ("SEP=|\nemail|n\na@x|1", "|"),
            ("\"sep=,\"\nemail,n\na@x,1\n", ","),
            ("sep=\t\nemail\tn\na@x\t1\n", "\t"), ("sep=^\nemail^n\na@x^1\n", "^"),
        ]
    )
    func separatorLine(text: String, delimiter: String) throws {
        let dialect = CSVDialect(detecting: Array(text.utf8), isWhole: true)
        #expect(dialect.hasSeparatorLine && dialect.delimiter == delimiter.utf8.first && dialect.hasHeader)
        for length in 1...text.utf8.count {
            let found = try readCSV(pieces(Array(text.utf8), of: length), dialect)
            #expect(found == [.row(["email", "n"], line: 2), .row(["a@x", "1"], line: 3)])
        }
    }

    @Test("a first line sep= is read in every encoding")
    func separatorLineInUTF16() throws {
        let bytes = Self.utf16("sep=;\nname;city\nZoë;Łódź\n", littleEndian: true)
        let dialect = CSVDialect(detecting: bytes, isWhole: true)
        #expect(dialect.hasSeparatorLine && dialect.delimiter == UInt8(ascii: ";"))
        let found = try readCSV(pieces(bytes, of: 3), dialect)
        #expect(found == [.row(["name", "city"], line: 2), .row(["Zoë", "Łódź"], line: 3)])
    }

    @Test("a column named sep= is no separator line", arguments: ["sep=a,b\n1,2\n", "sep=\n1\n", "sep\n=\n"])
    func noSeparatorLine(text: String) {
        #expect(!CSVDialect(detecting: Array(text.utf8), isWhole: true).hasSeparatorLine)
    }

    @Test("text reads the same in every encoding, wherever it is cut")
    func encodings() throws {
        let rows: (String) -> [Found] = { text in
            text.split(separator: "\n").enumerated().map { line, row in
                .row(row.split(separator: ",").map(String.init), line: line + 1)
            }
        }
        let streams: [(String, [UInt8], TextEncoding, [Found])] = [
            ("UTF-8", Array(Self.text.utf8), .utf8, rows(Self.text)),
            ("UTF-8 with a mark", [0xEF, 0xBB, 0xBF] + Array(Self.text.utf8), .utf8, rows(Self.text)),
            ("UTF-16LE", Self.utf16(Self.text, littleEndian: true), .utf16LittleEndian, rows(Self.text)),
            ("UTF-16BE", Self.utf16(Self.text, littleEndian: false), .utf16BigEndian, rows(Self.text)),
            ("Windows-1252", Self.windows1252(Self.latin), .windows1252, rows(Self.latin)),
        ]
        for (name, bytes, encoding, expected) in streams {
            let dialect = CSVDialect(detecting: bytes, isWhole: true)
            #expect(dialect.encoding == encoding, "\(name)")
            #expect(dialect.delimiter == UInt8(ascii: ","), "\(name)")
            #expect(dialect.hasHeader, "\(name)")
            for length in 1...bytes.count {
                #expect(try readCSV(pieces(bytes, of: length), dialect) == expected, "\(name) cut every \(length)")
            }
        }
    }

    @Test("a character cut at the end of the sample is no proof against UTF-8")
    func cutCharacter() {
        let bytes = Array("ab😀".utf8)
        for length in 2...bytes.count {
            #expect(TextEncoding.detected(in: Array(bytes[..<length]), isWhole: false) == .utf8, "\(length) bytes")
        }
        #expect(TextEncoding.detected(in: Array(bytes[..<4]), isWhole: true) == .windows1252)
        #expect(TextEncoding.detected(in: [0x61, 0xE9, 0x62], isWhole: false) == .windows1252)
    }

    @Test("half a character of UTF-16 spoils its record alone")
    func halves() throws {
        let units: [UInt16] = [0xFEFF, 0x61, 0x0A, 0xD800, 0x62, 0x0A, 0xDC00, 0x0A, 0x63, 0x0A, 0xD83D]
        let bytes = units.flatMap { unit -> [UInt8] in [UInt8(unit & 0xFF), UInt8(unit >> 8)] } + [0x20]
        let dialect = CSVDialect(delimiter: UInt8(ascii: ","), encoding: .utf16LittleEndian)
        #expect(
            try readCSV([bytes[...]], dialect) == [
                .row(["a"], line: 1), .row(["<?>"], line: 2), .row(["<?>"], line: 3), .row(["c"], line: 4),
                .row(["<?>"], line: 5),
            ]
        )
    }

    @Test(
        "the delimiter is the one that divides the records alike",
        arguments: [
            ("email;name\na@x.test;\"b,c\"\nd@x.test;e\n", ";"), ("a\tb\n1,5\t2,5\n3,5\t4,5\n", "\t"),
            ("a|b|c\n1|2|3\n", "|"), ("email\na@x.test\n", ","), ("a,b;c\n1,2;3\n1,2;4\n5,6\n", ","),
            ("name;text\nx;a, b, c\ny;d\nz;e, f\n", ";"), ("", ","),
        ]
    )
    func delimiters(text: String, delimiter: String) {
        let dialect = CSVDialect(detecting: Array(text.utf8), isWhole: true)
        #expect(dialect.delimiter == delimiter.utf8.first)
    }

    @Test(
        "a first record of distinct names is a header",
        arguments: [
            ("email,first name\nx,y\n", true), ("a@x.test,Zoë\n", false), ("1,2\n3,4\n", false), ("a,a\n", false),
            ("Élan,_x,e-mail\n", true), ("name,,\nx,y,z\n", true), (",,\n", false),
        ]
    )
    func headers(text: String, hasHeader: Bool) {
        #expect(CSVDialect(detecting: Array(text.utf8), isWhole: true).hasHeader == hasHeader)
    }

    @Test("names of encodings are known in their usual spellings")
    func names() {
        #expect(TextEncoding(charset: "UTF-8") == .utf8)
        #expect(TextEncoding(charset: "ISO-8859-1") == .windows1252)
        #expect(TextEncoding(charset: "utf-16LE") == .utf16LittleEndian)
        #expect(TextEncoding(charset: "koi8-r") == nil)
    }
}
