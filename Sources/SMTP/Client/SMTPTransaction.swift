// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One message to one recipient, ready for the wire.
public struct SMTPTransaction: Sendable {
    /// The caller's number for it; comes back in every call about it.
    public var id: UInt64
    /// The envelope sender without angle brackets; empty for the null reverse path.
    public var reversePath: String
    /// The envelope recipient without angle brackets.
    public var recipient: String
    /// Whether an address needs SMTPUTF8, RFC 6531; implied if one is not ASCII.
    public var smtpUTF8: Bool
    /// The complete message with CRLF line ends, not dot-stuffed.
    public var message: ByteBuffer

    /// Composes a transaction.
    public init(
        id: UInt64,
        reversePath: String,
        recipient: String,
        smtpUTF8: Bool = false,
        message: ByteBuffer
    ) {
        self.id = id
        self.reversePath = reversePath
        self.recipient = recipient
        self.smtpUTF8 = smtpUTF8
        self.message = message
    }
}
