// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A version of the feed, which waits begin from.
public struct FeedVersion: Sendable, Hashable {
    fileprivate var changes: UInt64
}

/// Wakes all tasks that wait for events.
final class FeedWatch: Sendable {
    private struct State {
        var changes: UInt64 = 0
        var nextWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    /// The version of now.
    var version: FeedVersion { FeedVersion(changes: self.state.withLock { $0.changes }) }

    /// Events may have been appended.
    func changed() {
        let waiters = self.state.withLock { state in
            state.changes += 1
            let waiters = state.waiters
            state.waiters = [:]
            return waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Waits until events have been appended after a version, or until cancelled.
    @concurrent
    func wait(past version: FeedVersion) async {
        let number = self.state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = self.state.withLock { state -> Bool in
                    if state.changes != version.changes || Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }

    /// Waits until events may have been appended after a version, until cancelled, or until a deadline on the master's
    /// measuring clock.
    func wait(past version: FeedVersion, until deadline: Duration, by time: MasterTime) async {
        await withTaskGroup { group in
            group.addTask { await self.wait(past: version) }
            // A sleep that is cancelled has nothing to report.
            group.addTask { try? await time.sleep(until: deadline) }
            await group.next()
            group.cancelAll()
        }
    }
}
