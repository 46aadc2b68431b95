// SPDX-License-Identifier: Apache-2.0

/// Why a key or a signer cannot be used.
public struct DKIMError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of refusal.
    public enum Code: String, Hashable, Sendable {
        /// The text is not a private key of a kind and strength that DKIM knows.
        case badKey
        /// The signing domain, selector or identity cannot be written into a signature.
        case badSigner
        /// The cryptographic library refused to sign.
        case signing
    }

    /// The kind of refusal.
    public let code: Code
    /// The reason in one line; never part of a key.
    public let description: String

    /// Creates an error from its parts.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
