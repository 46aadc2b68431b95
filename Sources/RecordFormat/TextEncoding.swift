// SPDX-License-Identifier: Apache-2.0

/// How text is written in bytes.
public enum TextEncoding: String, Sendable, Hashable, CaseIterable {
    /// UTF-8, with or without a byte order mark.
    case utf8 = "utf-8"
    /// UTF-16, least significant byte first.
    case utf16LittleEndian = "utf-16le"
    /// UTF-16, most significant byte first.
    case utf16BigEndian = "utf-16be"
    /// Windows-1252, which has all of Latin-1's printable characters at the same positions.
    case windows1252 = "windows-1252"

    /// The encoding of a name as in `charset=`; `nil` for one that is not known here.
    ///
    /// ISO-8859-1 and US-ASCII are read as Windows-1252, as browsers do (WHATWG Encoding Standard).
    public init?(charset: String) {
        switch charset.lowercased() {
        case "utf-8", "utf8": self = .utf8
        case "utf-16le": self = .utf16LittleEndian
        case "utf-16be": self = .utf16BigEndian
        case "windows-1252", "cp1252", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii":
            self = .windows1252
        default: return nil
        }
    }

    /// The encoding that the beginning of a stream shows: by its byte order mark, or by being valid UTF-8 or not.
    ///
    /// - Parameters:
    ///   - beginning: The first bytes; a character that is cut at their end does no harm.
    ///   - isWhole: Whether nothing follows.
    /// - Returns: ``windows1252`` if nothing else fits.
    public static func detected(in beginning: [UInt8], isWhole: Bool) -> TextEncoding {
        if beginning.starts(with: [0xFF, 0xFE]) { return .utf16LittleEndian }
        if beginning.starts(with: [0xFE, 0xFF]) { return .utf16BigEndian }
        if beginning.starts(with: [0xEF, 0xBB, 0xBF]) { return .utf8 }
        let cut = isWhole ? 0 : self.cutBytes(in: beginning)
        let isUTF8 = String(validating: beginning.dropLast(cut), as: UTF8.self) != nil
        return isUTF8 ? .utf8 : .windows1252
    }

    /// How many bytes at the end may be the beginning of a character that is cut.
    private static func cutBytes(in bytes: [UInt8]) -> Int {
        for length in 1...3 where bytes.count >= length {
            let byte = bytes[bytes.count - length]
            if byte & 0xC0 == 0x80 { continue }
            let needed = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return needed > length ? length : 0
        }
        return 0
    }
}
