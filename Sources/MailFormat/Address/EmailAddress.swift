// SPDX-License-Identifier: Apache-2.0

/// One mailbox as SMTP knows it: a local part, `@` and a domain.
///
/// Two addresses are equal if their local parts are equal octet by octet and their domains are the same once written as
/// lower-case A-labels. Nothing that could end a command line, nor anything that only changes how the address is shown,
/// can be inside a value of this type.
///
/// - Note: RFC 5321 §4.1.2 and §4.5.3.1, with RFC 6531 §3.3 for text beyond ASCII. An underscore in a domain is
///   accepted, because such hosts exist and take mail.
public struct EmailAddress: Hashable, Sendable, CustomStringConvertible {
    /// The longest envelope form, in octets.
    public static let octetLimit = 254
    /// The longest local part, in octets and without quotes.
    public static let localPartOctetLimit = 64

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
        guard self.envelopeText.utf8.count <= Self.octetLimit else {
            throw AddressError(.tooLong, "the address is longer than \(Self.octetLimit) octets")
        }
    }

    /// Parses the address of a header field that will never be an envelope address.
    ///
    /// The domain may be any visible text without specials, such as `%example.org`.
    ///
    /// - Throws: `AddressError` for everything that could break a header field.
    public init(lenient text: String) throws(AddressError) {
        let parts = try AddressParts(text)
        self.localPart = parts.localPart
        self.domain = parts.domain
        if let strict = try? DomainName.ascii(parts.domain) {  // What is not a domain is kept as it is, by design.
            self.asciiDomain = strict
            return
        }
        guard parts.domain.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !AddressParts.isSpecial($0) }) else {
            throw AddressError(.badDomain, "the domain holds a character that no address may have")
        }
        self.asciiDomain = parts.domain.lowercased()
    }

    /// Whether the local part needs a server that offers SMTPUTF8.
    public var requiresSMTPUTF8: Bool { !self.localPart.utf8.allSatisfy { $0 < 0x80 } }

    /// The address as written between `<` and `>` in an envelope and in a header field.
    public var envelopeText: String { "\(self.quotedLocalPart)@\(self.asciiDomain)" }

    /// The local part as written, in quotes where it needs them.
    public var quotedLocalPart: String {
        if AddressParts.isDotString(self.localPart) { return self.localPart }
        var quoted = "\""
        for character in self.localPart.unicodeScalars {
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
