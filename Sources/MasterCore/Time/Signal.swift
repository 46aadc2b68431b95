// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Wakes one loop: however often it is notified before the loop looks, the loop wakes once.
final class Signal: Sendable {
    private struct State {
        var isSignalled = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Wakes the loop, now or when it next waits.
    func notify() {
        let waiter = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard let waiter = state.waiter.take() else {
                state.isSignalled = true
                return nil
            }
            return waiter
        }
        waiter?.resume()
    }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Waits until notified or cancelled.
    @concurrent
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = self.state.withLock { state -> Bool in
                    if state.isSignalled || Task.isCancelled {
                        state.isSignalled = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiter.take() }?.resume()
        }
    }

    /// Waits until notified, cancelled, or until a deadline on the master's measuring clock.
    func wait(until deadline: Duration, by time: MasterTime) async {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            // A sleep that is cancelled has nothing to report.
            group.addTask { try? await time.sleep(until: deadline) }
            await group.next()
            group.cancelAll()
        }
    }
}
