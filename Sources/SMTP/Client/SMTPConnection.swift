// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One connection to a mail server, as its delegate sees it.
///
/// Used on its event loop only.
public final class SMTPConnection {
    /// The loop on which everything about the connection happens.
    public let eventLoop: any EventLoop
    /// The server's name, for logs and as the name asked for in TLS.
    public let host: String
    /// The server's numeric address.
    public let address: String
    /// The server's port.
    public let port: Int

    var handler: SMTPClientHandler?

    init(eventLoop: any EventLoop, host: String, address: String, port: Int) {
        self.eventLoop = eventLoop
        self.host = host
        self.address = address
        self.port = port
    }

    /// What the server offered in its last answer to EHLO.
    public var extensions: SMTPExtensions { self.handler?.machine.extensions ?? SMTPExtensions() }

    /// Whether the connection is encrypted.
    public var isTLS: Bool { self.handler?.machine.isTLS ?? false }

    /// Transactions begun on this connection.
    public var messageCount: Int { self.handler?.machine.messageCount ?? 0 }

    /// Whether the connection is ready and has nothing to do.
    public var isIdle: Bool { self.handler?.machine.isAtRest ?? false }

    /// Whether the connection is over.
    public var isClosed: Bool { self.handler?.machine.isClosed ?? true }

    /// Makes an idle connection pull again; without effect on one that is busy or not yet ready.
    public func wake() { self.handler?.wake() }

    /// Takes no more transactions and says QUIT when those under way are over.
    public func quit() { self.handler?.quit() }

    /// Closes at once; what is under way is reported as not started, lost or uncertain.
    public func abort() { self.handler?.abort() }
}
