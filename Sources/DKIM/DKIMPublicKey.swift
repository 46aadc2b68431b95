// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import MailFormat

/// The key that a domain publishes for verifying its signatures.
///
/// - Note: RFC 6376 §3.6.1 and RFC 8463 §4.
struct DKIMPublicKey {
    /// Why a record cannot be used, in one line.
    struct Refusal: Error {
        let reason: String
    }

    private enum Kind {
        case rsa(_RSA.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
    }

    private let kind: Kind
    /// Whether the identity's domain must be the signing domain itself.
    let isStrict: Bool

    /// Reads a record, whose strings must have been joined.
    init(record: String, for algorithm: DKIMAlgorithm) throws(Refusal) {
        let tags: TagList
        do {
            tags = try TagList(Array(record.utf8.prefix(16_384)))
        } catch {
            throw Refusal(reason: "the key record is malformed: \(error.reason)")
        }
        if let version = tags["v"], version != "DKIM1" || tags.firstName != "v" {
            throw Refusal(reason: "the key record's version is not DKIM1")
        }
        guard (tags["k"] ?? "rsa") == algorithm.keyType else {
            throw Refusal(reason: "the key's type is not that of the signature")
        }
        if let hashes = tags.joined("h"), !hashes.split(separator: ":").contains("sha256") {
            throw Refusal(reason: "the key record does not allow SHA-256")
        }
        if let services = tags.joined("s"),
            !services.split(separator: ":").contains(where: { $0 == "*" || $0 == "email" })
        {
            throw Refusal(reason: "the key record is not for mail")
        }
        guard let encoded = tags.joined("p") else { throw Refusal(reason: "the key record has no key") }
        guard !encoded.isEmpty else { throw Refusal(reason: "the key has been revoked") }
        guard let bytes = Base64.decodeStrictly(encoded.utf8) else {
            throw Refusal(reason: "the key is not base64")
        }
        self.isStrict = tags.joined("t")?.split(separator: ":").contains("s") ?? false
        self.kind = try Self.kind(bytes, algorithm)
    }

    /// Whether a signature of a digest is good.
    func isValid(_ signature: [UInt8], for digest: SHA256.Digest) -> Bool {
        switch self.kind {
        case .rsa(let key):
            key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature),
                for: digest,
                padding: .insecurePKCS1v1_5
            )
        case .ed25519(let key): key.isValidSignature(signature, for: Array(digest))
        }
    }

    private static func kind(_ bytes: [UInt8], _ algorithm: DKIMAlgorithm) throws(Refusal) -> Kind {
        // The library's errors say no more than the reasons given here.
        switch algorithm {
        case .rsaSHA256:
            guard let key = try? _RSA.Signing.PublicKey(unsafeDERRepresentation: bytes),
                key.keySizeInBits >= DKIMPrivateKey.leastRSABits
            else { throw Refusal(reason: "the key is not RSA with \(DKIMPrivateKey.leastRSABits) bits or more") }
            return .rsa(key)
        case .ed25519SHA256:
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else {
                throw Refusal(reason: "the key is not Ed25519")
            }
            return .ed25519(key)
        }
    }
}
