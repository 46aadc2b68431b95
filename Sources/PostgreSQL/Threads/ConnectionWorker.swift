// SPDX-License-Identifier: Apache-2.0

/// What happens to the connection of a thread.
public enum PostgreSQLEvent: Sendable, Hashable {
    /// A connection was made and prepared.
    case connected(backendPID: Int32)
    /// No connection could be made; the next attempt follows after a while.
    case failed(PostgreSQLError, retryAfter: Duration)
    /// A connection was lost; another is made at once.
    case lost(PostgreSQLError)
}

/// How threads keep their connections.
public struct PostgreSQLThreadOptions: Sendable {
    /// How much work may wait; more is refused with ``PostgreSQLError/Code/busy``.
    public var waitingBound = 1_024
    /// How long work may wait to begin.
    public var waitTimeout: Duration = .seconds(30)
    /// The wait before the second attempt to connect; it doubles with each, less up to a half at random.
    public var firstRetry: Duration = .milliseconds(100)
    /// The longest wait between attempts to connect.
    public var longestRetry: Duration = .seconds(10)
    /// Prepares each new connection before any work, within the time for connecting: SET, LISTEN.
    public var prepare: @Sendable (PostgreSQLConnection) throws -> Void = { _ in }
    /// Takes notifications, on the connection's thread; without it they wait for
    /// ``PostgreSQLConnection/waitForNotifications(until:)``.
    public var onNotification: (@Sendable (PostgreSQLNotification) -> Void)?
    /// Takes what the server remarks, on the connection's thread.
    public var onNotice: @Sendable (PostgreSQLNotice) -> Void = { _ in }
    /// Takes what happens to connections, on their threads.
    public var onEvent: @Sendable (PostgreSQLEvent) -> Void = { _ in }

    /// The defaults.
    public init() {}
}

/// The life of one thread: it makes a connection, runs work on it, and makes another when it is lost.
struct ConnectionWorker {
    /// Thrown to end an attempt to connect that nobody needs any more.
    private struct Stop: Error {}

    /// A connection that did not live so long is followed by a wait, as if it had not been made.
    private static let stableAfter: Duration = .seconds(1)

    private let configuration: PostgreSQLConfiguration
    private let options: PostgreSQLThreadOptions
    private let queue: WorkQueue
    private let wake: Wake
    private let number: Int

    /// Starts a thread that serves a queue.
    static func start(
        _ configuration: PostgreSQLConfiguration,
        _ options: PostgreSQLThreadOptions,
        _ queue: WorkQueue
    ) throws {
        let wake = try Wake()
        let number = queue.join(wake)
        let worker = ConnectionWorker(
            configuration: configuration,
            options: options,
            queue: queue,
            wake: wake,
            number: number
        )
        do {
            try OwnThread.start { worker.run() }
        } catch {
            queue.leave(number)
            throw error
        }
    }

    private func run() {
        defer { self.queue.leave(self.number) }
        var failures = 0
        while !self.queue.isFinished {
            let began = ContinuousClock.now
            let error: PostgreSQLError
            do {
                let connection = try self.connect()
                self.queue.noteConnected()
                self.options.onEvent(.connected(backendPID: connection.backendPID))
                let loss = self.serve(connection)
                connection.close()
                guard let loss else { return }
                self.queue.noteFailure(self.number, loss, wasConnected: true)
                self.options.onEvent(.lost(loss))
                if ContinuousClock.now - began >= Self.stableAfter { failures = 0 }
                if failures == 0 {
                    failures = 1
                    continue
                }
                error = loss
            } catch let failure as PostgreSQLError {
                self.queue.noteFailure(self.number, failure, wasConnected: false)
                error = failure
            } catch is Stop {
                return
            } catch let other {
                error = PostgreSQLError(.connectionFailed, "preparing a connection", "\(other)")
                self.queue.noteFailure(self.number, error, wasConnected: false)
            }
            guard !self.queue.isClosed else { return }
            let delay = self.delay(failures)
            failures += 1
            self.options.onEvent(.failed(error, retryAfter: delay))
            self.sleep(until: .now + delay)
        }
    }

    private func connect() throws -> PostgreSQLConnection {
        let queue = self.queue
        let deadline = ContinuousClock.now + self.configuration.connectTimeout
        let connection = try PostgreSQLConnection(self.configuration, wake: self.wake, onNotice: self.options.onNotice)
        {
            guard !queue.isFinished else { throw Stop() }
            return queue.expire()
        }
        connection.onNotification = self.options.onNotification
        connection.housekeeping = { queue.expire() }
        try connection.withDeadline(deadline) { try self.options.prepare(connection) }
        return connection
    }

    /// Runs work until the queue is closed and empty, or the connection is lost.
    ///
    /// - Returns: Why it was lost.
    private func serve(_ connection: PostgreSQLConnection) -> PostgreSQLError? {
        while true {
            connection.absorb()
            if let failure = connection.failure { return failure }
            switch self.queue.take(self.number) {
            case .run(let job): self.run(job, connection)
            case .sleep: _ = self.wake.sleep(connection.socket, until: nil)
            case .stop: return nil
            }
        }
    }

    private func run(_ job: Job, _ connection: PostgreSQLConnection) {
        job.cancellation.bind(self.wake)
        connection.cancellation = job.cancellation
        connection.deadline = job.deadline
        let answer = job.run(connection)
        job.cancellation.bind(nil)
        connection.deadline = nil
        connection.statementTimeout = self.configuration.statementTimeout
        connection.onNotification = self.options.onNotification
        guard connection.isOpen, connection.isInTransaction else { return answer(nil) }
        connection.rollBack()
        answer(PostgreSQLError(.misuse, "ending work", "it left a transaction open, which was rolled back"))
    }

    /// The wait after so many failures in a row.
    private func delay(_ failures: Int) -> Duration {
        let whole = min(self.options.longestRetry, self.options.firstRetry * (1 << min(failures, 20)))
        return whole * Double.random(in: 0.5...1)
    }

    private func sleep(until instant: ContinuousClock.Instant) {
        while ContinuousClock.now < instant, !self.queue.isClosed {
            let due = self.queue.expire()
            _ = self.wake.sleep(until: due.map { min($0, instant) } ?? instant)
        }
    }
}
