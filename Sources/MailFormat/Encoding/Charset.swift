// SPDX-License-Identifier: Apache-2.0

// The one place that knows charsets. What a label means is decided as browsers decide it (WHATWG, "Encoding", 2024): what
// calls itself ISO 8859-1 is Windows-1252, GB2312 is GB18030, EUC-KR is Windows-949, and so on, since that is what their
// senders have always meant. The tables are the C library's (iconv). Labels outside this list are unknown by design: the
// library's rarer decoders have had faults of their own, and mail does not use them.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A character encoding, named as mail and its clients name it.
///
/// Decoding is the same on every machine with the same C library tables: it depends on neither locale nor environment.
public struct Charset: Hashable, Sendable {
    private enum Decoder: Hashable, Sendable {
        case utf8
        case ascii
        case windows1252
        /// UTF-16 or UTF-32 in units of so many bytes; the byte order is that of the mark, else of `isLittleEndian`.
        case wide(bytes: Int, isLittleEndian: Bool)
        /// One of the C library's, by its name there.
        case library(String)
    }

    /// UTF-8.
    public static let utf8 = Charset("utf-8", .utf8)
    /// Windows-1252, which ISO 8859-1 stands for as well.
    public static let windows1252 = Charset("windows-1252", .windows1252)
    private static let ascii = Charset("us-ascii", .ascii)

    /// The charset's name in lower case; labels of one charset have one name.
    public let name: String
    private let decoder: Decoder

    private init(_ name: String, _ decoder: Decoder) {
        self.name = name
        self.decoder = decoder
    }

    /// Finds a charset by one of its labels, such as `ISO-8859-1`, `latin1` or `GB2312`; case and punctuation are ignored.
    ///
    /// - Returns: `nil` for a label that is unknown, or whose tables the C library has not got.
    public init?(label: String) {
        guard label.utf8.count <= 40 else { return nil }
        var key: [UInt8] = []
        for byte in label.utf8 {
            switch ASCIIText.lowercased(byte) {
            case let letter where (0x61...0x7A).contains(letter) || (0x30...0x39).contains(letter): key.append(letter)
            // Spaces, hyphens, underscores, dots, colons, parentheses and a plus sign occur in labels.
            case 0x20, 0x28, 0x29, 0x2B, 0x2D, 0x2E, 0x3A, 0x5F: break
            default: return nil
            }
        }
        guard let known = Self.labels[String(decoding: key, as: UTF8.self)] else { return nil }
        if case .library(let name) = known.decoder {
            guard let converter = Converter(name) else { return nil }
            converter.close()
        }
        self = known
    }

    /// The text of bytes; what is malformed becomes U+FFFD, a byte order mark at the beginning is left out.
    ///
    /// Bytes that are no ASCII in a text that says it is are read as UTF-8 or, if they are none, as Windows-1252.
    public func decode(_ bytes: [UInt8]) -> String {
        switch self.decoder {
        case .utf8: return String(decoding: Self.withoutMark(bytes), as: UTF8.self)
        case .ascii: return Self.decodeUndeclared(bytes)
        case .windows1252: return Self.windows1252Text(bytes)
        case .wide(let width, let isLittleEndian): return Self.wideText(bytes, width, isLittleEndian).text
        case .library(let name): return Self.libraryText(bytes, name)?.text ?? Self.decodeUndeclared(bytes)
        }
    }

    /// The text of bytes, or `nil` if they are malformed; a byte order mark at the beginning is left out.
    public func decodeStrictly(_ bytes: [UInt8]) -> String? {
        switch self.decoder {
        case .utf8: return String(validating: Self.withoutMark(bytes), as: UTF8.self)
        case .ascii: return bytes.allSatisfy { $0 < 0x80 } ? String(decoding: bytes, as: UTF8.self) : nil
        case .windows1252: return Self.windows1252Text(bytes)
        case .wide(let width, let isLittleEndian):
            let (text, isWhole) = Self.wideText(bytes, width, isLittleEndian)
            return isWhole ? text : nil
        case .library(let name):
            guard let (text, isWhole) = Self.libraryText(bytes, name), isWhole else { return nil }
            return text
        }
    }

