// SPDX-License-Identifier: Apache-2.0

/// One mailbox as SMTP knows it: a local part, `@` and a domain.
///
/// Two addresses are equal if their local parts are equal byte by byte and their domains are the same once written as
/// lower-case A-labels. Nothing that could end a command line, nor anything that only changes how the address is shown,
/// can be inside a value of this type.
///
/// - Note: RFC 5321 §4.1.2 and §4.5.3.1, with RFC 6531 §3.3 for text beyond ASCII. An underscore in a domain is
///   accepted, because such hosts exist and take mail.
public struct EmailAddress: Hashable, Sendable, CustomStringConvertible {
    /// The longest envelope form, in bytes.
    public static let byteLimit = 254
    /// The longest local part, in bytes and without quotes.
    public static let localPartByteLimit = 64

    /// The local part without quotes and escapes, in the letters given.
    public let localPart: String
    /// The domain as given.
    public let domain: String
    /// The domain in lower-case A-labels; an address literal keeps its brackets.
    public let asciiDomain: String

    /// Parses one bare address.
    ///
    /// - Throws: `AddressError` with a one-line reason.
    public init(parsing text: String) throws(AddressError) {
        let parts = try AddressParts(text)
        self.localPart = parts.localPart
        self.domain = parts.domain
        self.asciiDomain = try DomainName.ascii(parts.domain)
        guard self.envelopeText.utf8.count <= Self.byteLimit else {
            throw AddressError(.tooLong, "the address is longer than \(Self.byteLimit) bytes")
        }
    }

    /// Parses the address of a header field that will never be an envelope address.
    ///
    /// The domain may hold any character of an atom, as in `%example.org`, where what is written in the letters of a host
    /// name has to be one.
    ///
    /// - Throws: `AddressError` for everything that could break a header field.
    /// - Note: RFC 5322 §3.4.1.
    public init(lenient text: String) throws(AddressError) {
        let parts = try AddressParts(text)
        self.localPart = parts.localPart
        self.domain = parts.domain
        let isPlaceholder =
            parts.domain.utf8.contains { !DomainName.isHostText($0) } && parts.domain.utf8.allSatisfy { $0 < 0x80 }
            && AddressParts.isDotString(parts.domain)
        self.asciiDomain = isPlaceholder ? ASCIIText.lowercased(parts.domain) : try DomainName.ascii(parts.domain)
        guard self.envelopeText.utf8.count <= Self.byteLimit else {
            throw AddressError(.tooLong, "the address is longer than \(Self.byteLimit) bytes")
        }
    }

    /// Whether the local part needs a server that offers SMTPUTF8.
    public var requiresSMTPUTF8: Bool { !self.localPart.utf8.allSatisfy { $0 < 0x80 } }

    /// The address as written between `<` and `>` in an envelope and in a header field.
    public var envelopeText: String { "\(self.quotedLocalPart)@\(self.asciiDomain)" }

    /// The local part as written, in quotes where it needs them.
    public var quotedLocalPart: String { Self.quoted(localPart: self.localPart) }

    /// Any text as a local part is written, in quotes where it needs them.
    ///
    /// - Note: RFC 5321 §4.1.2.
    public static func quoted(localPart: String) -> String {
        if AddressParts.isDotString(localPart) { return localPart }
        var quoted = "\""
        for character in localPart.unicodeScalars {
            if character == "\"" || character == "\\" { quoted.unicodeScalars.append("\\") }
            quoted.unicodeScalars.append(character)
        }
        quoted.append("\"")
        return quoted
    }

    /// The envelope form.
    public var description: String { self.envelopeText }

    /// Compares local parts exactly and domains as A-labels.
    public static func == (left: EmailAddress, right: EmailAddress) -> Bool {
        left.asciiDomain.utf8.elementsEqual(right.asciiDomain.utf8)
            && left.localPart.utf8.elementsEqual(right.localPart.utf8)
    }

    /// Hashes what equality compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.localPart)
        hasher.combine(self.asciiDomain)
    }
}

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
