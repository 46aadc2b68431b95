// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import _CryptoExtras

/// The stored form of a password, slow to guess from.
///
/// The text names the function and its costs, so that they may grow later without a migration:
/// `scrypt$log2(N)$r$p$salt$key`, salt and key in base64url.
///
/// Source: RFC 7914 §2.
public struct PasswordHash: Hashable, Sendable {
    /// What every stored text begins with.
    static let prefix = "scrypt$"
    private static let costExponent = 15
    private static let blockSize = 8
    private static let parallelization = 1
    private static let keyBytes = 32

    /// The text to store.
    public let text: String

    /// Hashes a password with a new salt; takes about a tenth of a second and 32 MiB.
    ///
    /// - Throws: `unavailable` if there is not enough memory.
    public init(of password: String) throws {
        let salt = SecureBytes.random(count: 16)
        self.init(
            salt: salt,
            key: try Self.derive(password, salt, Self.costExponent, Self.blockSize, Self.parallelization)
        )
    }

    private init(salt: [UInt8], key: [UInt8]) {
        self.text =
            "\(Self.prefix)\(Self.costExponent)$\(Self.blockSize)$\(Self.parallelization)"
            + "$\(Base64URL.encode(salt))$\(Base64URL.encode(key))"
    }

    /// Makes a hash that no password matches, at once: comparing with it takes as long as with any other.
    public static func unmatchable() -> PasswordHash {
        PasswordHash(salt: SecureBytes.random(count: 16), key: SecureBytes.random(count: Self.keyBytes))
    }

    /// Takes over a stored hash.
    public init(stored text: String) {
        self.text = text
    }

    /// Whether a password is the one hashed; `false` too for a stored text that is damaged or asks too much.
    public func matches(_ password: String) -> Bool {
        let parts = self.text.split(separator: "$", omittingEmptySubsequences: false)
        guard
            parts.count == 6, parts[0] == "scrypt",
            let exponent = Int(parts[1]), (10...20).contains(exponent),
            let blockSize = Int(parts[2]), (1...16).contains(blockSize),
            let parallelization = Int(parts[3]), (1...16).contains(parallelization),
            let salt = Base64URL.decode(parts[4]), let expected = Base64URL.decode(parts[5]), expected.count >= 16,
            // Failing to derive and not matching are the same answer to whoever asks.
            let key = try? Self.derive(password, salt, exponent, blockSize, parallelization, count: expected.count)
        else { return false }
        return SecureBytes.areEqual(key, expected)
    }

    private static func derive(
        _ password: String,
        _ salt: [UInt8],
        _ exponent: Int,
        _ blockSize: Int,
        _ parallelization: Int,
        count: Int = Self.keyBytes
    ) throws -> [UInt8] {
        do {
            let key = try KDF.Scrypt.deriveKey(
                from: Data(password.utf8),
                salt: salt,
                outputByteCount: count,
                rounds: 1 << exponent,
                blockSize: blockSize,
                parallelism: parallelization,
                maxMemory: 256 * blockSize << exponent
            )
            return key.withUnsafeBytes { Array($0) }
        } catch {
            throw SecretsError(.unavailable, "scrypt refused to hash: \(error)")
        }
    }
}
