// SPDX-License-Identifier: Apache-2.0

import ZeroMQ

/// The events of a link in order; bounded, so that an unread event stops the link from reading its sockets.
///
/// For one reader; ends when the link has stopped.
public struct LinkEvents<Element: Sendable>: AsyncSequence, Sendable {
    let queue: BoundedQueue<Element>

    /// Starts reading; all iterators share one position.
    public func makeAsyncIterator() -> Iterator { Iterator(queue: self.queue) }

    /// Reads the events.
    public struct Iterator: AsyncIteratorProtocol {
        let queue: BoundedQueue<Element>

        /// The next event; `nil` once the link has stopped or the task is cancelled.
        public mutating func next() async -> Element? { await self.queue.next() }

        /// The next event; `nil` once the link has stopped or the task is cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Element? { await self.queue.next() }
    }
}
