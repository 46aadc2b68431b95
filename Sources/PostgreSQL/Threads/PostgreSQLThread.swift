// SPDX-License-Identifier: Apache-2.0

/// One connection on a thread of its own, which comes back when it is lost.
///
/// Work runs one after another in the order in which it came. Work that has begun is never repeated; work that has not
/// waits for a connection until its deadline.
public final class PostgreSQLThread: Sendable {
    let queue: WorkQueue

    /// Starts the thread, which connects at once and tries again until it is closed.
    ///
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/system`` if there can be no thread.
    public init(
        _ configuration: PostgreSQLConfiguration,
        options: PostgreSQLThreadOptions = PostgreSQLThreadOptions()
    ) throws {
        self.queue = WorkQueue(bound: options.waitingBound, timeout: options.waitTimeout)
        try ConnectionWorker.start(configuration, options, self.queue)
    }

    deinit { self.queue.stop() }

    // Swift 6.3.1 with optimisation drops the hop back to the caller's actor after a continuation that ends a
    // nonisolated(nonsending) function; after a `@concurrent` one the caller itself hops back.

    /// Runs work on the connection's thread.
    ///
    /// Cancelling the calling task cancels the statement that runs. A transaction that the work leaves open is rolled
    /// back, and an error in place of the answer says so.
    ///
    /// - Parameters:
    ///   - deadline: When the work has to end, waiting included. Without one it waits for the time in the options, and
    ///     each statement has the configuration's timeout.
    ///   - work: Must not let the connection, or rows, out.
    /// - Returns: What the work returns.
    /// - Throws: What the work throws; ``PostgreSQLError/Code/busy``, ``PostgreSQLError/Code/closed``,
    ///   ``PostgreSQLError/Code/cancelled``; ``PostgreSQLError/Code/timedOut`` or, if there was no connection,
    ///   ``PostgreSQLError/Code/connectionFailed`` or ``PostgreSQLError/Code/authentication``.
    @concurrent
    public func perform<Answer: Sendable>(
        deadline: ContinuousClock.Instant? = nil,
        _ work: @escaping @Sendable (PostgreSQLConnection) throws -> Answer
    ) async throws -> Answer {
        try await self.queue.perform(deadline: deadline, work)
    }

    /// Refuses further work, does what waits, ends the connection and the thread.
    ///
    /// Without a connection, one more attempt is made for what waits.
    @concurrent
    public func close() async { await self.queue.close() }
}