    /// The text of bytes whose charset nobody has named: UTF-8 if they can be, else Windows-1252.
    public static func decodeUndeclared(_ bytes: [UInt8]) -> String {
        String(validating: self.withoutMark(bytes), as: UTF8.self) ?? self.windows1252Text(bytes)
    }

    /// Whether text in this charset may consist of ASCII bytes alone and not be ASCII text.
    var hasShifts: Bool {
        guard case .library(let name) = self.decoder else { return false }
        return name.hasPrefix("ISO-2022") || name == "UTF-7"
    }

    // MARK: Decoding

    private static func withoutMark(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    }

    private static func windows1252Text(_ bytes: [UInt8]) -> String {
        guard bytes.contains(where: { $0 >= 0x80 }) else { return String(decoding: bytes, as: UTF8.self) }
        // The five bytes without a character mean the control characters of their number, so nothing is malformed.
        let holes: Set<UInt8> = [0x81, 0x8D, 0x8F, 0x90, 0x9D]
        guard bytes.contains(where: holes.contains) else {
            return self.libraryText(bytes, "CP1252")?.text ?? self.latin1Text(bytes)
        }
        var text = ""
        var run: [UInt8] = []
        for byte in bytes + [0x81] {
            guard holes.contains(byte) else {
                run.append(byte)
                continue
            }
            text += self.libraryText(run, "CP1252")?.text ?? self.latin1Text(run)
            text.unicodeScalars.append(Unicode.Scalar(byte))
            run.removeAll()
        }
        text.unicodeScalars.removeLast()
        return text
    }

    private static func latin1Text(_ bytes: [UInt8]) -> String {
        String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    private static func wideText(
        _ bytes: [UInt8],
        _ width: Int,
        _ isLittleEndian: Bool
    ) -> (text: String, isWhole: Bool) {
        var isLittleEndian = isLittleEndian
        var start = 0
        let mark: [UInt8] = width == 2 ? [0xFF, 0xFE] : [0xFF, 0xFE, 0, 0]
        if bytes.starts(with: mark) {
            (isLittleEndian, start) = (true, width)
        } else if bytes.starts(with: mark.reversed()) {
            (isLittleEndian, start) = (false, width)
        }
        var units: [UInt32] = []
        units.reserveCapacity(bytes.count / width)
        while start + width <= bytes.count {
            let unit = bytes[start..<(start + width)]
            units.append((isLittleEndian ? Array(unit.reversed()) : Array(unit)).reduce(0) { $0 << 8 | UInt32($1) })
            start += width
        }
        let isWhole = start == bytes.count
        if width == 2 {
            let units = units.map { UInt16(truncatingIfNeeded: $0) }
            let text = String(decoding: units, as: UTF16.self) + (isWhole ? "" : "\u{FFFD}")
            return (text, isWhole && String(validating: units, as: UTF16.self) != nil)
        }
        let text = String(decoding: units, as: UTF32.self) + (isWhole ? "" : "\u{FFFD}")
        return (text, isWhole && units.allSatisfy { Unicode.Scalar($0) != nil })
    }

    private static func libraryText(_ bytes: [UInt8], _ name: String) -> (text: String, isWhole: Bool)? {
        guard let converter = Converter(name) else { return nil }
        defer { converter.close() }
        return converter.text(bytes)
    }

    /// An open conversion of the C library to UTF-8.
    private struct Converter {
        private let handle: iconv_t

        init?(_ name: String) {
            guard let handle = iconv_open("UTF-8", name), Int(bitPattern: handle) != -1 else { return nil }
            self.handle = handle
        }

        func close() { iconv_close(self.handle) }

        /// Converts everything; a byte at which the conversion stops becomes U+FFFD and is skipped.
        func text(_ bytes: [UInt8]) -> (text: String, isWhole: Bool) {
            var input = bytes.map { CChar(bitPattern: $0) }
            var output = [CChar](repeating: 0, count: max(64, bytes.count * 2))
            var result: [UInt8] = []
            result.reserveCapacity(bytes.count * 2)
            var isWhole = true
            var position = 0
            while position < input.count {
                let step = self.convert(&input, from: position, into: &output)
                result.append(contentsOf: output[..<step.produced].map { UInt8(bitPattern: $0) })
                position += step.consumed
                guard step.failure != 0, step.failure != E2BIG else { continue }
                result.append(contentsOf: "\u{FFFD}".utf8)
                isWhole = false
                // Everything but EILSEQ means that the text ends within a character.
                position = step.failure == EILSEQ ? position + 1 : input.count
            }
            // Some decoders hold the last character back, in case a mark for it follows.
            var nothing: [CChar] = []
            let last = self.convert(&nothing, from: 0, into: &output)
            result.append(contentsOf: output[..<last.produced].map { UInt8(bitPattern: $0) })
            return (String(decoding: result, as: UTF8.self), isWhole)
        }

        private func convert(
            _ input: inout [CChar],
            from position: Int,
            into output: inout [CChar]
        ) -> (consumed: Int, produced: Int, failure: CInt) {
            input.withUnsafeMutableBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    var to = output.baseAddress
                    var room = output.count
                    guard !input.isEmpty, let base = input.baseAddress else {
                        let isFlushed = iconv(self.handle, nil, nil, &to, &room) != Self.failed
                        return (0, isFlushed ? output.count - room : 0, 0)
                    }
                    var from: UnsafeMutablePointer<CChar>? = base + position
                    var left = input.count - position
                    let hasFailed = iconv(self.handle, &from, &left, &to, &room) == Self.failed
                    let failure = hasFailed ? errno : 0
                    return (input.count - position - left, output.count - room, failure)
                }
            }
        }

