// SPDX-License-Identifier: Apache-2.0

import NIOSSL

/// The server's half of TLS: a certificate chain and its key.
public struct SMTPServerTLS: Sendable {
    let context: NIOSSLContext

    /// Reads a chain and a key.
    ///
    /// - Parameters:
    ///   - certificatePEM: One certificate or more, the server's own first.
    ///   - privateKeyPEM: Its private key.
    /// - Throws: What the TLS library says of unreadable PEM or of a key that does not fit.
    public init(certificatePEM: [UInt8], privateKeyPEM: [UInt8]) throws {
        let chain = try NIOSSLCertificate.fromPEMBytes(certificatePEM).map { NIOSSLCertificateSource.certificate($0) }
        let key = try NIOSSLPrivateKey(bytes: privateKeyPEM, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain,
            privateKey: .privateKey(key)
        )
        // RFC 8996, RFC 9325 §4.1, §4.2: no older version, no key exchange by RSA, no CBC.
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = "ECDHE+AESGCM:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
        self.context = try NIOSSLContext(configuration: configuration)
    }
}

/// How a server presents itself and what it bears.
public struct SMTPServerConfiguration: Sendable {
    /// The name in the greeting and in the answer to EHLO.
    public var hostName: String
    /// The largest message in bytes, offered as SIZE.
    ///
    /// Default 50 MiB.
    public var sizeLimit = 52_428_800
    /// Recipients for each message, 1 or more.
    ///
    /// Default 1,000.
    public var recipientLimit = 1_000
    /// How long a connection may be silent.
    ///
    /// Default 300 s, RFC 5321 §4.5.3.2.7.
    public var idleTimeout: Duration = .seconds(300)
    /// STARTTLS is offered if this is set.
    public var tls: SMTPServerTLS?
    /// Whether PIPELINING is offered.
    public var offersPipelining = true
    /// Whether SMTPUTF8 and 8BITMIME are offered.
    public var offersInternationalMail = true
    /// Whether EHLO is known at all.
    public var knowsEHLO = true

    /// Composes a configuration with the defaults.
    public init(hostName: String) { self.hostName = hostName }
}
