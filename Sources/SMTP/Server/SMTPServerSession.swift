// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One client's connection, as the server's delegate sees it.
///
/// Used on its event loop only.
public final class SMTPServerSession {
    /// The loop on which everything about the session happens.
    public let eventLoop: any EventLoop
    /// The client's numeric address and port, as `127.0.0.1:40000` or `[::1]:40000`.
    public let peer: String
    /// The address and port the client connected to, in the same form.
    public let local: String

    var handler: SMTPServerHandler?

    init(eventLoop: any EventLoop, peer: String, local: String) {
        self.eventLoop = eventLoop
        self.peer = peer
        self.local = local
    }

    /// The name given with EHLO or HELO.
    public var helloName: String? { self.handler?.machine.helloName }

    /// The envelope's sender, empty for the null reverse path; `nil` before MAIL.
    public var reversePath: String? { self.handler?.machine.reversePath }

    /// The envelope's accepted recipients.
    public var recipients: [String] { self.handler?.machine.recipients ?? [] }

    /// Whether the connection is encrypted.
    public var isTLS: Bool { self.handler?.machine.isTLS ?? false }

    /// Whether the connection is over.
    public var isClosed: Bool { self.handler == nil }

    /// Gives the decision that was postponed; without effect on a closed session.
    public func resume(with decision: SMTPServerDecision) { self.handler?.resume(with: decision) }
}
