// SPDX-License-Identifier: Apache-2.0

import MailingModel
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

extension StableHash {
    /// The hash of `text` under `seed`: the same on every run and machine, unlike Swift's own hashes.
    static func of(_ text: String, seed: UInt64 = 0) -> UInt64 {
        Self.mixed(Self.fnv1a(text.utf8) ^ (seed &* 0x9E37_79B9_7F4A_7C15))
    }
}
