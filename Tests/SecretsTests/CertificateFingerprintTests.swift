// SPDX-License-Identifier: Apache-2.0

import Secrets
import SwiftASN1
import Testing

@Suite("Fingerprints of certificates")
struct CertificateFingerprintTests {
    /// The SHA-256 of no bytes at all, FIPS 180-4.
    private let empty =
        "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55"

    @Test("is the SHA-256 of the DER bytes, written as openssl writes it")
    func written() { #expect(CertificateFingerprint(certificateDER: []).description == self.empty) }

    @Test(
        "is read in every form in which people copy one",
        arguments: ["", "sha256:", "SHA256:", "sha256 Fingerprint=", "SHA256 Fingerprint="]
    )
    func read(prefix: String) throws {
        let expected = CertificateFingerprint(certificateDER: [])
        for text in [self.empty, self.empty.lowercased(), self.empty.filter { $0 != ":" }] {
            #expect(CertificateFingerprint(prefix + text) == expected)
        }
    }

    @Test(
        "what is no fingerprint is none",
        arguments: ["", "E3", "sha1:00", "X", String(repeating: "0", count: 63) + "g"]
    )
    func refused(text: String) {
        #expect(CertificateFingerprint(text) == nil)
        #expect(CertificateFingerprint(self.empty + text) == nil || text.isEmpty)
    }

    @Test("is taken from the first certificate of a PEM text, whatever stands before it")
    func fromPEM() throws {
        let made = try SelfSignedCertificate.make(commonName: "x", at: 1_800_000_000)
        let document = try PEMDocument(pemString: made.certificatePEM)
        let expected = CertificateFingerprint(certificateDER: document.derBytes)
        #expect(CertificateFingerprint(firstOfPEM: made.privateKeyPEM + made.certificatePEM) == expected)
        #expect(CertificateFingerprint(firstOfPEM: made.privateKeyPEM) == nil)
        #expect(CertificateFingerprint(firstOfPEM: "") == nil)
    }
}
