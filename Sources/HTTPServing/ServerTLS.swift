// SPDX-License-Identifier: Apache-2.0

public import NIOSSL

/// TLS as our servers offer it.
public enum ServerTLS {
    /// Reads a certificate chain and its key: TLS 1.2 with ephemeral keys and authenticated encryption, and TLS 1.3.
    ///
    /// What is left out are TLS 1.0 and 1.1 (RFC 8996), key exchange by RSA and CBC (RFC 9325 §4.1, §4.2).
    ///
    /// - Parameters:
    ///   - certificatePEM: One certificate or more, the server's own first.
    ///   - privateKeyPEM: Its private key.
    /// - Returns: What ``HTTPListener`` takes.
    /// - Throws: What the TLS library says of unreadable PEM.
    public static func configuration(certificatePEM: String, privateKeyPEM: String) throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(privateKeyPEM.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = "ECDHE+AESGCM:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
        return configuration
    }
}
