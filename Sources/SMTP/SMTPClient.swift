// SPDX-License-Identifier: Apache-2.0

import Listening
public import MailFormat
public import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Opens connections to mail servers.
///
/// A connection lives on one event loop and pulls its transactions from its delegate there; no task, actor or future is
/// involved for a message.
public enum SMTPClient {
    /// Begins to connect; the delegate hears the rest.
    ///
    /// Must be called on `eventLoop`. If the connection cannot be made, `connectionClosed` says so, never before this
    /// call has returned. It is not even tried while the process has few descriptors left (``Descriptors/areShort``), which
    /// is reported as any other lack of resources.
    ///
    /// - Parameters:
    ///   - host: The server's name, for logs and as the name asked for in TLS.
    ///   - address: The server's numeric IPv4 or IPv6 address.
    ///   - port: The server's port.
    ///   - eventLoop: The loop on which everything about the connection happens; one of NIO's socket loops.
    ///   - configuration: How to behave.
    ///   - delegate: Kept until the connection is closed.
    /// - Returns: The connection, not yet open.
    @discardableResult
    public static func connect(
        host: String,
        address: String,
        port: Int = 25,
        on eventLoop: any EventLoop,
        configuration: SMTPClientConfiguration,
        delegate: any SMTPConnectionDelegate
    ) -> SMTPConnection {
        eventLoop.preconditionInEventLoop()
        let connection = SMTPConnection(eventLoop: eventLoop, host: host, address: address, port: port)
        let handler = SMTPClientHandler(connection: connection, configuration: configuration, delegate: delegate)
        let bound = NIOLoopBound(handler, eventLoop: eventLoop)
        guard !Descriptors.areShort else {
            eventLoop.execute { bound.value.connectFailed(.lacksResources(Self.fewDescriptors)) }
            return connection
        }
        do {
            let remote = try SocketAddress(ipAddress: address, port: port)
            var bootstrap = ClientBootstrap(group: eventLoop)
                .connectTimeout(TimeAmount(configuration.timeouts.connect))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(bound.value)
                    }
                }
            if let local = configuration.localAddress {
                bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: local, port: 0))
            }
            bootstrap.connect(to: remote).whenFailure { error in
                bound.value.connectFailed(Self.end(error, address, from: configuration.localAddress))
            }
        } catch {
            let end = Self.end(error, address, from: configuration.localAddress)
            eventLoop.execute { bound.value.connectFailed(end) }
        }
        return connection
    }

    private static let fewDescriptors =
        "few file descriptors are left; raise the limit (ulimit -n, LimitNOFILE=) or lower smtp.maxConnections"

    /// What a failure to connect says: something about the server or the way to it, or about this process only.
    ///
    /// `EADDRNOTAVAIL` is the host's lack of a free port for IPv4, or of the configured local address. For IPv6 it is what
    /// a host without IPv6 says of every such address, which is about the way to the server.
    static func end(_ error: any Error, _ address: String, from localAddress: String?) -> SMTPConnectionEnd {
        guard let failure = error as? IOError else { return .connectFailed(String(describing: error)) }
        let text = String(cString: strerror(failure.errnoCode))
        switch failure.errnoCode {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .lacksResources("opening a socket: \(text)")
        case EADDRNOTAVAIL where localAddress != nil:
            return .lacksResources("connecting from \(localAddress ?? ""): \(text)")
        case EADDRNOTAVAIL where !address.contains(":"), EAGAIN, EADDRINUSE:
            return .lacksResources("no free local port for \(address): \(text)")
        default: return .connectFailed(text)
        }
    }
}

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

/// Supplies transactions to a connection and hears how they end.
///
/// Every call is made on the connection's event loop.
///
/// The delegate may call `wake`, `quit` or `abort` from within any call.
public protocol SMTPConnectionDelegate: AnyObject {
    /// Greeting, EHLO and TLS are done; transactions will be pulled from now on.
    func connectionReady(_ connection: SMTPConnection)

    /// The next transaction, when the connection is about to use it; `nil` leaves it idle until `wake()`.
    ///
    /// With `ridesBehindContent` it is also asked right before the previous message's final dot is flushed.
    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction?

    /// The final dot of transaction `id` is about to leave: the intention must be on disk when this returns.
    ///
    /// Called before any byte of the block that holds the dot is given to the channel. If the intention cannot be
    /// written, call `abort()`: the dot then is not sent and the transaction is lost at stage `content`.
    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64)

    /// Transaction `id` has ended; exactly once for each transaction that was supplied.
    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd)

    /// The connection is over; exactly once, after the ends of its transactions.
    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd)
}

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
