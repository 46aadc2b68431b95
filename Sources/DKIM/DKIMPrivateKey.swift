// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation
import MailFormat

/// A private key that signs mail.
///
/// Both kinds of signature are deterministic: the same message signed at the same date has the same bytes again.
public struct DKIMPrivateKey: Sendable {
    /// The fewest bits of an RSA key that any receiver accepts, RFC 8301 §3.2.
    public static let leastRSABits = 1_024

    private enum Kind: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    private let kind: Kind

    /// Reads a key.
    ///
    /// - Parameter pem: PEM of an RSA key (PKCS #1 or PKCS #8, 1,024 bits or more) or of an Ed25519 key (PKCS #8);
    ///   also the base64 of either's DER, or of an Ed25519 key's 32 bytes.
    /// - Throws: `DKIMError.Code.badKey`.
    public init(pem: String) throws(DKIMError) {
        let lines = pem.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        let inner = lines.filter { !$0.isEmpty && !$0.hasPrefix("-----") }
        if lines.contains(where: { $0.hasPrefix("-----BEGIN ENCRYPTED") || $0.hasPrefix("Proc-Type:") }) {
            throw DKIMError(.badKey, "the private key is protected by a password; give it without one")
        }
        if lines.contains(where: { $0.hasPrefix("-----BEGIN") && $0.contains("PUBLIC") }) {
            throw DKIMError(.badKey, "this is a public key; signing needs the private one")
        }
        guard let der = Base64.decodeStrictly(inner.joined().utf8), !der.isEmpty else {
            throw DKIMError(.badKey, "the text is neither PEM nor base64")
        }
        self.kind = try Self.kind(der)
    }

    private init(_ kind: Kind) {
        self.kind = kind
    }

    /// Makes a new RSA key of 2,048 bits, which takes a fraction of a second.
    ///
    /// - Throws: `DKIMError.Code.badKey` if the system has no randomness.
    /// - Returns: The key.
    public static func makeRSA2048() throws(DKIMError) -> DKIMPrivateKey {
        do {
            return DKIMPrivateKey(.rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048)))
        } catch {
            throw DKIMError(.badKey, "no RSA key could be made: \(error)")
        }
    }

    /// Makes a new Ed25519 key.
    public static func makeEd25519() -> DKIMPrivateKey {
        DKIMPrivateKey(.ed25519(Curve25519.Signing.PrivateKey()))
    }

    /// The algorithm of the key's signatures.
    public var algorithm: DKIMAlgorithm {
        switch self.kind {
        case .rsa: .rsaSHA256
        case .ed25519: .ed25519SHA256
        }
    }

    /// The key's size in bits.
    public var bits: Int {
        switch self.kind {
        case .rsa(let key): key.keySizeInBits
        case .ed25519: 256
        }
    }

    /// What to publish in the DNS at `selector._domainkey.domain`.
    ///
    /// - Note: RFC 6376 §3.6.1 and RFC 8463 §4.
    public var publicRecord: String {
        var encoded: [UInt8] = []
        switch self.kind {
        case .rsa(let key): Base64.encodeUnbroken(key.publicKey.derRepresentation, into: &encoded)
        case .ed25519(let key): Base64.encodeUnbroken(key.publicKey.rawRepresentation, into: &encoded)
        }
        return "v=DKIM1; k=\(self.algorithm.keyType); p=\(String(decoding: encoded, as: UTF8.self))"
    }

    /// The key itself as PEM of PKCS #8; keep it secret.
    public var pem: String {
        switch self.kind {
        case .rsa(let key): return key.pkcs8PEMRepresentation
        case .ed25519(let key):
            var encoded: [UInt8] = []
            Base64.encodeUnbroken(Self.ed25519Prefix + Array(key.rawRepresentation), into: &encoded)
            return "-----BEGIN PRIVATE KEY-----\n\(String(decoding: encoded, as: UTF8.self))\n-----END PRIVATE KEY-----"
        }
    }

    /// The length of a signature, in bytes.
    var signatureBytes: Int {
        switch self.kind {
        case .rsa(let key): (key.keySizeInBits + 7) / 8
        case .ed25519: 64
        }
    }

    /// Signs a digest.
    func signature(for digest: SHA256.Digest) throws(DKIMError) -> [UInt8] {
        do {
            return switch self.kind {
            case .rsa(let key):
                Array(try key.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation)
            case .ed25519(let key): Array(try key.signature(for: Array(digest)))
            }
        } catch {
            throw DKIMError(.signing, "signing failed: \(error)")
        }
    }

    /// The DER of a PKCS #8 Ed25519 key up to the 32 bytes of the key, RFC 8410 §7.
    private static let ed25519Prefix: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]

    private static func kind(_ der: [UInt8]) throws(DKIMError) -> Kind {
        // The library's own errors say no more than that a key is unfit, so they are replaced by a line that does.
        if let seed = self.ed25519Seed(der) {
            guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
                throw DKIMError(.badKey, "the Ed25519 key cannot be read")
            }
            return .ed25519(key)
        }
        guard let key = try? _RSA.Signing.PrivateKey(unsafeDERRepresentation: der),
            key.keySizeInBits >= self.leastRSABits
        else {
            throw DKIMError(
                .badKey,
                "the private key is neither Ed25519 nor RSA with \(self.leastRSABits) bits or more"
            )
        }
        return .rsa(key)
    }

    private static func ed25519Seed(_ der: [UInt8]) -> ArraySlice<UInt8>? {
        if der.count == 32 { return der[...] }
        // The version and the outer length differ if the public key is there too (RFC 5958); the middle does not.
        let middle = self.ed25519Prefix[5...]
        guard der.count >= 48, der[0] == 0x30, der[5..<16].elementsEqual(middle) else { return nil }
        return der[16..<48]
    }
}
