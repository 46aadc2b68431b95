// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

extension PostgreSQLConnection {
    /// Sends rows by `COPY … FROM STDIN (FORMAT binary)`, in constant memory.
    ///
    /// An error of `write` ends the COPY without any of its rows; so does the server's, which is reported when all rows
    /// have been written. Inside a transaction that one has then failed.
    ///
    /// - Parameters:
    ///   - sql: Must say `FORMAT binary`; the columns' types must be exactly those of the values.
    ///   - write: Writes the rows; must not let the writer out.
    /// - Returns: How many rows were copied.
    /// - Throws: What `write` throws, or ``PostgreSQLError``.
    @discardableResult
    public func copyIn(_ sql: String, _ write: (PostgreSQLCopyWriter) throws -> Void) throws -> Int {
        try self.operate("copying rows in", sql) { handle, wait in
            // Asked before: while it goes on, libpq does not know whether there is a transaction.
            let commits = !self.isInTransaction
            let columns = try self.startCopy(sql, PGRES_COPY_IN, handle, &wait)
            let writer = PostgreSQLCopyWriter(self, handle, wait, columns: columns)
            do {
                defer {
                    writer.isOpen = false
                    wait = writer.wait
                }
                try write(writer)
                try writer.end()
            } catch {
                if PQstatus(handle) != CONNECTION_BAD, self.failure == nil {
                    try self.endCopy(handle, &wait, PGRES_COPY_IN, reason: "the client gave up")
                    try self.discard(handle, &wait)
                }
                throw error
            }
            wait.mayHaveCommitted = commits
            wait.restart(.now, deadline: self.deadline)
            try self.endCopy(handle, &wait, PGRES_COPY_IN, reason: nil)
            return try self.collect(handle, &wait).affected
        }
    }

    /// Receives rows by `COPY … TO STDOUT (FORMAT binary)`, in constant memory.
    ///
    /// An error of `visit` has the server end the COPY; inside a transaction that one has then failed.
    ///
    /// - Parameters:
    ///   - sql: Must say `FORMAT binary`.
    ///   - visit: Is given one row after another; a row can be read during its visit only.
    /// - Returns: How many rows there were.
    /// - Throws: What `visit` throws, or ``PostgreSQLError``.
    @discardableResult
    public func copyOut(_ sql: String, _ visit: (PostgreSQLRow) throws -> Void) throws -> Int {
        try self.operate("copying rows out", sql) { handle, wait in
            wait.mayHaveCommitted = !self.isInTransaction
            _ = try self.startCopy(sql, PGRES_COPY_OUT, handle, &wait)
            do {
                try self.readCopy(handle, &wait, visit)
            } catch {
                if PQstatus(handle) != CONNECTION_BAD, self.failure == nil {
                    self.giveUp(handle, &wait)
                    try self.endCopy(handle, &wait, PGRES_COPY_OUT, reason: nil)
                    try self.discard(handle, &wait)
                }
                throw error
            }
            return try self.collect(handle, &wait).affected
        }
    }

    // MARK: Steps

    /// Sends the statement and waits until the server is ready to copy.
    ///
    /// - Returns: The number of columns.
    private func startCopy(
        _ sql: String,
        _ direction: ExecStatusType,
        _ handle: OpaquePointer,
        _ wait: inout Wait
    ) throws -> Int {
        guard !sql.utf8.contains(0) else {
            throw PostgreSQLError(.invalidValue, wait.doing, "the statement contains a NUL byte")
        }
        guard PQsendQuery(handle, sql) == 1 else { throw self.refused(handle, wait) }
        guard let result = try self.nextResult(handle, &wait) else { throw self.refused(handle, wait) }
        if result.status == direction, result.isBinary { return result.columns }
        var error: PostgreSQLError
        switch result.status {
        case PGRES_COPY_IN, PGRES_COPY_OUT:
            let message = result.status == direction ? "COPY must say FORMAT binary" : "COPY in the other direction"
            error = PostgreSQLError(.misuse, wait.doing, message, statement: sql)
            try self.endCopy(handle, &wait, result.status, reason: message)
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE: error = self.error(result, wait)
        default: error = PostgreSQLError(.misuse, wait.doing, "the statement is not a COPY", statement: sql)
        }
        try self.discard(handle, &wait)
        throw error
    }

    /// Takes the results of a call that has failed already; the server's error adds nothing, unless it is the end.
    private func discard(_ handle: OpaquePointer, _ wait: inout Wait) throws {
        do {
            _ = try self.collect(handle, &wait)
        } catch let error as PostgreSQLError {
            guard self.isOpen else { throw error }
        }
    }

