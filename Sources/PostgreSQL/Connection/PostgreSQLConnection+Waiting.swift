// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// How long one call may wait, and what has been done to end it.
struct Wait {
    /// Why the server was asked to cancel.
    enum Reason { case deadline, cancellation }

    /// How long the server has to confirm a cancellation, before the connection is dropped.
    static let grace: Duration = .seconds(5)
    /// After what time a request is repeated: one that arrives between two statements is lost.
    static let repetition: Duration = .milliseconds(500)

    let doing: String
    let statement: String?
    let isCleanup: Bool
    private let timeout: Duration
    private(set) var due = ContinuousClock.now
    /// Whether something has been sent that commits; a loss then leaves the outcome unknown.
    var mayHaveCommitted = false

    fileprivate(set) var reason: Reason?
    fileprivate var dropAt = ContinuousClock.now
    fileprivate var repeatAt = ContinuousClock.now
    fileprivate var request: CancelRequest?

    init(doing: String, statement: String?, timeout: Duration, isCleanup: Bool) {
        self.doing = doing
        self.statement = statement
        self.timeout = isCleanup ? Self.grace : timeout
        self.isCleanup = isCleanup
    }

    /// Counts the timeout from now, since there was progress.
    mutating func restart(_ now: ContinuousClock.Instant, deadline: ContinuousClock.Instant?) {
        self.due = now + self.timeout
        if let deadline, !self.isCleanup { self.due = min(self.due, deadline) }
    }
}

extension PostgreSQLConnection {
    /// The next result, `nil` after the last of what was sent.
    ///
    /// - Throws: Only if the connection is lost without a result or had to be dropped.
    func nextResult(_ handle: OpaquePointer, _ wait: inout Wait) throws -> PostgreSQLRows? {
        while PQstatus(handle) != CONNECTION_BAD, PQisBusy(handle) != 0 {
            try self.turn(handle, &wait, wantsOutput: PQflush(handle) == 1)
        }
        return PQgetResult(handle).map { PostgreSQLRows($0) }
    }

    /// Sends what is buffered, reading what comes meanwhile, so that neither side waits for the other.
    func flush(_ handle: OpaquePointer, _ wait: inout Wait) throws {
        // A line that cannot be written to reports so when it is read.
        while PQflush(handle) == 1 { try self.turn(handle, &wait, wantsOutput: true) }
    }

    /// Waits once for the server, the deadline or a cancellation, and reads what came.
    ///
    /// - Throws: If the connection is lost or had to be dropped.
    func turn(_ handle: OpaquePointer, _ wait: inout Wait, wantsOutput: Bool) throws {
        // libpq asks to wait for the rest of a COPY even when there is nothing left to wait at.
        guard PQstatus(handle) != CONNECTION_BAD else { throw self.refused(handle, wait) }
        let now = ContinuousClock.now
        try self.cancelIfDue(handle, &wait, now)
        var until = wait.reason == nil ? wait.due : min(wait.dropAt, wait.repeatAt)
        if let next = self.housekeeping?() { until = min(until, next) }
        // TLS may have read bytes that poll cannot see any more.
        if self.isEncrypted { until = min(until, now + .milliseconds(20)) }
        let events = wantsOutput ? Int32(POLLIN | POLLOUT) : Int32(POLLIN)
        let happened = self.wake.sleep(PQsocket(handle), events, until: until)
        // What it reports, PQstatus and the next result report too.
        if self.isEncrypted || happened & ~Int32(POLLOUT) != 0 { _ = PQconsumeInput(handle) }
    }

    /// Ends a call: a request to cancel must have been delivered before anything else is sent.
    func finish(_ wait: inout Wait, _ handle: OpaquePointer) {
        while let request = wait.request, !request.isDone {
            let now = ContinuousClock.now
            guard now < wait.dropAt else {
                if self.failure == nil {
                    let message = "a request to cancel could not be delivered; the connection was dropped"
                    self.failure = PostgreSQLError(.connectionLost, wait.doing, message)
                }
                self.dropSocket()
                break
            }
            _ = self.wake.sleep(until: wait.dropAt)
        }
        self.collectNotifications(handle)
    }

