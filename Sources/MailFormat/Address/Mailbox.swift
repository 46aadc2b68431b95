// SPDX-License-Identifier: Apache-2.0

/// An address with the name that is shown for it, as header fields have them.
public struct Mailbox: Hashable, Sendable {
    /// The name in plain Unicode; empty if there is none.
    public var displayName: String
    /// The address.
    public var address: EmailAddress

    /// Creates a mailbox of its parts.
    public init(displayName: String = "", address: EmailAddress) {
        self.displayName = displayName
        self.address = address
    }
}

extension Mailbox {
    /// Reads `name <address>`, `"name" <address>`, `address (name)` or a bare address, leniently as header text allows.
    ///
    /// Encoded words are decoded within quotes too, where many senders put them.
    ///
    /// - Throws: `AddressError` with a one-line reason.
    public init(parsing text: String) throws(AddressError) {
        var bytes = ASCIIText.oneLine(Array(text.utf8))
        let comment = Self.removeComment(from: &bytes)
        guard bytes.last == 0x3E, let open = Self.openingBracket(bytes) else {
            self.init(
                displayName: comment.map { HeaderDecoder.text($0) } ?? "",
                address: try EmailAddress(lenient: String(decoding: bytes, as: UTF8.self))
            )
            return
        }
        let address = String(decoding: bytes[(open + 1)..<(bytes.count - 1)], as: UTF8.self)
        self.init(displayName: Self.name(bytes[..<open]), address: try EmailAddress(lenient: address))
    }

    /// Reads mailboxes between commas; empty positions are skipped.
    ///
    /// - Throws: `AddressError` for the first one that is not a mailbox.
    public static func list(parsing text: String) throws(AddressError) -> [Mailbox] {
        var mailboxes: [Mailbox] = []
        for piece in self.pieces(ASCIIText.oneLine(Array(text.utf8))) {
            let line = ASCIIText.oneLine(Array(piece))
            if !line.isEmpty { mailboxes.append(try Mailbox(parsing: String(decoding: line, as: UTF8.self))) }
        }
        return mailboxes
    }

    /// Reads the mailboxes of a field's bytes; those beyond ASCII that are not UTF-8 are in a charset, `nil` is
    /// Windows-1252.
    ///
    /// - Throws: `AddressError` for the first one that is not a mailbox.
    public static func list(parsing line: [UInt8], undeclared: Charset?) throws(AddressError) -> [Mailbox] {
        try self.list(parsing: String(decoding: HeaderDecoder.unicode(line, undeclared: undeclared), as: UTF8.self))
    }

    /// Takes a comment off the end of a line, RFC 5322 §3.2.2; returns what is in its parentheses.
    private static func removeComment(from bytes: inout [UInt8]) -> [UInt8]? {
        guard bytes.last == 0x29 else { return nil }
        var depth = 0
        for index in bytes.indices.reversed() {
            if index > 0, bytes[index - 1] == 0x5C { continue }
            if bytes[index] == 0x29 { depth += 1 }
            if bytes[index] == 0x28 { depth -= 1 }
            guard depth == 0 else { continue }
            let comment = Array(bytes[(index + 1)..<(bytes.count - 1)])
            bytes = ASCIIText.oneLine(Array(bytes[..<index]))
            return ASCIIText.oneLine(comment)
        }
        return nil
    }

    private static func openingBracket(_ bytes: [UInt8]) -> Int? {
        var isQuoted = false
        var isEscaped = false
        var found: Int?
        for (index, byte) in bytes.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if byte == 0x5C, isQuoted {
                isEscaped = true
            } else if byte == 0x22 {
                isQuoted.toggle()
            } else if byte == 0x3C, !isQuoted, found == nil {
                found = index
            }
        }
        return found
    }

    /// What stands between commas that are neither quoted nor in a comment; a parenthesis that is never closed is text.
    private static func pieces(_ bytes: [UInt8], hasComments: Bool = true) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        var depth = 0
        var isQuoted = false
        var isEscaped = false
        for (index, byte) in bytes.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if byte == 0x5C, isQuoted || depth > 0 {
                isEscaped = true
            } else if byte == 0x22, depth == 0 {
                isQuoted.toggle()
            } else if byte == 0x28, !isQuoted, hasComments {
                depth += 1
            } else if byte == 0x29, depth > 0 {
                depth -= 1
            } else if byte == 0x2C, !isQuoted, depth == 0 {
                pieces.append(bytes[start..<index])
                start = index + 1
            }
        }
        if depth > 0 { return self.pieces(bytes, hasComments: false) }
        return pieces + [bytes[start...]]
    }

    private static func name(_ bytes: ArraySlice<UInt8>) -> String {
        let trimmed = ASCIIText.oneLine(Array(bytes))
        guard trimmed.count >= 2, trimmed.first == 0x22, trimmed.last == 0x22 else {
            return HeaderDecoder.text(trimmed)
        }
        var name: [UInt8] = []
        var isEscaped = false
        for byte in trimmed.dropFirst().dropLast() {
            if byte == 0x5C, !isEscaped {
                isEscaped = true
            } else {
                name.append(byte)
                isEscaped = false
            }
        }
        return HeaderDecoder.text(name)
    }
}
