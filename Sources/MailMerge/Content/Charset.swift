// SPDX-License-Identifier: Apache-2.0

/// Turns the text of a MIME part into UTF-8.
enum Charset {
    /// The text as UTF-8, or `nil` if the charset is not known.
    ///
    /// The name is that of `Content-Type`; without one the text is UTF-8 if it can be, else Windows-1252.
    static func utf8(_ bytes: [UInt8], charset name: String?) -> [UInt8]? {
        switch name?.lowercased() ?? "us-ascii" {
        case "utf-8", "utf8": return Array(String(decoding: bytes, as: UTF8.self).utf8)
        case "us-ascii", "ascii", "ansi_x3.4-1968", "":
            return String(validating: bytes, as: UTF8.self) == nil ? Self.windows1252(bytes) : bytes
        // What calls itself Latin-1 is Windows-1252 wherever the two differ: the former has control characters there.
        case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin-1", "latin1", "l1", "windows-1252", "cp1252":
            return Self.windows1252(bytes)
        case "iso-8859-15", "iso8859-15", "iso_8859-15", "latin-9", "latin9": return Self.latin9(bytes)
        case "utf-16":
            return Self.utf16(
                bytes,
                isBigEndian: bytes.starts(with: [0xFE, 0xFF]) || !bytes.starts(with: [0xFF, 0xFE])
            )
        case "utf-16be": return Self.utf16(bytes, isBigEndian: true)
        case "utf-16le": return Self.utf16(bytes, isBigEndian: false)
        default: return nil
        }
    }

    private static let upper: [UInt16] = [
        0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D,
        0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x009D, 0x017E, 0x0178,
    ]

    private static func windows1252(_ bytes: [UInt8]) -> [UInt8] {
        Self.utf16Text(bytes.map { $0 >= 0x80 && $0 < 0xA0 ? Self.upper[Int($0) - 0x80] : UInt16($0) })
    }

    private static func latin9(_ bytes: [UInt8]) -> [UInt8] {
        let differences: [UInt8: UInt16] = [
            0xA4: 0x20AC, 0xA6: 0x0160, 0xA8: 0x0161, 0xB4: 0x017D, 0xB8: 0x017E, 0xBC: 0x0152, 0xBD: 0x0153,
            0xBE: 0x0178,
        ]
        return Self.utf16Text(bytes.map { differences[$0] ?? UInt16($0) })
    }

    private static func utf16(_ bytes: [UInt8], isBigEndian: Bool) -> [UInt8] {
        var units: [UInt16] = []
        units.reserveCapacity(bytes.count / 2)
        var place = 0
        while place + 1 < bytes.count {
            let (first, second) = (UInt16(bytes[place]), UInt16(bytes[place + 1]))
            units.append(isBigEndian ? first << 8 | second : second << 8 | first)
            place += 2
        }
        if units.first == 0xFEFF { units.removeFirst() }
        return Self.utf16Text(units)
    }

    private static func utf16Text(_ units: [UInt16]) -> [UInt8] { Array(String(decoding: units, as: UTF16.self).utf8) }
}
