// SPDX-License-Identifier: Apache-2.0

public import MailFormat

/// How a transaction ended.
///
/// Each one that was handed over ends exactly once.
public enum SMTPTransactionEnd: Hashable, Sendable {
    /// A reply decided it: 2xx at `finalDot` is delivery, everything else a refusal at the named stage.
    ///
    /// Refusals of our own (message over the server's SIZE, SMTPUTF8 not offered, an address that cannot be written on
    /// the wire) come in the same form, at stage `mail`, before any command was sent.
    case reply(SMTPStage, SMTPReply)
    /// MAIL was never answered, or answered 421: no attempt was made, another connection may take it at once.
    case notStarted(SMTPConnectionEnd)
    /// The connection ended after MAIL was answered and before the final dot: certainly not delivered.
    case lost(SMTPStage, SMTPConnectionEnd)
    /// The final dot was written and no valid reply came: the recipient may or may not have the message.
    case uncertain(SMTPConnectionEnd)
}
