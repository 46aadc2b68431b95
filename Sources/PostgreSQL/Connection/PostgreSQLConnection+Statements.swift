// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

extension PostgreSQLConnection {
    /// Runs one statement with parameters `$1`, `$2` and so on.
    ///
    /// It is prepared on first use and kept by its text and the parameters' types. If the server has forgotten it or
    /// a table was altered under it, it is prepared again and run, unless a transaction is open, which has then failed.
    ///
    /// - Parameters:
    ///   - sql: One statement.
    ///   - values: In the order of the numbers, from `$1`.
    /// - Returns: The rows, in memory.
    /// - Throws: ``PostgreSQLError``; with ``PostgreSQLError/Code/connectionLost`` look at
    ///   ``PostgreSQLError/isOutcomeUnknown``.
    @discardableResult
    public func query(_ sql: String, _ values: [PostgreSQLValue] = []) throws -> PostgreSQLRows {
        try self.operate("running a statement", sql) { handle, wait in
            try self.deallocateAbandoned(handle, &wait)
            try self.parameters.encode(values, for: sql)
            let isAlone = !self.isInTransaction
            do {
                return try self.run(sql, handle, &wait)
            } catch let error as PostgreSQLError where error.isStaleStatement {
                self.forgetStatements(error)
                guard isAlone, self.isOpen else { throw error }
                return try self.run(sql, handle, &wait)
            }
        }
    }

    /// Runs any number of statements without parameters, separated by semicolons.
    ///
    /// Outside a transaction they are one: either all take effect or none, unless the script itself says BEGIN or
    /// COMMIT.
    public func execute(script: String) throws { try self.execute(script: script, isCleanup: false) }

    /// Runs a script; as cleanup it is tried although the work was cancelled or its deadline has passed.
    ///
    /// - Returns: What the server calls the last statement, "COMMIT" for example.
    @discardableResult
    func execute(script: String, isCleanup: Bool) throws -> String {
        guard !script.utf8.contains(0) else {
            throw PostgreSQLError(.invalidValue, "running a script", "it contains a NUL byte")
        }
        return try self.operate("running a script", script, isCleanup: isCleanup) { handle, wait in
            wait.mayHaveCommitted = true
            guard PQsendQuery(handle, script) == 1 else { throw self.refused(handle, wait) }
            return try self.collect(handle, &wait).tag
        }
    }

    /// Runs work in a transaction: COMMIT if it returns, ROLLBACK if it throws.
    ///
    /// - Parameters:
    ///   - mode: What stands behind BEGIN: `ISOLATION LEVEL SERIALIZABLE` or `READ ONLY`, for example.
    ///   - work: Is not repeated; see ``PostgreSQLError/isSerializationFailure``.
    /// - Returns: What `work` returns, once it is committed.
    /// - Throws: What `work` throws; or the error of COMMIT, where ``PostgreSQLError/isOutcomeUnknown`` says that no
    ///   answer to it came; or ``PostgreSQLError/Code/rolledBack`` if `work` hid that a statement failed.
    @discardableResult
    public func transaction<Answer>(_ mode: String = "", _ work: () throws -> Answer) throws -> Answer {
        guard !self.isInTransaction else {
            throw PostgreSQLError(.misuse, "beginning a transaction", "one is open")
        }
        try self.execute(script: mode.isEmpty ? "BEGIN" : "BEGIN \(mode)")
        let answer: Answer
        do {
            answer = try work()
        } catch {
            self.rollBack()
            throw error
        }
        guard self.isInTransaction else {
            throw self.failure.map { PostgreSQLError(.connectionLost, "committing a transaction", $0.message) }
                ?? PostgreSQLError(.misuse, "committing a transaction", "the work has ended it by itself")
        }
        do {
            // A failed transaction is not committed, and the server says so by its answer alone.
            guard try self.execute(script: "COMMIT", isCleanup: false) == "COMMIT" else {
                throw PostgreSQLError(.rolledBack, "committing a transaction", "a statement in it had failed")
            }
        } catch {
            self.rollBack()
            throw error
        }
        return answer
    }

