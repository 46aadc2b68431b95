// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Counts the commits of one opening of the store.
///
/// A number is written with the transaction that it counts, and is known to others only once that is committed.
final class StoreProgress: Sendable {
    private struct State {
        var begun: Int64 = 0
        var committed: Int64 = 0
    }

    private let state = Mutex(State())

    /// The number of the newest commit; 0 before the first.
    var committed: Int64 { self.state.withLock { $0.committed } }

    /// The number for the transaction that is about to be committed.
    func next() -> Int64 {
        self.state.withLock { state in
            state.begun += 1
            return state.begun
        }
    }

    /// The transaction with this number is committed.
    func committed(_ number: Int64) { self.state.withLock { $0.committed = max($0.committed, number) } }
}
