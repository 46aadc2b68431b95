// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets threads wait for tasks and tasks for threads.
final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let isOpen = Mutex(false)

    init() { (self.stream, self.continuation) = AsyncStream.makeStream(of: Void.self) }

    func open() {
        self.isOpen.withLock { $0 = true }
        self.continuation.finish()
    }

    /// Waits as a task.
    func opened() async { for await _ in self.stream {} }

    /// Waits as a thread, at most ten minutes.
    func wait() {
        let deadline = ContinuousClock.now + .seconds(600)
        while ContinuousClock.now < deadline, !self.isOpen.withLock({ $0 }) {}
    }
}
