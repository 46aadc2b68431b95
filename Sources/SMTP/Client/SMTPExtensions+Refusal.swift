// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore

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
