// proto-sha256: 81019563543adf3f9d7fd182748d00efe66c534a22eb991ae502cc6ba787c19b
// SPDX-License-Identifier: Apache-2.0

/// The contract that `cluster.pb.swift` was generated from.
enum ProtoHash {
    /// SHA-256 of `docs/protocol/cluster.proto`, lower-case hexadecimal.
    static let sha256 = "81019563543adf3f9d7fd182748d00efe66c534a22eb991ae502cc6ba787c19b"
}
