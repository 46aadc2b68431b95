// SPDX-License-Identifier: Apache-2.0

/// A signature algorithm by its name in the tag `a=`.
///
/// - Note: RFC 6376 §3.3 and RFC 8463 §3. RFC 8301 has retired `rsa-sha1`.
public enum DKIMAlgorithm: String, Hashable, Sendable, CaseIterable {
    /// RSA with PKCS #1 version 1.5 padding over SHA-256.
    case rsaSHA256 = "rsa-sha256"
    /// Ed25519 over the SHA-256 digest.
    case ed25519SHA256 = "ed25519-sha256"

    /// The key's kind in the tag `k=` of a key record.
    var keyType: String {
        switch self {
        case .rsaSHA256: "rsa"
        case .ed25519SHA256: "ed25519"
        }
    }
}
