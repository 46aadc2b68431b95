// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import SwiftASN1

/// The SHA-256 of a certificate's DER bytes, by which a person compares certificates (`openssl x509 -fingerprint -sha256`).
public struct CertificateFingerprint: Hashable, Sendable, CustomStringConvertible {
    /// 32 bytes.
    public let digest: [UInt8]

    /// The fingerprint of a certificate.
    ///
    /// - Parameter bytes: The certificate, DER.
    public init(certificateDER bytes: some Sequence<UInt8>) { self.digest = Array(SHA256.hash(data: Array(bytes))) }

    /// The fingerprint of the first certificate of a PEM text; `nil` if there is none.
    public init?(firstOfPEM text: String) {
        let documents = (try? PEMDocument.parseMultiple(pemString: text)) ?? []
        guard let first = documents.first(where: { $0.discriminator == "CERTIFICATE" }) else { return nil }
        self.init(certificateDER: first.derBytes)
    }

    /// Reads a fingerprint; `nil` if `text` is none.
    ///
    /// - Parameter text: 64 hexadecimal digits in either case, with or without colons, as openssl and browsers show them;
    ///   `sha256:` or openssl's `sha256 Fingerprint=` may stand before them.
    public init?(_ text: some StringProtocol) {
        var rest = Substring(text.lowercased())
        for prefix in ["sha256 fingerprint=", "sha256:"] where rest.hasPrefix(prefix) { rest.removeFirst(prefix.count) }
        let digits = rest.filter { $0 != ":" && !$0.isWhitespace }
        guard digits.utf8.count == 64 else { return nil }
        var digest: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = digit.hexDigitValue.map(UInt8.init), digit.isASCII else { return nil }
            if let first = high {
                digest.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.digest = digest
    }

    /// Upper-case pairs of digits between colons, as openssl prints them.
    public var description: String {
        let digits = Array("0123456789ABCDEF")
        return self.digest.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined(separator: ":")
    }
}
