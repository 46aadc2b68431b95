// SPDX-License-Identifier: Apache-2.0

/// A few connections, each on a thread of its own, that share one queue.
///
/// Work is begun in the order in which it came, by whichever connection is free; each connection comes back by itself
/// when it is lost. See ``PostgreSQLThread`` for what holds for each piece of work.
public final class PostgreSQLPool: Sendable {
    private let queue: WorkQueue

    /// Starts the threads, which connect at once.
    ///
    /// - Parameters:
    ///   - configuration: Where and as whom.
    ///   - connections: 1 or more; the server's `max_connections` must allow them.
    ///   - options: Hold for each connection, but ``PostgreSQLThreadOptions/waitingBound`` for all together.
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/system`` if there can be no thread.
    public init(
        _ configuration: PostgreSQLConfiguration,
        connections: Int,
        options: PostgreSQLThreadOptions = PostgreSQLThreadOptions()
    ) throws {
        self.queue = WorkQueue(bound: options.waitingBound, timeout: options.waitTimeout)
        do {
            for _ in 0..<max(1, connections) { try ConnectionWorker.start(configuration, options, self.queue) }
        } catch {
            self.queue.stop()
            throw error
        }
    }

    deinit { self.queue.stop() }

    /// Runs work on the thread of a connection that is free; see ``PostgreSQLThread/perform(deadline:_:)``.
    @concurrent
    public func perform<Answer: Sendable>(
        deadline: ContinuousClock.Instant? = nil,
        _ work: @escaping @Sendable (PostgreSQLConnection) throws -> Answer
    ) async throws -> Answer {
        try await self.queue.perform(deadline: deadline, work)
    }

    /// Refuses further work, does what waits, ends the connections and their threads.
    @concurrent
    public func close() async { await self.queue.close() }
}