        /// What the C library returns instead of a count.
        private static let failed = Int(bitPattern: UInt.max)
    }

    // MARK: Labels

    /// Names with their decoder and further labels, the latter without punctuation.
    private static let known: [(charset: Charset, labels: String)] =
        [
            (.utf8, "utf8 unicode11utf8 csutf8"),
            (.ascii, "usascii ascii ansix341968 iso646us csascii us"),
            (
                .windows1252,
                "windows1252 cp1252 xcp1252 iso88591 iso885911987 latin1 l1 isoir100 cp819 ibm819 csisolatin1 ansi"
            ),
            (Charset("utf-16", .wide(bytes: 2, isLittleEndian: false)), "utf16 utf16be unicodefffe"),
            (Charset("utf-16le", .wide(bytes: 2, isLittleEndian: true)), "utf16le ucs2 iso10646ucs2 unicode"),
            (Charset("utf-32", .wide(bytes: 4, isLittleEndian: false)), "utf32 utf32be"),
            (Charset("utf-32le", .wide(bytes: 4, isLittleEndian: true)), "utf32le"),
        ] + libraryCharsets.map { (Charset($0.name, .library($0.library)), $0.labels) }

    private static let libraryCharsets: [(name: String, library: String, labels: String)] = [
        ("windows-1250", "CP1250", "windows1250 cp1250 xcp1250"),
        ("windows-1251", "CP1251", "windows1251 cp1251 xcp1251"),
        ("windows-1253", "CP1253", "windows1253 cp1253 xcp1253"),
        ("windows-1254", "CP1254", "windows1254 cp1254 xcp1254 iso88599 iso885991989 latin5 l5 isoir148 csisolatin5"),
        ("windows-1255", "CP1255", "windows1255 cp1255 xcp1255"),
        ("windows-1256", "CP1256", "windows1256 cp1256 xcp1256"),
        ("windows-1257", "CP1257", "windows1257 cp1257 xcp1257"),
        ("windows-1258", "CP1258", "windows1258 cp1258 xcp1258"),
        ("windows-874", "CP874", "windows874 cp874 dos874 iso885911 tis620"),
        ("iso-8859-2", "ISO-8859-2", "iso88592 iso885921987 latin2 l2 isoir101 csisolatin2"),
        ("iso-8859-3", "ISO-8859-3", "iso88593 iso885931988 latin3 l3 isoir109 csisolatin3"),
        ("iso-8859-4", "ISO-8859-4", "iso88594 iso885941988 latin4 l4 isoir110 csisolatin4"),
        ("iso-8859-5", "ISO-8859-5", "iso88595 iso885951988 cyrillic isoir144 csisolatincyrillic"),
        (
            "iso-8859-6", "ISO-8859-6",
            "iso88596 iso885961987 arabic isoir127 csisolatinarabic iso88596e iso88596i asmo708"
        ),
        ("iso-8859-7", "ISO-8859-7", "iso88597 iso885971987 greek greek8 isoir126 csisolatingreek elot928"),
        (
            "iso-8859-8", "ISO-8859-8",
            "iso88598 iso885981988 hebrew isoir138 csisolatinhebrew iso88598e iso88598i logical"
        ),
        ("iso-8859-10", "ISO-8859-10", "iso885910 latin6 l6 isoir157 csisolatin6"),
        ("iso-8859-13", "ISO-8859-13", "iso885913 latin7"),
        ("iso-8859-14", "ISO-8859-14", "iso885914 latin8"),
        ("iso-8859-15", "ISO-8859-15", "iso885915 latin9 l9 csisolatin9"),
        ("iso-8859-16", "ISO-8859-16", "iso885916 latin10"),
        ("koi8-r", "KOI8-R", "koi8r koi8 koi cskoi8r"),
        ("koi8-u", "KOI8-U", "koi8u koi8ru"),
        ("ibm866", "CP866", "ibm866 cp866 866 csibm866"),
        ("ibm850", "CP850", "ibm850 cp850 850 cspc850multilingual"),
        ("ibm437", "CP437", "ibm437 cp437 437 cspc8codepage437"),
        ("macintosh", "MACINTOSH", "macintosh mac xmacroman macroman csmacintosh"),
        ("x-mac-cyrillic", "MAC-CYRILLIC", "xmaccyrillic maccyrillic xmacukrainian"),
        (
            "gb18030", "GB18030",
            "gb18030 gbk gb2312 gb23121980 gb231280 chinese isoir58 csgb2312 csiso58gb231280 xgbk euccn cp936 windows936 ms936"
        ),
        ("big5", "BIG5-HKSCS", "big5 big5hkscs cnbig5 csbig5 xxbig5 cp950 windows950"),
        ("euc-jp", "EUC-JP-MS", "eucjp xeucjp cseucpkdfmtjapanese"),
        ("shift_jis", "CP932", "shiftjis sjis xsjis mskanji csshiftjis windows31j cswindows31j cp932 ms932"),
        ("iso-2022-jp", "ISO-2022-JP-2", "iso2022jp iso2022jp1 iso2022jp2 csiso2022jp"),
        (
            "euc-kr", "UHC",
            "euckr cseuckr korean ksc5601 ksc56011987 ksc56011989 csksc56011987 isoir149 windows949 cp949 uhc ms949"
        ),
        ("iso-2022-kr", "ISO-2022-KR", "iso2022kr csiso2022kr"),
        ("utf-7", "UTF-7", "utf7 unicode11utf7 csunicode11utf7"),
    ]

    private static let labels: [String: Charset] = {
        var labels: [String: Charset] = [:]
        for entry in Self.known {
            for label in entry.labels.split(separator: " ") { labels[String(label)] = entry.charset }
        }
        return labels
    }()
}
