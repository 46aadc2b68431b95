// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore

/// A command as the client writes it.
enum SMTPCommand: Hashable {
    case ehlo
    case helo
    case startTLS
    case mail(reversePath: String, sizeBytes: Int?, smtpUTF8: Bool)
    case recipient(String)
    case data
    case reset
    case quit
    /// The single dot that answers a 354 nobody wanted, RFC 2920 §3.1.
    case emptyDot

    /// Appends the command with its CRLF.
    func write(heloName: String, into buffer: inout ByteBuffer) {
        switch self {
        case .ehlo:
            buffer.writeStaticString("EHLO ")
            Self.writeName(heloName, into: &buffer)
        case .helo:
            buffer.writeStaticString("HELO ")
            Self.writeName(heloName, into: &buffer)
        case .startTLS: buffer.writeStaticString("STARTTLS\r\n")
        case .mail(let reversePath, let sizeBytes, let smtpUTF8):
            buffer.writeStaticString("MAIL FROM:<")
            buffer.writeString(reversePath)
            buffer.writeStaticString(">")
            if let sizeBytes {
                buffer.writeStaticString(" SIZE=")
                buffer.writeString(String(sizeBytes))
            }
            buffer.writeString(smtpUTF8 ? " SMTPUTF8\r\n" : "\r\n")
        case .recipient(let address):
            buffer.writeStaticString("RCPT TO:<")
            buffer.writeString(address)
            buffer.writeStaticString(">\r\n")
        case .data: buffer.writeStaticString("DATA\r\n")
        case .reset: buffer.writeStaticString("RSET\r\n")
        case .quit: buffer.writeStaticString("QUIT\r\n")
        case .emptyDot: buffer.writeStaticString(".\r\n")
        }
    }

    private static func writeName(_ name: String, into buffer: inout ByteBuffer) {
        let allowed = name.utf8.map { (0x21...0x7E).contains($0) ? $0 : 0x2D }
        buffer.writeBytes(allowed.isEmpty ? Array("localhost".utf8) : allowed)
        buffer.writeStaticString("\r\n")
    }

    /// Whether `path` may stand between angle brackets: no control bytes, and no space or bracket outside quotes.
    ///
    /// This is the last guard against command injection; addresses arrive parsed.
    static func isSafePath(_ path: String) -> Bool {
        var isQuoted = false
        var isEscaped = false
        for byte in path.utf8 {
            guard byte >= 0x20, byte != 0x7F else { return false }
            if isEscaped {
                isEscaped = false
            } else if isQuoted {
                if byte == 0x5C { isEscaped = true } else if byte == 0x22 { isQuoted = false }
            } else {
                switch byte {
                case 0x20, 0x3C, 0x3E: return false
                case 0x22: isQuoted = true
                default: break
                }
            }
        }
        return !isQuoted && path.utf8.count <= 1_000
    }
}

extension SMTPTransaction {
    /// Whether an address of the envelope can only be written with SMTPUTF8.
    var needsUTF8: Bool {
        self.smtpUTF8 || !Self.isASCII(self.recipient) || !Self.isASCII(self.reversePath)
    }

    private static func isASCII(_ text: String) -> Bool { text.utf8.allSatisfy { $0 < 0x80 } }
}

extension SMTPExtensions {
    /// Our own refusal of a transaction that a server with these extensions cannot take; `nil` if it can.
    func refusal(of transaction: SMTPTransaction) -> SMTPReply? {
        guard SMTPCommand.isSafePath(transaction.reversePath), SMTPCommand.isSafePath(transaction.recipient),
            !transaction.recipient.isEmpty
        else { return SMTPReply(local: 553, "5.1.3", "the address cannot be written in an SMTP command") }
        if transaction.needsUTF8, !self.smtpUTF8 {
            return SMTPReply(local: 553, "5.6.7", "the address needs SMTPUTF8, which the server does not offer")
        }
        if let limit = self.sizeLimit, transaction.message.readableBytes > limit {
            let size = transaction.message.readableBytes
            return SMTPReply(local: 552, "5.3.4", "\(size) bytes exceed the server's limit of \(limit)")
        }
        return nil
    }
}

extension SMTPReply {
    /// Composes a reply of our own making.
    init(local code: Int, _ status: String, _ text: String) {
        self.init(code: code, enhancedStatus: EnhancedStatus(parsing: status), text: "\(status) \(text)")
    }
}
