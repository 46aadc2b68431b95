// SPDX-License-Identifier: Apache-2.0

import Crypto

/// A key that a program shows to be let in: a public id, by which its record is found, and a random secret.
///
/// The text is shown once, when the key is made; only ``hash`` is kept. It consists of letters, digits and underscores,
/// so it needs no quoting in a URL.
public struct APIKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    private static let prefix = "tk"
    private static let secretBytes = 32
    private static let publicIDBytes = 10

    /// What names the key, not secret: 16 lower-case letters and digits.
    public let publicID: String
    private let secret: [UInt8]

    private init(publicID: String, secret: [UInt8]) {
        self.publicID = publicID
        self.secret = secret
    }

    /// Makes a key with 256 random bits.
    public static func generate() -> APIKey {
        APIKey(
            publicID: Base32.encode(SecureBytes.random(count: Self.publicIDBytes)),
            secret: SecureBytes.random(count: Self.secretBytes)
        )
    }

    /// Reads a key's text.
    ///
    /// - Returns: `nil` if the text has not the form of a key.
    public init?(parsing text: String) {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard
            parts.count == 3, parts[0] == Self.prefix,
            Base32.decode(parts[1])?.count == Self.publicIDBytes,
            let secret = Base32.decode(parts[2]), secret.count == Self.secretBytes
        else { return nil }
        self.init(publicID: parts[1].lowercased(), secret: secret)
    }

    /// The whole key, secret included, as its owner keeps it.
    public var text: String { "\(Self.prefix)_\(self.publicID)_\(Base32.encode(self.secret))" }

    /// What is stored to recognise the key again.
    public var hash: KeyHash { KeyHash(of: Array(self.publicID.utf8) + self.secret) }

    /// The public part, so that a key in a log line gives nothing away.
    public var description: String { "\(Self.prefix)_\(self.publicID)_…" }

    /// The public part.
    public var debugDescription: String { self.description }
}

/// The stored form of a secret with at least 128 random bits, from which the secret cannot be had back.
///
/// A plain SHA-256 is right for random keys only; passwords that people choose need ``PasswordHash``.
public struct KeyHash: Hashable, Sendable {
    /// The 32 bytes to store.
    public let bytes: [UInt8]

    /// Hashes a secret.
    public init(of secret: [UInt8]) {
        self.bytes = Array(SHA256.hash(data: secret))
    }

    /// Takes over a stored hash.
    ///
    /// - Returns: `nil` if it has not 32 bytes.
    public init?(stored bytes: [UInt8]) {
        guard bytes.count == SHA256.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Whether a key is the one hashed; takes the same time either way.
    public func matches(_ key: APIKey) -> Bool {
        SecureBytes.areEqual(self.bytes, key.hash.bytes)
    }

    /// Whether a secret is the one hashed; takes the same time either way.
    public func matches(secret: [UInt8]) -> Bool {
        SecureBytes.areEqual(self.bytes, KeyHash(of: secret).bytes)
    }
}
