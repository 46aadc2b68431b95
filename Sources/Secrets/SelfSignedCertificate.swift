// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import SwiftASN1
import X509
import _CryptoExtras

/// A certificate that vouches for itself, for listeners whose operator has provided none.
///
/// RSA-2048 and SHA-256, because old API clients know nothing newer. Clients must be configured to trust it or not to verify.
public struct SelfSignedCertificate: Sendable {
    /// The certificate, PEM.
    public let certificatePEM: String
    /// Its private key, PEM (PKCS#1 or PKCS#8); belongs in a ``SecretFile``.
    public let privateKeyPEM: String

    /// Makes a key and a certificate for this host; takes a noticeable fraction of a second.
    ///
    /// The certificate names `commonName`, `localhost` and 127.0.0.1, begins a day ago (clocks differ) and is for servers.
    ///
    /// - Parameters:
    ///   - commonName: The host's name; cut to the 64 characters that X.509 allows for it, but whole as a DNS name.
    ///   - validDays: Days from now.
    ///   - unixSeconds: Now.
    /// - Returns: Both as PEM.
    /// - Throws: `unavailable` if the library refuses.
    public static func make(
        commonName: String,
        validDays: Int = 3650,
        at unixSeconds: Int64
    ) throws -> SelfSignedCertificate {
        do {
            let key = Certificate.PrivateKey(try _RSA.Signing.PrivateKey(keySize: .bits2048))
            let name = try DistinguishedName {
                CommonName(String(commonName.prefix(64)))
            }
            var names: [GeneralName] = [
                .dnsName("localhost"), .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
            ]
            if !commonName.isEmpty, commonName != "localhost", commonName.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
                names.insert(.dnsName(commonName), at: 0)
            }
            let now = Date(timeIntervalSince1970: Double(unixSeconds))
            let certificate = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: key.publicKey,
                notValidBefore: now.addingTimeInterval(-86_400),
                notValidAfter: now.addingTimeInterval(Double(validDays) * 86_400),
                issuer: name,
                subject: name,
                signatureAlgorithm: .sha256WithRSAEncryption,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(digitalSignature: true, keyEncipherment: true, keyCertSign: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames(names)
                },
                issuerPrivateKey: key
            )
            var serializer = DER.Serializer()
            try certificate.serialize(into: &serializer)
            return SelfSignedCertificate(
                certificatePEM: PEMDocument(type: "CERTIFICATE", derBytes: serializer.serializedBytes).pemString + "\n",
                privateKeyPEM: try key.serializeAsPEM().pemString + "\n"
            )
        } catch {
            throw SecretsError(.unavailable, "cannot make a certificate for \(commonName): \(error)")
        }
    }
}
