// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Admits calls until the master stops, then waits for those in progress.
final class CallGate: Sendable {
    private struct State {
        var isClosed = false
        var inside = 0
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Whether new calls are refused.
    var isClosed: Bool { self.state.withLock { $0.isClosed } }

    /// Admits one call.
    ///
    /// - Throws: ``MasterError/Code/busy`` once closed.
    func enter() throws {
        try self.state.withLock { state in
            guard !state.isClosed else { throw MasterError(.busy, "the master is stopping; try again later") }
            state.inside += 1
        }
    }

    /// Ends one call.
    func leave() {
        let waiter = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.inside -= 1
            guard state.isClosed, state.inside == 0 else { return nil }
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Refuses new calls from now on; does not wait.
    func refuse() { self.state.withLock { $0.isClosed = true } }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Refuses new calls and waits until the last one has ended; for one caller at a time.
    @concurrent
    func close() async {
        await withCheckedContinuation { continuation in
            let isEmpty = self.state.withLock { state -> Bool in
                state.isClosed = true
                guard state.inside > 0 else { return true }
                state.waiter = continuation
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}
