// SPDX-License-Identifier: Apache-2.0

extension PostgreSQLThread {
    /// Runs work on the connection's thread; nobody waits for it.
    ///
    /// - Parameters:
    ///   - work: Must not let the connection, or rows, out, and answers for its own errors.
    ///   - refused: Called instead, on any thread, if there was no connection in time or the thread has been closed.
    public func submit(
        _ work: @escaping @Sendable (PostgreSQLConnection) -> Void,
        refused: @escaping @Sendable (PostgreSQLError) -> Void
    ) {
        let due = ContinuousClock.now + self.queue.timeout
        let run: @Sendable (PostgreSQLConnection) -> @Sendable (PostgreSQLError?) -> Void = { connection in
            work(connection)
            return { _ in }
        }
        self.queue.add(
            Job(due: due, deadline: nil, cancellation: PostgreSQLCancellation(), run: run, fail: refused)
        )
    }
}
