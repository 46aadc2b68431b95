// proto-sha256: 30d1a7d7d0109e0fcb8f2f37ed073503944cccb04e9e51af3dc12212f60e1fbe
// SPDX-License-Identifier: Apache-2.0

/// The contract that `cluster.pb.swift` was generated from.
enum ProtoHash {
    /// SHA-256 of `docs/protocol/cluster.proto`, lower-case hexadecimal.
    static let sha256 = "30d1a7d7d0109e0fcb8f2f37ed073503944cccb04e9e51af3dc12212f60e1fbe"
}
