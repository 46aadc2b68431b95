// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Work for a connection: what to do, and whom to notify.
struct Job: Sendable {
    /// When it has to have begun.
    let due: ContinuousClock.Instant
    /// When it has to end.
    let deadline: ContinuousClock.Instant?
    let cancellation: PostgreSQLCancellation
    /// Does the work and returns the step that answers, with an error in place of the work's answer if one is given.
    let run: @Sendable (PostgreSQLConnection) -> @Sendable (PostgreSQLError?) -> Void
    /// Answers without having run.
    let fail: @Sendable (PostgreSQLError) -> Void
}

/// The way from tasks to the threads that own connections: first come, first served.
///
/// A job is answered by whoever takes it out of the queue, so once.
final class WorkQueue: Sendable {
    /// What a thread does next.
    enum Next { case run(Job), sleep, stop }

    private struct State {
        var waiting: [Job] = []
        /// No job is due earlier.
        var nextDue: ContinuousClock.Instant?
        /// The threads that sleep for want of work, the last to fall asleep at the end.
        var sleeping: [Int] = []
        var wakes: [Wake] = []
        var alive = 0
        var connected = 0
        var lastFailure: PostgreSQLError?
        var isClosed = false
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    private let bound: Int
    let timeout: Duration
    private let state = Mutex(State())

    init(bound: Int, timeout: Duration) {
        self.bound = bound
        self.timeout = timeout
    }

    // MARK: Tasks' side

