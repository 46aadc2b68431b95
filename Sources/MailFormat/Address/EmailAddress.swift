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