    private func readCopy(
        _ handle: OpaquePointer,
        _ wait: inout Wait,
        _ visit: (PostgreSQLRow) throws -> Void
    ) throws {
        var decoder = CopyDecoder()
        var messages = 0
        while true {
            var bytes: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(handle, &bytes, 1)
            defer { PQfreemem(bytes) }
            guard length >= 0 else { return }
            guard length > 0 else {
                try self.turn(handle, &wait, wantsOutput: PQflush(handle) == 1)
                continue
            }
            try decoder.feed(UnsafeRawBufferPointer(start: bytes, count: Int(length)), visit)
            messages += 1
            // A server that never lets us wait must not keep us from the deadline.
            guard messages % 256 == 0 else { continue }
            let now = ContinuousClock.now
            wait.restart(now, deadline: self.deadline)
            try self.cancelIfDue(handle, &wait, now)
        }
    }

    /// Ends a COPY that nobody wants: one in by failing it, one out by reading the rest.
    func endCopy(
        _ handle: OpaquePointer,
        _ wait: inout Wait,
        _ status: ExecStatusType,
        reason: String?
    ) throws {
        if status != PGRES_COPY_OUT {
            while PQputCopyEnd(handle, reason) == 0 { try self.turn(handle, &wait, wantsOutput: true) }
            return
        }
        while true {
            var bytes: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(handle, &bytes, 1)
            PQfreemem(bytes)
            if length < 0 { return }
            if length == 0 { try self.turn(handle, &wait, wantsOutput: PQflush(handle) == 1) }
        }
    }
}

/// Writes the rows of a COPY; valid while ``PostgreSQLConnection/copyIn(_:_:)`` runs.
public final class PostgreSQLCopyWriter {
    /// How many bytes are gathered before they are sent.
    private static let block = 64 << 10

    /// How many columns each row has.
    public let columns: Int
    fileprivate var isOpen = true
    fileprivate var wait: Wait
    private let connection: PostgreSQLConnection
    private let handle: OpaquePointer
    private var encoder = ValueEncoder()

    fileprivate init(_ connection: PostgreSQLConnection, _ handle: OpaquePointer, _ wait: Wait, columns: Int) {
        self.connection = connection
        self.handle = handle
        self.wait = wait
        self.columns = columns
        self.encoder.append(CopyDecoder.signature)
        self.encoder.integer(Int32(0))
        self.encoder.integer(Int32(0))
    }

    /// Writes one row.
    ///
    /// A row that is refused with ``PostgreSQLError/Code/invalidValue`` is left out as a whole, and more may follow.
    ///
    /// - Parameter values: One for each column, of exactly its type.
    /// - Throws: ``PostgreSQLError``, after whose other codes the COPY cannot go on.
    public func row(_ values: [PostgreSQLValue]) throws {
        guard self.isOpen else { throw self.error(.misuse, "the COPY is over") }
        guard values.count == self.columns else {
            throw self.error(.invalidValue, "a row has \(values.count) values for \(self.columns) columns")
        }
        let start = self.encoder.bytes.count
        do {
            self.encoder.integer(Int16(truncatingIfNeeded: values.count))
            for value in values { try self.encoder.appendWithLength(value) }
        } catch {
            self.encoder.truncate(to: start)
            throw error
        }
        if self.encoder.bytes.count >= Self.block { try self.send() }
    }

    fileprivate func end() throws {
        self.encoder.integer(Int16(-1))
        try self.send()
    }

    private func send() throws {
        let connection = self.connection
        let now = ContinuousClock.now
        self.wait.restart(now, deadline: connection.deadline)
        // The server's end of the connection shows by reading only; libpq drops what it cannot write.
        connection.receive(self.handle)
        try connection.cancelIfDue(self.handle, &self.wait, now)
        while try self.put() == 0 { try connection.turn(self.handle, &self.wait, wantsOutput: true) }
        self.encoder.removeAll()
        try connection.flush(self.handle, &self.wait)
        guard let reason = self.wait.reason else { return }
        throw self.error(reason == .deadline ? .timedOut : .cancelled, "the COPY was given up")
    }

    private func put() throws -> Int32 {
        guard PQstatus(self.handle) != CONNECTION_BAD else { throw self.connection.refused(self.handle, self.wait) }
        let count = Int32(clamping: self.encoder.bytes.count)
        guard Int(count) == self.encoder.bytes.count else { throw self.error(.invalidValue, "a row is too long") }
        let result = self.encoder.bytes.withUnsafeBytes {
            PQputCopyData(self.handle, $0.assumingMemoryBound(to: CChar.self).baseAddress, count)
        }
        guard result >= 0 else { throw self.connection.refused(self.handle, self.wait) }
        return result
    }

    private func error(_ code: PostgreSQLError.Code, _ message: String) -> PostgreSQLError {
        PostgreSQLError(code, self.wait.doing, message, statement: self.wait.statement)
    }
}