    /// Reads what has come, without waiting.
    func receive(_ handle: OpaquePointer) {
        var item = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        if self.isEncrypted || poll(&item, 1, 0) > 0 { _ = PQconsumeInput(handle) }
    }

    /// Asks the server to cancel, since the caller does not want the rest.
    func giveUp(_ handle: OpaquePointer, _ wait: inout Wait) {
        guard wait.reason == nil else { return }
        let now = ContinuousClock.now
        wait.reason = .cancellation
        wait.dropAt = now + Wait.grace
        wait.repeatAt = now + Wait.repetition
        wait.request = CancelRequest(handle, wake: self.wake)
    }

    /// Asks the server to cancel if the deadline has passed or the work was given up, and again until it has.
    func cancelIfDue(_ handle: OpaquePointer, _ wait: inout Wait, _ now: ContinuousClock.Instant) throws {
        if wait.reason == nil {
            if !wait.isCleanup, self.cancellation.isCancelled {
                wait.reason = .cancellation
            } else if now >= wait.due {
                wait.reason = .deadline
            } else {
                return
            }
            wait.dropAt = now + Wait.grace
        } else if now >= wait.dropAt {
            throw self.drop(wait)
        } else if now < wait.repeatAt {
            return
        }
        wait.repeatAt = now + Wait.repetition
        if wait.request?.isDone != false { wait.request = CancelRequest(handle, wake: self.wake) }
    }

    /// Gives the connection up, since the server does not even confirm a cancellation.
    private func drop(_ wait: Wait) -> PostgreSQLError {
        let code: PostgreSQLError.Code = wait.reason == .cancellation ? .cancelled : .timedOut
        let message = "the server did not answer in time, nor when asked to cancel; the connection was dropped"
        var error = PostgreSQLError(code, wait.doing, message, statement: wait.statement)
        error.isOutcomeUnknown = wait.mayHaveCommitted
        self.failure = PostgreSQLError(.connectionLost, wait.doing, message)
        self.dropSocket()
        return error
    }

    // MARK: Errors

    /// What a failed result says; notes the connection's loss.
    func error(_ result: PostgreSQLRows, _ wait: Wait) -> PostgreSQLError {
        let handle = self.handle
        let isLost = result.isFatal || PQstatus(handle) == CONNECTION_BAD
        if isLost { return self.lost(wait, result) }
        var code = PostgreSQLError.Code.server
        if result.sqlState == "57014", let reason = wait.reason {
            code = reason == .deadline ? .timedOut : .cancelled
        }
        return result.error(code, wait)
    }

    /// The error of a call that could not be sent, or to which no result came.
    func refused(_ handle: OpaquePointer, _ wait: Wait) -> PostgreSQLError {
        guard PQstatus(handle) != CONNECTION_BAD, self.failure == nil else { return self.lost(wait, nil) }
        let message = String(cString: PQerrorMessage(handle)).trimmingNewlines
        return PostgreSQLError(.system, wait.doing, message, statement: wait.statement)
    }

    private func lost(_ wait: Wait, _ result: PostgreSQLRows?) -> PostgreSQLError {
        var error: PostgreSQLError
        if let result {
            error = result.error(.connectionLost, wait)
        } else {
            // What the server said at its end says more than that there was an end.
            let message = self.failure?.message ?? String(cString: PQerrorMessage(self.handle)).trimmingNewlines
            error = PostgreSQLError(.connectionLost, wait.doing, message, statement: wait.statement)
            error.sqlState = self.failure?.sqlState
        }
        if self.failure == nil { self.failure = error }
        error.isOutcomeUnknown = wait.mayHaveCommitted
        return error
    }
}
