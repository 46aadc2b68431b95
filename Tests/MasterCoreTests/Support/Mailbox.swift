// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// An unbounded queue for one reader; a test waits on it for what must come.
final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var waiter: CheckedContinuation<Element?, Never>?
        var isClosed = false
    }

    private let state = Mutex(State())

    func put(_ element: Element) {
        let waiter = self.state.withLock { state -> CheckedContinuation<Element?, Never>? in
            guard let waiter = state.waiter.take() else {
                state.elements.append(element)
                return nil
            }
            return waiter
        }
        waiter?.resume(returning: element)
    }

    func close() {
        self.state.withLock { state in
            state.isClosed = true
            return state.waiter.take()
        }?.resume(returning: nil)
    }

    /// What is there now.
    var waiting: [Element] { self.state.withLock { $0.elements } }

    /// The next element; `nil` once closed or cancelled.
    func next() async -> Element? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome = self.state.withLock { state -> Element?? in
                    if !state.elements.isEmpty { return .some(state.elements.removeFirst()) }
                    if state.isClosed || Task.isCancelled { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            self.state.withLock { $0.waiter.take() }?.resume(returning: nil)
        }
    }
}
