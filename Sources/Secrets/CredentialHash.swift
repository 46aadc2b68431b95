// SPDX-License-Identifier: Apache-2.0

/// The stored form of a credential's secret; its text names the function.
public enum CredentialHash: Hashable, Sendable {
    /// A secret that a person chose, slow to guess from its hash.
    case chosen(PasswordHash)
    /// A generated secret, which nobody guesses: ``KeyHash`` is enough, and quick.
    case generated(KeyHash)

    private static let generatedPrefix = "sha256$"

    /// Reads a stored text.
    ///
    /// - Returns: `nil` if it is of no known function.
    public init?(stored text: String) {
        if text.hasPrefix(Self.generatedPrefix) {
            guard let bytes = Base64URL.decode(text.dropFirst(Self.generatedPrefix.count)),
                let hash = KeyHash(stored: bytes)
            else { return nil }
            self = .generated(hash)
        } else if text.hasPrefix(PasswordHash.prefix) {
            self = .chosen(PasswordHash(stored: text))
        } else {
            return nil
        }
    }

    /// The text to store.
    public var text: String {
        switch self {
        case .chosen(let hash): hash.text
        case .generated(let hash): Self.generatedPrefix + Base64URL.encode(hash.bytes)
        }
    }

    /// Makes a secret of 256 random bits in letters and digits, 52 characters, and its hash.
    public static func generate() -> (secret: String, hash: CredentialHash) {
        let secret = Base32.encode(SecureBytes.random(count: 32))
        return (secret, .generated(KeyHash(of: Array(secret.utf8))))
    }
}