    /// Ends the open transaction, if there is one, or the connection if that fails.
    func rollBack() {
        guard self.isOpen, self.isInTransaction else { return }
        do {
            try self.execute(script: "ROLLBACK", isCleanup: true)
        } catch {
            // The server rolls back what a connection leaves open.
            self.close()
        }
    }

    // MARK: Steps

    /// Runs the statement for which parameters have been encoded.
    private func run(_ sql: String, _ handle: OpaquePointer, _ wait: inout Wait) throws -> PostgreSQLRows {
        let name = try self.prepare(sql, handle, &wait)
        wait.mayHaveCommitted = !self.isInTransaction || Self.endsTransaction(sql)
        guard self.send(name, handle) else { throw self.refused(handle, wait) }
        let rows = try self.collect(handle, &wait)
        if rows.tag == "DISCARD ALL" || rows.tag == "DEALLOCATE ALL" { self.statements.removeAll() }
        return rows
    }

    /// Hands a prepared statement with the encoded parameters to libpq.
    func send(_ name: String, _ handle: OpaquePointer) -> Bool {
        self.parameters.withPointers { count, values, lengths, formats in
            PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1) == 1
        }
    }

    /// The name of the statement, which is prepared if it is not.
    private func prepare(_ sql: String, _ handle: OpaquePointer, _ wait: inout Wait) throws -> String {
        let types = self.parameters.types
        if let name = self.statements.name(sql, types) { return name }
        guard !sql.utf8.contains(0) else {
            throw PostgreSQLError(.invalidValue, wait.doing, "the statement contains a NUL byte")
        }
        let name = self.statements.newName()
        guard PQsendPrepare(handle, name, sql, Int32(types.count), types) == 1 else { throw self.refused(handle, wait) }
        _ = try self.collect(handle, &wait)
        self.statements.insert(sql, types, name: name)
        return name
    }

    /// Drops prepared statements after the server found one stale.
    func forgetStatements(_ error: PostgreSQLError) {
        if error.sqlState == "26000" { self.statements.removeAll() } else { self.statements.abandonAll() }
    }

    /// Deallocates statements that fell out of the cache; outside transactions, which a failure would end.
    func deallocateAbandoned(_ handle: OpaquePointer, _ wait: inout Wait) throws {
        guard !self.statements.abandoned.isEmpty, PQtransactionStatus(handle) == PQTRANS_IDLE else { return }
        for name in self.statements.takeAbandoned() {
            guard PQsendQuery(handle, "DEALLOCATE \(name)") == 1 else { throw self.refused(handle, wait) }
            do {
                _ = try self.collect(handle, &wait)
            } catch let error as PostgreSQLError where error.sqlState == "26000" {
                continue  // gone already
            }
        }
    }

    /// Takes all results of what was sent.
    ///
    /// - Returns: The last.
    /// - Throws: The first error, when all results have been taken.
    func collect(_ handle: OpaquePointer, _ wait: inout Wait) throws -> PostgreSQLRows {
        var last: PostgreSQLRows?
        var failure: PostgreSQLError?
        while let result = try self.nextResult(handle, &wait) {
            switch result.status {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: last = result
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                let message = "COPY needs copyIn or copyOut"
                failure = failure ?? PostgreSQLError(.misuse, wait.doing, message, statement: wait.statement)
                try self.endCopy(handle, &wait, result.status, reason: message)
            default: failure = failure ?? self.error(result, wait)
            }
        }
        if let failure { throw failure }
        guard let last else { throw self.refused(handle, wait) }
        return last
    }

    /// Whether a statement may end a transaction; in doubt, yes.
    static func endsTransaction(_ sql: String) -> Bool {
        let word = sql.drop(while: \.isWhitespace).prefix { $0.isASCII && $0.isLetter }.uppercased()
        return word.isEmpty || ["COMMIT", "END", "PREPARE", "ROLLBACK", "ABORT"].contains(word)
    }
}
