// SPDX-License-Identifier: Apache-2.0

/// A line of a zone text that cannot be read.
public struct ZoneError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The line, from 1.
    public let line: Int
    /// What is wrong with it.
    public let reason: String

    /// `line 3: …`.
    public var description: String { "line \(self.line): \(self.reason)" }
}

/// One line of a zone text.
struct ZoneEntry: Hashable {
    enum Value: Hashable {
        case record(DNSType, DNSRecord)
        case alias(String)
        case noSuchName
        case serverFailure
    }

    let name: String
    let value: Value

    /// Reads a line; `nil` if it is blank or a comment.
    init?(line: Substring, number: Int) throws {
        func fail(_ reason: String) -> ZoneError { ZoneError(line: number, reason: reason) }
        let content = Self.withoutComment(line)
        guard !content.isEmpty else { return nil }
        let words = content.split(maxSplits: 2, whereSeparator: \.isWhitespace)
        guard words.count >= 2 else { throw fail("a name and a type are expected") }
        self.name = MailRouting.normalised(String(words[0]))
        let bare = self.name == "*" ? "a" : self.name.hasPrefix("*.") ? String(self.name.dropFirst(2)) : self.name
        guard MailRouting.isName(bare) else { throw fail("\(words[0]) is not a domain name") }
        let rest = words.count == 3 ? words[2] : ""
        let values = rest.split(whereSeparator: \.isWhitespace).map(String.init)
        let type = words[1].uppercased()
        switch (type, values.count) {
        case ("NXDOMAIN", 0): self.value = .noSuchName
        case ("SERVFAIL", 0): self.value = .serverFailure
        case ("CNAME", 1): self.value = .alias(MailRouting.normalised(values[0]))
        case ("MX", 2):
            let target = MailRouting.normalised(values[1])
            guard let preference = UInt16(values[0]), target.isEmpty || MailRouting.isName(target) else {
                throw fail("MX needs a preference of 0 to 65535 and a host name or a dot")
            }
            self.value = .record(.mx, .mx(preference: Int(preference), target: target))
        case ("A", 1):
            guard NumericAddress.bytes(values[0])?.count == 4 else {
                throw fail("\(values[0]) is not an IPv4 address")
            }
            self.value = .record(.a, .address(values[0]))
        case ("AAAA", 1):
            guard let bytes = NumericAddress.bytes(values[0]), bytes.count == 16 else {
                throw fail("\(values[0]) is not an IPv6 address")
            }
            self.value = .record(.aaaa, .address(NumericAddress.text(ipv6: bytes)))
        case ("TXT", 1...): self.value = .record(.txt, .text(Self.text(rest)))
        case ("NXDOMAIN", _), ("SERVFAIL", _), ("CNAME", _), ("MX", _), ("A", _), ("AAAA", _), ("TXT", _):
            throw fail("\(type) with \(values.count) values")
        default: throw fail("unknown type \(words[1]); known are A, AAAA, MX, TXT, CNAME, NXDOMAIN, SERVFAIL")
        }
    }

    /// Cuts at a `#` that starts the line or follows a blank, outside of quotes, and trims.
    private static func withoutComment(_ line: Substring) -> Substring {
        var isQuoted = false
        var isAfterBlank = true
        var end = line.endIndex
        for position in line.indices {
            let character = line[position]
            if character == "\"" { isQuoted.toggle() }
            if character == "#", isAfterBlank, !isQuoted {
                end = position
                break
            }
            isAfterBlank = character.isWhitespace
        }
        var content = line[..<end]
        while content.last?.isWhitespace == true { content.removeLast() }
        while content.first?.isWhitespace == true { content.removeFirst() }
        return content
    }

    /// Quoted strings are joined without anything between them; a text without quotes is taken as it stands.
    private static func text(_ rest: Substring) -> String {
        guard rest.first == "\"" else { return String(rest) }
        var text = ""
        var isQuoted = false
        for character in rest {
            if character == "\"" { isQuoted.toggle() } else if isQuoted { text.append(character) }
        }
        return text
    }
}
