// SPDX-License-Identifier: Apache-2.0

/// A command line as the server reads it, RFC 5321 §4.1.1.
enum SMTPServerCommand: Hashable {
    case hello(name: String, isExtended: Bool)
    case startTLS
    case mail(reversePath: String, sizeBytes: Int?, smtpUTF8: Bool)
    case recipient(String)
    case data
    case reset
    case noop
    case verify
    case quit
    /// A known command whose argument is wrong; the reply to give.
    case malformed(SMTPServerReply)
    /// No command we know.
    case unknown

    /// The longest line without CRLF, in bytes: the standard's 512 with room for long addresses.
    static let lineLimit = 2_048

    /// Reads one line without its CRLF.
    init(line: some RandomAccessCollection<UInt8>) {
        let verb = line.prefix { $0 != 0x20 }
        let argument = line.dropFirst(verb.count).drop { $0 == 0x20 }
        guard !line.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
            self = .malformed(SMTPServerReply(500, "5.5.2 Control characters in a command"))
            return
        }
        switch Word(verb) {
        case .mail: self = Self.mail(argument)
        case .rcpt: self = Self.recipient(argument)
        case .data: self = argument.isEmpty ? .data : Self.noArgument
        case .ehlo, .helo:
            let name = Self.text(argument.prefix { $0 != 0x20 })
            self =
                name.isEmpty
                ? .malformed(SMTPServerReply(501, "5.5.4 A name is missing"))
                : .hello(name: name, isExtended: Word(verb) == .ehlo)
        case .rset: self = argument.isEmpty ? .reset : Self.noArgument
        case .noop: self = .noop
        case .quit: self = argument.isEmpty ? .quit : Self.noArgument
        case .vrfy: self = .verify
        case .starttls: self = argument.isEmpty ? .startTLS : Self.noArgument
        default: self = .unknown
        }
    }

    private static let noArgument = Self.malformed(SMTPServerReply(501, "5.5.4 No argument expected"))

    private static func mail(_ argument: some RandomAccessCollection<UInt8>) -> Self {
        guard Word(argument.prefix(5)) == .from, let (path, rest) = Self.path(argument.dropFirst(5)) else {
            return .malformed(SMTPServerReply(501, "5.5.4 Syntax: MAIL FROM:<address>"))
        }
        var size: Int?
        var isUTF8 = false
        for parameter in rest.split(separator: 0x20) {
            switch Word(parameter.prefix(5)) {
            case .size:
                guard let bytes = Int(Self.text(parameter.dropFirst(5).prefix(32))), bytes >= 0 else {
                    return .malformed(SMTPServerReply(501, "5.5.4 Bad SIZE"))
                }
                size = bytes
            case .body where Word(parameter.dropFirst(5)).isBodyType: break
            case .smtpu where Word(parameter.dropFirst(1)) == .mtputf8: isUTF8 = true
            default: return .malformed(SMTPServerReply(555, "5.5.4 Unsupported parameter"))
            }
        }
        return .mail(reversePath: Self.text(path), sizeBytes: size, smtpUTF8: isUTF8)
    }

    private static func recipient(_ argument: some RandomAccessCollection<UInt8>) -> Self {
        guard Word(argument.prefix(3)) == .to, let (path, rest) = Self.path(argument.dropFirst(3)),
            !path.isEmpty
        else { return .malformed(SMTPServerReply(501, "5.5.4 Syntax: RCPT TO:<address>")) }
        guard rest.allSatisfy({ $0 == 0x20 }) else {
            return .malformed(SMTPServerReply(555, "5.5.4 Unsupported parameter"))
        }
        return .recipient(Self.text(path))
    }

    /// What stands between the angle brackets, and what follows; brackets inside a quoted local part do not count.
    private static func path<Bytes: RandomAccessCollection<UInt8>>(
        _ bytes: Bytes
    ) -> (Bytes.SubSequence, Bytes.SubSequence)? {
        let trimmed = bytes.drop { $0 == 0x20 }
        guard trimmed.first == 0x3C else { return nil }
        let start = trimmed.index(after: trimmed.startIndex)
        var index = start
        var isQuoted = false
        while index < trimmed.endIndex {
            switch trimmed[index] {
            case 0x22: isQuoted.toggle()
            case 0x5C where isQuoted:
                index = trimmed.index(after: index)
                guard index < trimmed.endIndex else { return nil }
            case 0x3E where !isQuoted: return (trimmed[start..<index], trimmed[trimmed.index(after: index)...])
            default: break
            }
            index = trimmed.index(after: index)
        }
        return nil
    }

    private static func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

    /// A word of at most eight bytes in upper case, as a number that is cheap to compare; longer ones equal nothing.
    private struct Word: Equatable {
        private var packed: UInt64 = 0

        init(_ bytes: some RandomAccessCollection<UInt8>) {
            guard bytes.count <= 8 else { return }
            for byte in bytes {
                self.packed = self.packed << 8 | UInt64((0x61...0x7A).contains(byte) ? byte - 0x20 : byte)
            }
        }

        private init(_ text: StaticString) {
            self.init(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        }

        var isBodyType: Bool { self == .sevenBit || self == .eightBit }

        static let ehlo = Word("EHLO")
        static let helo = Word("HELO")
        static let mail = Word("MAIL")
        static let rcpt = Word("RCPT")
        static let data = Word("DATA")
        static let rset = Word("RSET")
        static let noop = Word("NOOP")
        static let quit = Word("QUIT")
        static let vrfy = Word("VRFY")
        static let starttls = Word("STARTTLS")
        static let from = Word("FROM:")
        static let to = Word("TO:")
        static let size = Word("SIZE=")
        static let body = Word("BODY=")
        static let sevenBit = Word("7BIT")
        static let eightBit = Word("8BITMIME")
        static let smtpu = Word("SMTPU")
        static let mtputf8 = Word("MTPUTF8")
    }
}
