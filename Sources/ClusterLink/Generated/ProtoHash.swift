// proto-sha256: ced1f3bf0e32a29d8c688d0e3048752d76825ac62ce203498aeb5038f392cf81
// SPDX-License-Identifier: Apache-2.0

/// The contract that `cluster.pb.swift` was generated from.
enum ProtoHash {
    /// SHA-256 of `docs/protocol/cluster.proto`, lower-case hexadecimal.
    static let sha256 = "ced1f3bf0e32a29d8c688d0e3048752d76825ac62ce203498aeb5038f392cf81"
}
