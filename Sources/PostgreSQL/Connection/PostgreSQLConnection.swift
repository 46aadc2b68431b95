// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// One connection to a server, confined to the thread that made it.
///
/// Calls are synchronous, and every wait in them ends: at the deadline, or when ``cancellation`` is used, the server is
/// asked to cancel the statement, and if no answer comes then, the connection is dropped. libpq is used in non-blocking
/// mode throughout; its calls that block without a limit are never made.
///
/// A connection that is lost stays lost: ``isOpen`` is `false` and every call throws
/// ``PostgreSQLError/Code/connectionLost``.
public final class PostgreSQLConnection {
    /// The process that serves the connection, as `pg_stat_activity` shows it.
    public let backendPID: Int32
    /// The server's version, 150004 for 15.4.
    public let serverVersion: Int
    /// Whether the connection is encrypted by TLS.
    public let isEncrypted: Bool
    /// The longest wait for one statement, or without progress for one COPY or pipeline.
    public var statementTimeout: Duration
    /// Gives up what the connection is doing, from any thread.
    public internal(set) var cancellation: PostgreSQLCancellation
    /// Takes notifications as they come; without it they wait for ``waitForNotifications(until:)``.
    public var onNotification: ((PostgreSQLNotification) -> Void)?

    private(set) var handle: OpaquePointer?
    let wake: Wake
    var statements: StatementCache
    var parameters = ParameterList()
    /// When work has to end, whatever a statement may take.
    var deadline: ContinuousClock.Instant?
    /// Why the connection can no longer be used.
    var failure: PostgreSQLError?
    /// Whether a call is under way; a visitor must not start another.
    var isBusy = false
    var notifications: [PostgreSQLNotification] = []
    /// What the thread has to do while it waits, and when again at the latest.
    var housekeeping: (() -> ContinuousClock.Instant?)?
    private let notices: NoticeReceiver

    /// Connects.
    ///
    /// - Parameters:
    ///   - configuration: Where and as whom.
    ///   - onNotice: Takes what the server remarks; by default it is dropped.
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/connectionFailed``,
    ///   ``PostgreSQLError/Code/authentication`` or ``PostgreSQLError/Code/timedOut``.
    public convenience init(
        _ configuration: PostgreSQLConfiguration,
        onNotice: @escaping (PostgreSQLNotice) -> Void = { _ in }
    ) throws {
        try self.init(configuration, wake: try Wake(), onNotice: onNotice, housekeeping: nil)
    }

    /// Connects on behalf of a thread.
    ///
    /// `housekeeping` is called on every turn of every wait; connecting ends when it throws.
    init(
        _ configuration: PostgreSQLConfiguration,
        wake: Wake,
        onNotice: @escaping (PostgreSQLNotice) -> Void,
        housekeeping: (() throws -> ContinuousClock.Instant?)?
    ) throws {
        let notices = NoticeReceiver(onNotice)
        let attempt = ConnectionAttempt(configuration, wake: wake, notices: notices)
        let handle = try attempt.run(housekeeping)
        self.handle = handle
        self.notices = notices
        self.wake = wake
        self.backendPID = PQbackendPID(handle)
        self.serverVersion = Int(PQserverVersion(handle))
        self.isEncrypted = PQsslInUse(handle) != 0
        self.statementTimeout = configuration.statementTimeout
        self.statements = StatementCache(capacity: configuration.preparedStatements)
        self.cancellation = PostgreSQLCancellation(wake: wake)
    }

    deinit { PQfinish(self.handle) }

    /// Whether the connection can be used, as far as is known.
    public var isOpen: Bool { self.handle != nil && self.failure == nil }

    /// Whether BEGIN has been carried out and neither COMMIT nor ROLLBACK yet; a failed transaction counts.
    public var isInTransaction: Bool {
        let status = PQtransactionStatus(self.handle)
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR
    }

    /// Whether a statement of the open transaction has failed, so that only ROLLBACK is possible.
    public var isTransactionFailed: Bool { PQtransactionStatus(self.handle) == PQTRANS_INERROR }

    /// Ends the connection; an open transaction is rolled back.
    public func close() {
        if self.failure == nil {
            self.failure = PostgreSQLError(.closed, "using a connection", "it has been closed")
        }
        // A visitor that closes is inside a call that still uses the pointer.
        guard !self.isBusy else { return self.dropSocket() }
        PQfinish(self.handle)
        self.handle = nil
    }

    /// Lets all calls in `work` end by an instant, however many they are.
    public func withDeadline<Answer>(
        _ instant: ContinuousClock.Instant,
        _ work: () throws -> Answer
    ) rethrows -> Answer {
        let outer = self.deadline
        self.deadline = outer.map { min($0, instant) } ?? instant
        defer { self.deadline = outer }
        return try work()
    }

    // MARK: Calls

    /// Runs one call: nothing else may be under way, and what it leaves behind is dealt with.
    ///
    /// As cleanup it is tried although the deadline has passed or the work was cancelled.
    func operate<Answer>(
        _ doing: String,
        _ statement: String? = nil,
        isCleanup: Bool = false,
        _ body: (OpaquePointer, inout Wait) throws -> Answer
    ) throws -> Answer {
        let now = ContinuousClock.now
        var wait = Wait(doing: doing, statement: statement, timeout: self.statementTimeout, isCleanup: isCleanup)
        wait.restart(now, deadline: self.deadline)
        let handle = try self.ready(wait, now)
        self.isBusy = true
        defer { self.isBusy = false }
        do {
            let answer = try body(handle, &wait)
            self.finish(&wait, handle)
            return answer
        } catch {
            self.finish(&wait, handle)
            throw error
        }
    }

    /// The pointer to libpq's connection, if a call may start.
    private func ready(_ wait: Wait, _ now: ContinuousClock.Instant) throws -> OpaquePointer {
        func refusal(_ code: PostgreSQLError.Code, _ message: String) -> PostgreSQLError {
            PostgreSQLError(code, wait.doing, message, statement: wait.statement)
        }
        guard !self.isBusy else {
            throw refusal(.misuse, "the connection is in another call; a visitor must not use it")
        }
        if self.failure == nil { self.absorb() }
        if let failure = self.failure {
            throw refusal(failure.code == .closed ? .closed : .connectionLost, failure.message)
        }
        guard let handle = self.handle else { throw refusal(.closed, "the connection has been closed") }
        guard !wait.isCleanup else { return handle }
        if self.cancellation.isCancelled { throw refusal(.cancelled, "the work was given up before this") }
        if wait.due <= now { throw refusal(.timedOut, "the deadline had passed before this") }
        return handle
    }

    /// Reads what the server sent unasked: notices, notifications, the end of the connection.
    func absorb() {
        guard let handle = self.handle, self.failure == nil else { return }
        var item = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        // Bounded, so that a server that talks all the time does not keep the caller from its work.
        for _ in 0..<64 {
            guard poll(&item, 1, 0) > 0, PQconsumeInput(handle) != 0 else { break }
        }
        self.collectNotifications(handle)
        guard PQstatus(handle) == CONNECTION_BAD else { return }
        let message = self.notices.lastFatal ?? String(cString: PQerrorMessage(handle)).trimmingNewlines
        self.failure = PostgreSQLError(.connectionLost, "waiting for work", message)
    }

    /// Makes the server, and libpq, take the connection for gone.
    func dropSocket() {
        let socket = PQsocket(self.handle)
        if socket >= 0 { shutdown(socket, Int32(SHUT_RDWR)) }
    }
}
