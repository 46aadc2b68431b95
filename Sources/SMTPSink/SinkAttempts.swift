// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How often each recipient was named in a RCPT, over all connections.
///
/// Only the hash of an address is kept; a collision would make one recipient's first attempt look like its second.
final class SinkAttempts: Sendable {
    private let counts = Mutex<[UInt64: Int]>([:])

    /// Counts one more attempt and says which it is, from 1.
    func next(_ recipient: String) -> Int {
        self.counts.withLock { counts in
            let count = counts[StableHash.of(recipient), default: 0] + 1
            counts[StableHash.of(recipient)] = count
            return count
        }
    }
}

/// FNV-1a with a final mix: the same on every run and machine, unlike Swift's own hashes.
enum StableHash {
    /// The hash of `text` under `seed`.
    static func of(_ text: String, seed: UInt64 = 0) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ (seed &* 0x9E37_79B9_7F4A_7C15)
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        hash = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ (hash >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ (hash >> 33)
    }
}
