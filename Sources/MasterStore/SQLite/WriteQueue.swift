// SPDX-License-Identifier: Apache-2.0

internal import GRDB
internal import GRDBSQLite
internal import Synchronization

/// Runs writing verbs one after another on the writer's own queue, and commits those that wait together.
///
/// A verb that arrives while a commit is being synced to disk waits for the next one; all that wait then share one
/// transaction, each inside its own savepoint, and are answered after its COMMIT. A lone verb is committed at once. So
/// the price of a durable commit is paid once per disk turn, not once per call, and nothing waits on a timer.
final class WriteQueue: Sendable {
    /// One verb: what to do, and whom to tell.
    private struct Job: Sendable {
        /// Does the work and returns the step that answers; the step runs only after the commit.
        let run: @Sendable (Database) throws -> @Sendable () -> Void
        /// Answers with an error.
        let fail: @Sendable (any Error) -> Void
    }

    private struct State {
        var waiting: [Job] = []
        var isDraining = false
        var isClosed = false
    }

    /// The most verbs in one transaction.
    private static let largestGroup = 256
    /// No verb is added to a transaction that has run for longer.
    private static let longestGroup: Duration = .milliseconds(5)

    private let pool: DatabasePool
    private let afterCommit: @Sendable (Database) -> Void
    private let state = Mutex(State())

    /// Makes a queue.
    ///
    /// `afterCommit` runs on the writer after each answered group: checkpoints.
    init(pool: DatabasePool, afterCommit: @escaping @Sendable (Database) -> Void) {
        self.pool = pool
        self.afterCommit = afterCommit
    }

    /// Runs a verb in a transaction; when it returns, its effect is on disk.
    ///
    /// It may run twice, if a full disk undid the group that it was part of.
    @concurrent
    func perform<Answer: Sendable>(_ verb: @escaping @Sendable (Database) throws -> Answer) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            self.enqueue(
                Job(
                    run: { database in
                        let answer = try verb(database)
                        return { continuation.resume(returning: answer) }
                    },
                    fail: { continuation.resume(throwing: StoreError.wrapping($0)) }
                )
            )
        }
    }

    /// Runs a chore in the next transaction without anybody waiting for it.
    ///
    /// - Parameter chore: Returns the step to take after the commit. A chore that fails is dropped.
    func submit(_ chore: @escaping @Sendable (Database) throws -> @Sendable () -> Void) {
        self.enqueue(Job(run: chore, fail: { _ in }))
    }

    /// Refuses further verbs and returns once those that wait have been carried out.
    @concurrent
    func close() async {
        await withCheckedContinuation { continuation in
            self.enqueue(
                Job(run: { _ in { continuation.resume() } }, fail: { _ in continuation.resume() }),
                isLast: true
            )
        }
    }

    private func enqueue(_ job: Job, isLast: Bool = false) {
        let (isRefused, mustStart) = self.state.withLock { state in
            guard !state.isClosed else { return (true, false) }
            if isLast { state.isClosed = true }
            state.waiting.append(job)
            defer { state.isDraining = true }
            return (false, !state.isDraining)
        }
        if isRefused { return job.fail(StoreError(.database, "the store is closed")) }
        if mustStart { self.pool.asyncWriteWithoutTransaction { self.drain($0) } }
    }

    private func drain(_ database: Database) {
        while let group = self.nextGroup() {
            let rest = self.commit(group, in: database)
            if !rest.isEmpty { self.state.withLock { $0.waiting.insert(contentsOf: rest, at: 0) } }
            self.afterCommit(database)
        }
    }

    private func nextGroup() -> [Job]? {
        self.state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isDraining = false
                return nil
            }
            let group = Array(state.waiting.prefix(Self.largestGroup))
            state.waiting.removeFirst(group.count)
            return group
        }
    }

    /// Carries a group out and returns the jobs that were left for the next because this one had run long enough.
    private func commit(_ group: [Job], in database: Database) -> [Job] {
        var answers: [@Sendable () -> Void] = []
        var done = 0
        do {
            try Self.execute("BEGIN IMMEDIATE", in: database)
            let began = ContinuousClock.now
            for job in group {
                if done > 0, ContinuousClock.now - began > Self.longestGroup { break }
                if group.count > 1 { try Self.execute("SAVEPOINT verb", in: database) }
                do {
                    answers.append(try job.run(database))
                    if group.count > 1 { try Self.execute("RELEASE verb", in: database) }
                } catch {
                    // Some failures (a full disk) end the whole transaction; then nobody's work stands.
                    guard group.count > 1, database.isInsideTransaction else { throw error }
                    try Self.execute("ROLLBACK TO verb", in: database)
                    try Self.execute("RELEASE verb", in: database)
                    answers.append({ job.fail(error) })
                }
                done += 1
            }
            try Self.execute("COMMIT", in: database)
        } catch {
            if database.isInsideTransaction { try? Self.execute("ROLLBACK", in: database) }  // nothing else can be done
            guard group.count > 1 else {
                for job in group { job.fail(error) }
                return []
            }
            for job in group { _ = self.commit([job], in: database) }
            return []
        }
        for answer in answers { answer() }
        return Array(group[done...])
    }

    private static func execute(_ sql: String, in database: Database) throws {
        try PreparedStatement(try database.cachedStatement(sql: sql).sqliteStatement).run()
    }
}
