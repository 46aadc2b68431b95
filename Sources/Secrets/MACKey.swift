// SPDX-License-Identifier: Apache-2.0

import Crypto

/// A key that proves that cursors, tokens and ids were made here.
///
/// HMAC-SHA256 (RFC 2104). One secret serves several purposes through ``derived(for:)``, so that what was made for one
/// never passes for another.
public struct MACKey: Sendable {
    /// The shortest truncated MAC that is accepted, in bytes: 64 bits, as short tokens need.
    public static let shortestMAC = 8
    /// An untruncated MAC, in bytes.
    public static let fullMAC = 32

    private let key: SymmetricKey
    /// A MAC that has taken in the key and nothing else: half the work on a short message.
    private let keyed: HMAC<SHA256>

    /// Takes over key bytes; 32 are usual.
    ///
    /// - Throws: `malformed` if there are fewer than 16.
    public init(bytes: [UInt8]) throws {
        guard bytes.count >= 16 else {
            throw SecretsError(.malformed, "a MAC key of \(bytes.count) bytes is too short; 16 are needed")
        }
        self.init(key: SymmetricKey(data: bytes))
    }

    private init(key: SymmetricKey) {
        self.key = key
        self.keyed = HMAC(key: key)
    }

    /// Makes a random key.
    public static func generate() -> MACKey {
        MACKey(key: SymmetricKey(size: .bits256))
    }

    /// The key's bytes, to be stored where only the master reads them.
    public var bytes: [UInt8] { self.key.withUnsafeBytes { Array($0) } }

    /// The key for one purpose; the same one for the same purpose, always.
    ///
    /// Source: RFC 5869 (HKDF-SHA256, the purpose as `info`).
    public func derived(for purpose: String) -> MACKey {
        MACKey(
            key: HKDF<SHA256>.deriveKey(
                inputKeyMaterial: self.key,
                info: Array(purpose.utf8),
                outputByteCount: Self.fullMAC
            )
        )
    }

    /// The MAC of a message.
    ///
    /// `length` is the bytes to keep, ``shortestMAC`` to ``fullMAC``.
    public func sign(_ message: [UInt8], length: Int = Self.fullMAC) -> [UInt8] {
        precondition((Self.shortestMAC...Self.fullMAC).contains(length), "a MAC of \(length) bytes")
        var mac = self.keyed
        mac.update(data: message)
        return Array(mac.finalize().prefix(length))
    }

    /// Whether a MAC, possibly truncated, belongs to a message; takes the same time either way.
    ///
    /// The caller fixes the length that it expects: a MAC shorter than ``shortestMAC`` never verifies.
    public func verify(_ mac: some Collection<UInt8>, of message: [UInt8]) -> Bool {
        guard (Self.shortestMAC...Self.fullMAC).contains(mac.count) else { return false }
        return SecureBytes.areEqual(mac, self.sign(message, length: mac.count))
    }
}
