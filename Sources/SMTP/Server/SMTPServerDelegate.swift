// SPDX-License-Identifier: Apache-2.0

/// Decides at each step of a server's dialogue.
///
/// Every call is made on the session's event loop.
///
/// Each method has a default that accepts.
public protocol SMTPServerDelegate: AnyObject {
    /// A client has connected.
    func greeting(_ session: SMTPServerSession) -> SMTPServerDecision
    /// EHLO or HELO.
    func hello(_ session: SMTPServerSession, name: String) -> SMTPServerDecision
    /// STARTTLS.
    func startTLS(_ session: SMTPServerSession) -> SMTPServerDecision
    /// MAIL, with syntax and order checked.
    func mail(_ session: SMTPServerSession, reversePath: String) -> SMTPServerDecision
    /// RCPT, with syntax and order checked.
    func recipient(_ session: SMTPServerSession, address: String) -> SMTPServerDecision
    /// DATA, with one or more accepted recipients.
    func data(_ session: SMTPServerSession) -> SMTPServerDecision
    /// The final dot has come: `content` is the whole message with its dots unstuffed.
    ///
    /// The envelope is in `session`. Content with a bare CR or LF, or over the size limit, is refused before.
    func message(_ session: SMTPServerSession, content: [UInt8]) -> SMTPServerDecision
    /// The connection is over; exactly once.
    func closed(_ session: SMTPServerSession)
}

extension SMTPServerDelegate {
    /// Greets.
    public func greeting(_ session: SMTPServerSession) -> SMTPServerDecision { .accept }
    /// Accepts.
    public func hello(_ session: SMTPServerSession, name: String) -> SMTPServerDecision { .accept }
    /// Accepts.
    public func startTLS(_ session: SMTPServerSession) -> SMTPServerDecision { .accept }
    /// Accepts.
    public func mail(_ session: SMTPServerSession, reversePath: String) -> SMTPServerDecision { .accept }
    /// Accepts.
    public func recipient(_ session: SMTPServerSession, address: String) -> SMTPServerDecision { .accept }
    /// Asks for the content.
    public func data(_ session: SMTPServerSession) -> SMTPServerDecision { .accept }
    /// Does nothing.
    public func closed(_ session: SMTPServerSession) {}
}
