// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Access to the connection that writes.
protocol StoreWriter: Sendable {
    /// Calls `work` with the connection, where it lives, or with the reason why there is none.
    func enter(_ work: @escaping @Sendable (Result<any StoreConnection, any Error>) -> Void)
}

/// Runs writing operations one after another on the writer's own queue, and commits those that wait together.
///
/// An operation that arrives while a commit is being synced to disk waits for the next one; all that wait then share one
/// transaction, each inside its own savepoint, and are answered after its COMMIT. A lone operation is committed at once. So
/// the price of a durable commit is paid once per disk turn, not once per call, and nothing waits on a timer.
final class WriteQueue: Sendable {
    /// One job: what to do, and whom to notify.
    private struct Job: Sendable {
        /// Does the work and returns the step that answers; the step runs only after the commit.
        let run: @Sendable (any StoreConnection) throws -> @Sendable () -> Void
        /// Answers with an error.
        let fail: @Sendable (any Error) -> Void
    }

    private struct State {
        var waiting: [Job] = []
        var isDraining = false
        var isClosed = false
    }

    /// The most operations in one transaction.
    private static let largestGroup = 256
    /// No operation is added to a transaction that has run for longer, or for twice as long as its beginning took: over a long
    /// way to the database a transaction costs more than the operations in it.
    private static let longestGroup: Duration = .milliseconds(5)

    private let writer: any StoreWriter
    private let afterCommit: @Sendable (any StoreConnection) -> Void
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())

    /// Makes a queue.
    ///
    /// `afterCommit` runs on the writer after each answered group: checkpoints. `now` is the time.
    init(
        writer: any StoreWriter,
        afterCommit: @escaping @Sendable (any StoreConnection) -> Void = { _ in },
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.writer = writer
        self.afterCommit = afterCommit
        self.now = now
    }

    /// Runs an operation in a transaction; when it returns, its effect is on disk.
    ///
    /// It may run twice, if a failure undid the group that it was part of.
    @concurrent
    func perform<Answer: Sendable>(
        _ operation: @escaping @Sendable (any StoreConnection) throws -> Answer
    ) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            self.enqueue(
                Job(
                    run: { connection in
                        let answer = try operation(connection)
                        return { continuation.resume(returning: answer) }
                    },
                    fail: { continuation.resume(throwing: StoreError.wrapping($0)) }
                )
            )
        }
    }

    /// Runs a job in the next transaction without anybody waiting for it.
    ///
    /// - Parameters:
    ///   - job: Returns the step to take after the commit.
    ///   - failed: Called instead if the job fails.
    func submit(
        _ job: @escaping @Sendable (any StoreConnection) throws -> @Sendable () -> Void,
        failed: @escaping @Sendable () -> Void = {}
    ) {
        self.enqueue(Job(run: job, fail: { _ in failed() }))
    }

    /// Runs an empty transaction, unless another is under way or about to begin.
    func submitIfIdle() {
        guard self.state.withLock({ !$0.isDraining }) else { return }
        self.submit { _ in {} }
    }

    /// Answers the operations that have not begun with an error.
    func failWaiting(_ error: any Error) {
        let jobs = self.state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for job in jobs { job.fail(error) }
    }

    /// Whether further operations are refused.
    var isClosed: Bool { self.state.withLock { $0.isClosed } }

    /// Refuses further operations and returns once those that wait have been carried out.
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
        if mustStart { self.writer.enter { self.drain($0) } }
    }

    private func drain(_ writer: Result<any StoreConnection, any Error>) {
        while let group = self.nextGroup() {
            switch writer {
            case .success(let connection):
                let rest = self.commit(group, in: connection)
                if !rest.isEmpty { self.state.withLock { $0.waiting.insert(contentsOf: rest, at: 0) } }
                self.afterCommit(connection)
            case .failure(let error):
                for job in group { job.fail(error) }
            }
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
    private func commit(_ group: [Job], in connection: any StoreConnection) -> [Job] {
        let beginning = self.now()
        do {
            try connection.begin()
        } catch {
            // To try each alone would only wait as long for each.
            for job in group { job.fail(error) }
            return []
        }
        var answers: [@Sendable () -> Void] = []
        var done = 0
        do {
            let began = self.now()
            let longest = max(Self.longestGroup, (began - beginning) * 2)
            for job in group {
                if done > 0, self.now() - began > longest { break }
                if group.count > 1 { try connection.savepoint() }
                do {
                    let answer = try job.run(connection)
                    if group.count > 1 { try connection.releaseSavepoint() }
                    answers.append(answer)
                } catch {
                    // Some failures (a full disk) end the whole transaction; then nobody's work stands.
                    guard group.count > 1, connection.isInsideTransaction else { throw error }
                    try connection.rollbackToSavepoint()
                    answers.append({ job.fail(error) })
                }
                done += 1
            }
            try connection.commit()
        } catch let error as CommitUnknown {
            // To run them again might do the same twice.
            for job in group[..<done] { job.fail(error.reason) }
            return Array(group[done...])
        } catch {
            if connection.isInsideTransaction { try? connection.rollback() }  // nothing else can be done
            guard group.count > 1 else {
                for job in group { job.fail(error) }
                return []
            }
            for job in group { _ = self.commit([job], in: connection) }
            return []
        }
        for answer in answers { answer() }
        return Array(group[done...])
    }
}
