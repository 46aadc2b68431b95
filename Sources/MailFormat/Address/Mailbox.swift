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
    /// Reads `name <address>`, `"name" <address>` or a bare address, leniently as header text allows.
    ///
    /// - Throws: `AddressError` with a one-line reason.
    public init(parsing text: String) throws(AddressError) {
        let bytes = ASCIIText.oneLine(Array(text.utf8))
        guard bytes.last == 0x3E, let open = Self.openingBracket(bytes) else {
            self.init(address: try EmailAddress(lenient: String(decoding: bytes, as: UTF8.self)))
            return
        }
        let address = String(decoding: bytes[(open + 1)..<(bytes.count - 1)], as: UTF8.self)
        self.init(displayName: Self.name(bytes[..<open]), address: try EmailAddress(lenient: address))
    }

    /// Reads mailboxes between commas; empty places are passed over.
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

    private static func pieces(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        var isQuoted = false
        var isEscaped = false
        for (index, byte) in bytes.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if byte == 0x5C, isQuoted {
                isEscaped = true
            } else if byte == 0x22 {
                isQuoted.toggle()
            } else if byte == 0x2C, !isQuoted {
                pieces.append(bytes[start..<index])
                start = index + 1
            }
        }
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
        return String(decoding: name, as: UTF8.self)
    }
}
