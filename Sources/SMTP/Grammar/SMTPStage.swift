// SPDX-License-Identifier: Apache-2.0

/// How far a dialogue had come: the command whose answer was awaited, or whose bytes were being written.
public enum SMTPStage: String, Hashable, Sendable, CaseIterable {
    /// Opening the TCP connection.
    case connect
    /// Waiting for the 220 greeting.
    case greeting
    /// EHLO or HELO.
    case hello
    /// STARTTLS and the handshake.
    case tls
    /// MAIL FROM.
    case mail
    /// RCPT TO.
    case recipient
    /// DATA, up to the 354.
    case data
    /// Between the 354 and the final dot.
    case content
    /// After the final dot was written.
    case finalDot
    /// Between transactions: RSET, QUIT, or nothing under way.
    case idle
}
