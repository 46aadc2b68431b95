// proto-sha256: baa1ef33ca1ed6d3ed64d4aa3df0d33d9a8be797365f13a7fbbe90d40f52f481
// SPDX-License-Identifier: Apache-2.0

/// The contract that `cluster.pb.swift` was generated from.
enum ProtoHash {
    /// SHA-256 of `docs/protocol/cluster.proto`, lower-case hexadecimal.
    static let sha256 = "baa1ef33ca1ed6d3ed64d4aa3df0d33d9a8be797365f13a7fbbe90d40f52f481"
}
