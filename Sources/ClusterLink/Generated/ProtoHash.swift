// proto-sha256: e6960299807020c751a42c8f47b632be6fae84998e97e93bf1096054d40ac2bc
// SPDX-License-Identifier: Apache-2.0

/// The contract that `cluster.pb.swift` was generated from.
enum ProtoHash {
    /// SHA-256 of `docs/protocol/cluster.proto`, lower-case hexadecimal.
    static let sha256 = "e6960299807020c751a42c8f47b632be6fae84998e97e93bf1096054d40ac2bc"
}
