// SPDX-License-Identifier: Apache-2.0

import Crypto

/// Encrypts secrets that must be stored and had back, such as signing keys in a database.
///
/// AES-256-GCM with a random nonce for each sealing. Sealed bytes are: format (1 byte, now 1), nonce (12), ciphertext,
/// tag (16). The context is authenticated with them, so that a sealed value cannot be moved to another row.
///
/// Source: NIST SP 800-38D (November 2007).
public struct Sealer: Sendable {
    private static let format: UInt8 = 1
    private static let keyBytes = 32
    private static let overhead = 1 + 12 + 16

    private let key: SymmetricKey

    /// Takes over a key of 32 bytes.
    ///
    /// - Throws: `malformed` for any other number.
    public init(key bytes: [UInt8]) throws {
        guard bytes.count == Self.keyBytes else {
            throw SecretsError(.malformed, "a sealing key has \(Self.keyBytes) bytes, not \(bytes.count)")
        }
        self.key = SymmetricKey(data: bytes)
    }

    /// Reads the key from a file that only its owner may read: 32 bytes in base64url on one line.
    ///
    /// - Throws: `missing`, `unreadable`, `unsafePermissions` or `malformed`, naming the file.
    public init(keyFile path: String) throws {
        let content = try SecretFile.read(path, maximumBytes: 4096)
        let text = String(decoding: content, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard text.count == 1, let bytes = Base64URL.decode(text[0]), bytes.count == Self.keyBytes else {
            throw SecretsError(.malformed, "key file \(path) does not hold \(Self.keyBytes) bytes in base64url")
        }
        try self.init(key: bytes)
    }

    /// Reads the key from a file, which is made with a new random key if it is not there.
    ///
    /// - Throws: As ``init(keyFile:)``.
    public static func loadingOrCreating(keyFile path: String) throws -> Sealer {
        do {
            return try Sealer(keyFile: path)
        } catch let error as SecretsError where error.code == .missing {
            let key = Base64URL.encode(SecureBytes.random(count: Self.keyBytes))
            do {
                try SecretFile.create(path, contents: Array("\(key)\n".utf8))
            } catch let error as SecretsError where error.code == .exists {
                // Another process made it in between; its key is the one that counts.
            }
            return try Sealer(keyFile: path)
        }
    }

    /// Encrypts bytes.
    ///
    /// The context says what the bytes are and whose, for example `dkim/example.org`; it is needed again to open them.
    ///
    /// - Throws: `unavailable` if the library refuses.
    public func seal(_ plain: [UInt8], context: String) throws -> [UInt8] {
        do {
            let box = try AES.GCM.seal(plain, using: self.key, authenticating: Array(context.utf8))
            return [Self.format] + Array(box.nonce) + box.ciphertext + box.tag
        } catch {
            throw SecretsError(.unavailable, "cannot seal \(context): \(error)")
        }
    }

    /// Decrypts what ``seal(_:context:)`` made with the same key and context.
    ///
    /// - Throws: `malformed` if the bytes are not sealed ones, `notAuthentic` if they were changed or belong elsewhere.
    public func open(_ sealed: [UInt8], context: String) throws -> [UInt8] {
        guard sealed.count >= Self.overhead, sealed[0] == Self.format else {
            throw SecretsError(.malformed, "sealed value for \(context) is damaged or of an unknown format")
        }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed.dropFirst())
            return Array(try AES.GCM.open(box, using: self.key, authenticating: Array(context.utf8)))
        } catch {
            throw SecretsError(
                .notAuthentic,
                "sealed value for \(context) was changed, or sealed with another key or for another purpose"
            )
        }
    }
}
