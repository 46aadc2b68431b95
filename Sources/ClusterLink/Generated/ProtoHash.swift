// proto-sha256: b8878cdae5943dc9633c8a43b417d2a2999649d0aaca954d09a9d17468436202
// SPDX-License-Identifier: Apache-2.0

/// The contract that `cluster.pb.swift` was generated from.
enum ProtoHash {
    /// SHA-256 of `docs/protocol/cluster.proto`, lower-case hexadecimal.
    static let sha256 = "b8878cdae5943dc9633c8a43b417d2a2999649d0aaca954d09a9d17468436202"
}
