// SPDX-License-Identifier: Apache-2.0

public import MailFormat

/// Why a connection ended, or never began.
public enum SMTPConnectionEnd: Hashable, Sendable, CustomStringConvertible {
    /// No TCP connection came about.
    case connectFailed(String)
    /// This process could not try: no descriptor, memory, buffer or local address was left; nothing about the server.
    case lacksResources(String)
    /// The greeting was not 220.
    case greetingRefused(SMTPReply)
    /// Neither EHLO nor HELO was accepted.
    case helloRefused(SMTPReply)
    /// The TLS handshake failed; the caller may remember it and reconnect in plaintext.
    case tlsFailed(String)
    /// STARTTLS was offered and then refused; the caller may remember it and reconnect in plaintext.
    case tlsRefused(SMTPReply)
    /// 421 between transactions, or in answer to MAIL, RSET or after another reply that ended a transaction.
    case unavailable(SMTPReply)
    /// The server closed at the named stage; `idle` between transactions.
    case closedByPeer(SMTPStage)
    /// Nothing came for too long at the named stage, or the transaction's own deadline passed there.
    case timedOut(SMTPStage)
    /// A reply that no command had asked for, or bytes that are no reply: answers could not be matched any more.
    case outOfStep(String)
    /// Reading or writing failed.
    case transport(String)
    /// Ended by us.
    case finished(Reason)

    /// Why we ended a connection.
    public enum Reason: String, Hashable, Sendable {
        /// `quit()` was called.
        case requested
        /// Nothing to send for the configured idle time.
        case idle
        /// The configured number of messages was sent.
        case messageLimit
        /// `abort()` was called.
        case aborted
    }

    /// One line for a log or a report.
    public var description: String {
        switch self {
        case .connectFailed(let text): "cannot connect: \(text)"
        case .greetingRefused(let reply): "greeted with \(reply.code) \(reply.text)"
        case .helloRefused(let reply): "EHLO refused: \(reply.code) \(reply.text)"
        case .lacksResources(let text): "cannot try to connect: \(text)"
        case .tlsFailed(let text): "TLS failed: \(text)"
        case .tlsRefused(let reply): "STARTTLS refused: \(reply.code) \(reply.text)"
        case .unavailable(let reply): "service not available: \(reply.code) \(reply.text)"
        case .closedByPeer(let stage): "connection closed by the server (stage \(stage.rawValue))"
        case .timedOut(let stage): "timed out (stage \(stage.rawValue))"
        case .outOfStep(let text): "dialogue out of step: \(text)"
        case .transport(let text): "connection failed: \(text)"
        case .finished(let reason): "finished (\(reason.rawValue))"
        }
    }
}
