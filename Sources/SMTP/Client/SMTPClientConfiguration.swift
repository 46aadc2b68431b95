// SPDX-License-Identifier: Apache-2.0

import NIOSSL

/// How long the client waits for what, RFC 5321 §4.5.3.2.
public struct SMTPClientTimeouts: Hashable, Sendable {
    /// The TCP connection.
    ///
    /// Default 30 s.
    public var connect: Duration = .seconds(30)
    /// The greeting, RFC 5321 §4.5.3.2.1.
    ///
    /// Default 300 s.
    public var greeting: Duration = .seconds(300)
    /// The answer to EHLO, HELO or STARTTLS.
    ///
    /// Default 300 s.
    public var hello: Duration = .seconds(300)
    /// The TLS handshake.
    ///
    /// Default 60 s.
    public var tlsHandshake: Duration = .seconds(60)
    /// The answer to MAIL or RSET, RFC 5321 §4.5.3.2.2.
    ///
    /// Default 300 s.
    public var mail: Duration = .seconds(300)
    /// The answer to RCPT, RFC 5321 §4.5.3.2.3.
    ///
    /// Default 300 s.
    public var recipient: Duration = .seconds(300)
    /// The 354 after DATA, RFC 5321 §4.5.3.2.4.
    ///
    /// Default 120 s.
    public var data: Duration = .seconds(120)
    /// One block of content going out, RFC 5321 §4.5.3.2.5.
    ///
    /// Default 180 s.
    public var dataBlock: Duration = .seconds(180)
    /// The answer to the final dot, RFC 5321 §4.5.3.2.6.
    ///
    /// Default 600 s: a shorter wait makes duplicates.
    public var finalDot: Duration = .seconds(600)
    /// The answer to QUIT.
    ///
    /// Default 5 s.
    public var quit: Duration = .seconds(5)

    /// The waits the standard asks for.
    public init() {}
}

/// Whether a connection may be encrypted.
public enum SMTPClientTLS: Hashable, Sendable {
    /// STARTTLS if the server offers it, whatever its certificate; RFC 7435.
    case opportunistic
    /// Plaintext.
    case off
}

/// How the client behaves on a connection.
public struct SMTPClientConfiguration: Sendable {
    /// The name given with EHLO; bytes that may not stand there are replaced by `-`.
    ///
    /// Empty gives the address literal of the connection's local address, as RFC 5321 §4.1.4 asks of a host without a name.
    public var heloName: String
    /// The waits.
    public var timeouts: SMTPClientTimeouts
    /// Encryption.
    ///
    /// The default is opportunistic.
    public var tls: SMTPClientTLS
    /// Whether commands are grouped if the server allows it, RFC 2920.
    ///
    /// On by default.
    public var usesPipelining = true
    /// Whether the next message's envelope rides in the flight of the previous one's final dot.
    ///
    /// On by default.
    public var ridesBehindContent = true
    /// Messages after which the connection is ended, 1 or more.
    ///
    /// Default 1,000.
    public var maxMessagesPerConnection = 1_000
    /// How long a ready connection stays without work before QUIT.
    ///
    /// Default 10 s.
    public var idleTimeout: Duration = .seconds(10)
    /// The most a transaction may take in all, whatever the server does.
    ///
    /// Default 20 minutes.
    public var transactionDeadline: Duration = .seconds(1_200)
    /// The largest piece of content given to the socket at once, in bytes.
    ///
    /// Default 64 KiB.
    ///
    /// Content up to this size leaves in one flight with its final dot.
    public var contentBlockBytes = 65_536
    /// The local address to connect from, numeric; `nil` leaves it to the system.
    public var localAddress: String?

    /// Shared by all connections made with this value, because a context is costly to make.
    let tlsContext: Result<NIOSSLContext, any Error>

    /// Composes a configuration.
    public init(
        heloName: String,
        tls: SMTPClientTLS = .opportunistic,
        timeouts: SMTPClientTimeouts = SMTPClientTimeouts()
    ) {
        self.heloName = heloName
        self.tls = tls
        self.timeouts = timeouts
        var context = TLSConfiguration.makeClientConfiguration()
        context.certificateVerification = .none
        context.trustRoots = .certificates([])
        context.minimumTLSVersion = .tlsv1
        self.tlsContext = Result { try NIOSSLContext(configuration: context) }
    }
}