    /// Waits for a connection, runs the work on its thread and returns its answer.
    @concurrent
    func perform<Answer: Sendable>(
        deadline: ContinuousClock.Instant?,
        _ work: @escaping @Sendable (PostgreSQLConnection) throws -> Answer
    ) async throws -> Answer {
        let cancellation = PostgreSQLCancellation()
        let due = ContinuousClock.now + self.timeout
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let job = Job(
                    due: deadline.map { min($0, due) } ?? due,
                    deadline: deadline,
                    cancellation: cancellation,
                    run: { connection in
                        let answer = Result { try work(connection) }
                        return { continuation.resume(with: $0.map { .failure($0) } ?? answer) }
                    },
                    fail: { continuation.resume(throwing: $0) }
                )
                self.add(job)
            }
        } onCancel: {
            cancellation.cancel()
            self.remove(cancellation)
        }
    }

    /// Refuses further work and returns once what waits has been done and the threads have ended.
    @concurrent
    func close() async {
        await withCheckedContinuation { continuation in
            let isOver = self.state.withLock { state in
                if state.alive > 0 { state.closers.append(continuation) }
                return state.alive == 0
            }
            if isOver { continuation.resume() }
            self.stop()
        }
    }

    /// Refuses further work; the threads end when what waits has been done.
    func stop() {
        let wakes = self.state.withLock { state in
            state.isClosed = true
            return state.wakes
        }
        for wake in wakes { wake.signal() }
    }

    /// Takes work in, or answers that it is refused.
    func add(_ job: Job) {
        var wakes: [Wake] = []
        let refusal = self.state.withLock { state -> PostgreSQLError? in
            guard !state.isClosed else { return Self.refusal(.closed, "it has been closed") }
            guard state.waiting.count < self.bound else {
                return Self.refusal(.busy, "\(self.bound) pieces of work are waiting")
            }
            state.waiting.append(job)
            let isEarliest = state.nextDue.map { job.due < $0 } ?? true
            if isEarliest { state.nextDue = job.due }
            if let worker = state.sleeping.popLast() {
                wakes = [state.wakes[worker]]
            } else if isEarliest {
                // Whoever waits for the server has to look at the clock earlier than it thought.
                wakes = state.wakes
            }
            return nil
        }
        if let refusal { return job.fail(refusal) }
        for wake in wakes { wake.signal() }
        if job.cancellation.isCancelled { self.remove(job.cancellation) }
    }

    private func remove(_ cancellation: PostgreSQLCancellation) {
        let job = self.state.withLock { state in
            state.waiting.firstIndex { $0.cancellation === cancellation }.map { state.waiting.remove(at: $0) }
        }
        job?.fail(Self.refusal(.cancelled, "the work was given up before it began"))
    }

    // MARK: Threads' side

    /// Adds a thread, which its wake reaches.
    ///
    /// - Returns: Its number.
    func join(_ wake: Wake) -> Int {
        self.state.withLock { state in
            state.wakes.append(wake)
            state.alive += 1
            return state.wakes.count - 1
        }
    }

    /// The oldest job, for a thread that has a connection.
    func take(_ worker: Int) -> Next {
        self.state.withLock { state in
            state.sleeping.removeAll { $0 == worker }
            guard state.waiting.isEmpty else { return .run(state.waiting.removeFirst()) }
            state.nextDue = nil
            guard !state.isClosed else { return .stop }
            state.sleeping.append(worker)
            return .sleep
        }
    }

    /// Fails the jobs that have waited too long.
    ///
    /// - Returns: When to call again at the latest; `nil` if nothing waits.
    func expire() -> ContinuousClock.Instant? {
        let now = ContinuousClock.now
        let (expired, next, error) = self.state.withLock { state in
            guard let due = state.nextDue, due <= now else {
                return ([Job](), state.nextDue, PostgreSQLError?.none)
            }
            let expired = state.waiting.filter { $0.due <= now }
            state.waiting.removeAll { $0.due <= now }
            state.nextDue = state.waiting.lazy.map(\.due).min()
            return (expired, state.nextDue, Self.expiry(state))
        }
        if let error { for job in expired { job.fail(error) } }
        return next
    }

    /// Whether a thread without a connection has no reason to make one.
    var isFinished: Bool { self.state.withLock { $0.isClosed && $0.waiting.isEmpty } }

    /// Whether no more work is taken.
    var isClosed: Bool { self.state.withLock { $0.isClosed } }

    func noteConnected() {
        self.state.withLock { state in
            state.connected += 1
            state.lastFailure = nil
        }
    }

    /// Notes that a thread has lost its connection, or could make none.
    func noteFailure(_ worker: Int, _ error: PostgreSQLError, wasConnected: Bool) {
        let wake = self.state.withLock { state -> Wake? in
            if wasConnected { state.connected -= 1 }
            state.lastFailure = error
            state.sleeping.removeAll { $0 == worker }
            // It may have been woken for a job that another has to do now.
            return state.waiting.isEmpty ? nil : state.sleeping.popLast().map { state.wakes[$0] }
        }
        wake?.signal()
    }

    /// Notes that a thread has ended; the last one answers what is left.
    func leave(_ worker: Int) {
        let (left, error, closers) = self.state.withLock { state in
            state.sleeping.removeAll { $0 == worker }
            state.alive -= 1
            guard state.alive == 0 else { return ([Job](), Self.expiry(state), [CheckedContinuation<Void, Never>]()) }
            defer {
                state.waiting.removeAll()
                state.closers.removeAll()
            }
            return (state.waiting, Self.expiry(state), state.closers)
        }
        for job in left { job.fail(error) }
        for closer in closers { closer.resume() }
    }

    private static func expiry(_ state: State) -> PostgreSQLError {
        guard state.connected == 0 else {
            return Self.refusal(.timedOut, "all connections were busy until its deadline")
        }
        guard let failure = state.lastFailure else {
            return Self.refusal(.connectionFailed, "no connection could be made before its deadline")
        }
        let code: PostgreSQLError.Code = failure.code == .authentication ? .authentication : .connectionFailed
        var error = Self.refusal(code, "no connection could be made before its deadline: \(failure.message)")
        error.sqlState = failure.sqlState
        return error
    }

    private static func refusal(_ code: PostgreSQLError.Code, _ message: String) -> PostgreSQLError {
        PostgreSQLError(code, "waiting for a database connection", message)
    }
}
