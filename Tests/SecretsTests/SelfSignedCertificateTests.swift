// SPDX-License-Identifier: Apache-2.0

import Foundation
import Secrets
import SwiftASN1
import Testing
import X509

@Suite("Self-signed certificate")
struct SelfSignedCertificateTests {
    @Test("names the host, localhost and 127.0.0.1, is for servers, and its key belongs to it")
    func makes() throws {
        let made = try SelfSignedCertificate.make(commonName: "mail.example.org", validDays: 10, at: 1_800_000_000)
        let certificate = try Certificate(pemEncoded: made.certificatePEM)
        let key = try Certificate.PrivateKey(pemEncoded: made.privateKeyPEM)
        #expect(certificate.publicKey == key.publicKey)
        #expect(certificate.publicKey.isValidSignature(certificate.signature, for: certificate))
        #expect(certificate.signatureAlgorithm == .sha256WithRSAEncryption)
        #expect("\(certificate.subject)" == "CN=mail.example.org")
        #expect(certificate.issuer == certificate.subject)
        #expect(certificate.notValidBefore == Date(timeIntervalSince1970: 1_800_000_000 - 86_400))
        #expect(certificate.notValidAfter == Date(timeIntervalSince1970: 1_800_000_000 + 864_000))
        let names = try #require(try certificate.extensions.subjectAlternativeNames)
        #expect(
            Array(names) == [
                .dnsName("mail.example.org"), .dnsName("localhost"),
                .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
            ]
        )
        #expect(try certificate.extensions.extendedKeyUsage?.contains(.serverAuth) == true)
    }

    @Test("a host name longer than a common name may be is still named whole")
    func longName() throws {
        let host = String(repeating: "a", count: 60) + ".example.org"
        let made = try SelfSignedCertificate.make(commonName: host, at: 1_800_000_000)
        let certificate = try Certificate(pemEncoded: made.certificatePEM)
        let names = try #require(try certificate.extensions.subjectAlternativeNames)
        #expect(Array(names).first == .dnsName(host))
    }
}
