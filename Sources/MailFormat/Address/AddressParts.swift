// SPDX-License-Identifier: Apache-2.0

/// The two halves of an address's text, split at the right `@` and free of characters no address may hold.
struct AddressParts {
    /// More than any address in Unicode text may have; what is longer is refused unread.
    static let textByteLimit = 1_024

    let localPart: String
    let domain: String

    init(_ text: String) throws(AddressError) {
        let count = text.utf8.count
        guard count > 0 else { throw AddressError(.empty, "the address is empty") }
        guard count <= Self.textByteLimit else {
            throw AddressError(.tooLong, "the address has \(count) bytes; the limit is \(EmailAddress.byteLimit)")
        }
        for scalar in text.unicodeScalars {
            if let reason = Self.reasonToForbid(scalar) { throw AddressError(.forbiddenCharacter, reason) }
        }
        let bytes = Array(text.utf8)
        guard let first = bytes.first, first != 0x20, bytes.last != 0x20 else {
            throw AddressError(.notBare, "the address begins or ends with a space")
        }
        if bytes.last == 0x3E {
            throw AddressError(.notBare, "only the address itself belongs here, without name and angle brackets")
        }
        let (local, end) = first == 0x22 ? try Self.quotedString(bytes) : try Self.dotString(bytes)
        guard local.utf8.count <= EmailAddress.localPartByteLimit else {
            let limit = EmailAddress.localPartByteLimit
            throw AddressError(.tooLong, "the part before the @ has \(local.utf8.count) bytes; the limit is \(limit)")
        }
        guard end + 1 < bytes.count else { throw AddressError(.emptyDomain, "nothing follows the @") }
        self.localPart = local
        self.domain = String(decoding: bytes[(end + 1)...], as: UTF8.self)
    }

    /// Whether the text needs no quotes: atoms joined by single dots.
    static func isDotString(_ text: String) -> Bool {
        var previous: UInt8 = 0x2E
        for byte in text.utf8 {
            if byte == 0x2E {
                if previous == 0x2E { return false }
            } else if byte <= 0x20 || byte == 0x7F || self.isSpecial(byte) {
                return false
            }
            previous = byte
        }
        return previous != 0x2E
    }

    /// Whether the byte is one of RFC 5322's specials, the dot apart.
    static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x22, 0x28, 0x29, 0x2C, 0x3A, 0x3B, 0x3C, 0x3E, 0x40, 0x5B, 0x5C, 0x5D: true
        default: false
        }
    }

    private static func dotString(_ bytes: [UInt8]) throws(AddressError) -> (String, Int) {
        guard let at = bytes.firstIndex(of: 0x40) else { throw AddressError(.missingAt, "there is no @") }
        guard at > 0 else { throw AddressError(.emptyLocalPart, "nothing precedes the @") }
        let local = String(decoding: bytes[..<at], as: UTF8.self)
        guard self.isDotString(local) else {
            throw AddressError(.badLocalPart, self.reason(against: local))
        }
        return (local, at)
    }

    private static func reason(against local: String) -> String {
        if local.utf8.contains(0x3C) || local.utf8.contains(0x2C) || local.utf8.contains(0x3B) {
            return "only one bare address belongs here, not a name or a list"
        }
        if local.utf8.contains(0x20) { return "the part before the @ holds a space outside of quotes" }
        let dots = local.hasPrefix(".") || local.hasSuffix(".") || local.contains("..")
        return dots
            ? "the part before the @ begins or ends with a dot or has two in a row"
            : "the part before the @ holds a character that needs quotes"
    }

    private static func quotedString(_ bytes: [UInt8]) throws(AddressError) -> (String, Int) {
        var local: [UInt8] = []
        var index = 1
        while index < bytes.count {
            switch bytes[index] {
            case 0x22:
                guard index + 1 < bytes.count, bytes[index + 1] == 0x40 else {
                    throw AddressError(.missingAt, "no @ follows the quoted part")
                }
                guard !local.isEmpty else {
                    throw AddressError(.emptyLocalPart, "nothing is in the quotes before the @")
                }
                return (String(decoding: local, as: UTF8.self), index + 1)
            case 0x5C:
                index += 1
                guard index < bytes.count, bytes[index] < 0x80 else {
                    throw AddressError(.badLocalPart, "a backslash escapes nothing")
                }
                local.append(bytes[index])
            case let byte: local.append(byte)
            }
            index += 1
        }
        throw AddressError(.badLocalPart, "the quoted part before the @ is not closed")
    }

    /// The reason for which no address, quoted or not, may hold a character; `nil` for all others.
    private static func reasonToForbid(_ scalar: Unicode.Scalar) -> String? {
        switch scalar.value {
        case 0x20...0x7E: return nil
        case 0x0A, 0x0D: return "the address holds a line break"
        case 0x00: return "the address holds a NUL"
        case 0x01...0x1F, 0x7F...0x9F: return "the address holds a control character"
        case 0x061C, 0x200E...0x200F, 0x202A...0x202E, 0x2066...0x2069:
            return "the address holds a character that changes the direction of writing"
        case 0xAD, 0x200B, 0x2060...0x2065, 0x206A...0x206F, 0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE0FFF:
            return "the address holds an invisible character"
        case 0x2028, 0x2029: return "the address holds a line break"
        case 0xFFFD: return "the address is not valid UTF-8"
        default:
            if scalar.properties.isWhitespace { return "the address holds a space that is not ASCII" }
            return scalar.properties.isNoncharacterCodePoint ? "the address holds a character that does not exist" : nil
        }
    }
}
