// SPDX-License-Identifier: Apache-2.0

import CIDN2

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The written forms of a mail domain.
public enum DomainName {
    /// The longest domain, in bytes without a final dot.
    public static let byteLimit = 253
    /// The longest label, in bytes.
    public static let labelByteLimit = 63

    /// The domain in lower-case A-labels, or an address literal in its brackets.
    ///
    /// Unicode text is mapped as UTS #46 (nontransitional) says and checked as IDNA 2008 does; what is ASCII already,
    /// `xn--` labels included, is only checked for form.
    ///
    /// - Throws: `AddressError` with a one-line reason.
    public static func ascii(_ text: String) throws(AddressError) -> String {
        guard !text.isEmpty else { throw AddressError(.emptyDomain, "nothing follows the @") }
        if text.utf8.first == 0x5B { return try self.literal(text) }
        if text.utf8.allSatisfy({ $0 < 0x80 }) {
            let lower = self.lowercased(text)
            try self.check(lower)
            return lower
        }
        var output: UnsafeMutablePointer<UInt8>?
        let flags = CInt(IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue)
        let status = idn2_lookup_u8(text, &output, flags)
        defer { idn2_free(output) }
        guard status == IDN2_OK.rawValue, let output else {
            throw AddressError(.badDomain, "the domain is not a valid international name: \(self.reason(status))")
        }
        let lower = self.lowercased(String(cString: output))
        try self.check(lower)
        return lower
    }

    /// The domain with its A-labels shown as Unicode; unchanged where a label cannot be shown.
    public static func unicode(_ ascii: String) -> String {
        guard ascii.utf8.allSatisfy({ $0 < 0x80 }), ascii.contains("xn--") else { return ascii }
        var output: UnsafeMutablePointer<CChar>?
        let status = idn2_to_unicode_8z8z(ascii, &output, 0)
        defer { idn2_free(output) }
        guard status == IDN2_OK.rawValue, let output else { return ascii }
        return String(cString: output)
    }

    /// Whether a byte is a letter, a digit, a hyphen, an underscore or a dot, of which host names consist.
    static func isHostText(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
        default: false
        }
    }

    private static func reason(_ status: CInt) -> String {
        guard let text = idn2_strerror(status) else { return "code \(status)" }
        return String(cString: text)
    }

    private static func lowercased(_ text: String) -> String {
        guard text.utf8.contains(where: { (0x41...0x5A).contains($0) }) else { return text }
        return String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    /// Checks the form of an ASCII domain, RFC 5321 §4.1.2 with the underscore added.
    private static func check(_ domain: String) throws(AddressError) {
        guard domain.utf8.count <= self.byteLimit else {
            throw AddressError(.tooLong, "the domain has more than \(self.byteLimit) bytes")
        }
        var length = 0
        var previous: UInt8 = 0x2E
        var isNumeric = true
        for byte in domain.utf8 {
            switch byte {
            case 0x2E:
                guard previous != 0x2E else { throw AddressError(.badDomain, "the domain has an empty label") }
                guard previous != 0x2D else {
                    throw AddressError(.badDomain, "a label of the domain ends with a hyphen")
                }
                length = 0
                isNumeric = true
            case 0x30...0x39: length += 1
            case 0x61...0x7A, 0x5F:
                length += 1
                isNumeric = false
            case 0x2D:
                guard previous != 0x2E else {
                    throw AddressError(.badDomain, "a label of the domain begins with a hyphen")
                }
                length += 1
                isNumeric = false
            case 0x40: throw AddressError(.badDomain, "there is more than one @")
            case 0x20: throw AddressError(.badDomain, "the domain holds a space")
            default: throw AddressError(.badDomain, "the domain holds a character that no domain may have")
            }
            guard length <= self.labelByteLimit else {
                throw AddressError(.tooLong, "a label of the domain has more than \(self.labelByteLimit) bytes")
            }
            previous = byte
        }
        guard previous != 0x2E else { throw AddressError(.badDomain, "the domain ends with a dot") }
        guard previous != 0x2D else { throw AddressError(.badDomain, "a label of the domain ends with a hyphen") }
        guard !isNumeric else {
            throw AddressError(.badDomain, "the domain ends with a number; a network address needs brackets")
        }
    }

    /// Checks an address literal, RFC 5321 §4.1.3.
    private static func literal(_ text: String) throws(AddressError) -> String {
        let lower = self.lowercased(text)
        guard lower.utf8.last == 0x5D, lower.utf8.count <= 56 else {
            throw AddressError(.badDomain, "the address literal is not closed")
        }
        let inner = String(lower.dropFirst().dropLast())
        var buffer = in6_addr()
        if inner.hasPrefix("ipv6:") {
            guard inet_pton(AF_INET6, String(inner.dropFirst(5)), &buffer) == 1 else {
                throw AddressError(.badDomain, "the address literal is not an IPv6 address")
            }
            return "[IPv6:\(inner.dropFirst(5))]"
        }
        guard inet_pton(AF_INET, inner, &buffer) == 1 else {
            throw AddressError(.badDomain, "the address literal is not an IPv4 address")
        }
        return lower
    }
}
