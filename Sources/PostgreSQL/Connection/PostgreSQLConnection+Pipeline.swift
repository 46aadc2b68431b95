// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

extension PostgreSQLConnection {
    /// Sends many statements without waiting for the answer to each, and visits the answers in order.
    ///
    /// Outside a transaction they are one: either all take effect or none, unless some of them say BEGIN or COMMIT.
    /// When one fails, those after it are not run, and inside a transaction that one has failed. The same holds for an
    /// error of `build`; an error of `each` may come too late for it, when all statements have been sent.
    ///
    /// Memory is constant: no more than 1,024 statements are without an answer.
    ///
    /// - Parameters:
    ///   - build: Adds the statements; must not let the pipeline out.
    ///   - each: Is given a statement's number, from 0, and its rows, some while `build` still runs.
    /// - Throws: The first error; its ``PostgreSQLError/statementIndex`` says which statement failed.
    public func pipeline(
        _ build: (PostgreSQLPipeline) throws -> Void,
        each: (Int, PostgreSQLRows) throws -> Void
    ) throws {
        try self.operate("running a pipeline") { handle, wait in
            try self.deallocateAbandoned(handle, &wait)
            guard PQenterPipelineMode(handle) == 1 else { throw self.refused(handle, wait) }
            try withoutActuallyEscaping(each) { each in
                let pipeline = PostgreSQLPipeline(self, handle, wait, each)
                defer {
                    pipeline.isOpen = false
                    wait = pipeline.wait
                }
                try pipeline.run(build)
            }
        }
    }

    /// Sends many statements without waiting for the answer to each.
    ///
    /// - Returns: The answers, in order.
    @discardableResult
    public func pipeline(_ build: (PostgreSQLPipeline) throws -> Void) throws -> [PostgreSQLRows] {
        var answers: [PostgreSQLRows] = []
        try self.pipeline(build) { answers.append($1) }
        return answers
    }
}

/// Takes the statements of a pipeline; valid while ``PostgreSQLConnection/pipeline(_:each:)`` builds it.
///
/// The classic deadlock of pipelines is that both sides only write: here every wait for room to write reads as well.
public final class PostgreSQLPipeline {
    /// What the next results belong to.
    private enum Expected {
        case prepared(name: String)
        case answer(number: Int, sql: String)
        case abortion
    }

    /// So many statements, or bytes, are gathered before they are sent.
    private static let (statementsPerTurn, bytesPerTurn) = (64, 32 << 10)
    /// More statements than this are not left without an answer.
    private static let window = 1_024

    /// How many statements have been added.
    public private(set) var count = 0
    fileprivate var isOpen = true
    fileprivate var wait: Wait
    private let connection: PostgreSQLConnection
    private let handle: OpaquePointer
    private let each: (Int, PostgreSQLRows) throws -> Void
    private let isInTransaction: Bool
    private var expected: [Expected] = []
    /// How many of `expected` have been answered.
    private var answered = 0
    private var statementsWaiting = 0
    private var bytesWaiting = 0
    private var isSynced = false
    private var failure: (any Error)?

    fileprivate init(
        _ connection: PostgreSQLConnection,
        _ handle: OpaquePointer,
        _ wait: Wait,
        _ each: @escaping (Int, PostgreSQLRows) throws -> Void
    ) {
        self.connection = connection
        self.handle = handle
        self.wait = wait
        self.each = each
        self.isInTransaction = connection.isInTransaction
    }

    /// Adds a statement with parameters `$1`, `$2` and so on; see ``PostgreSQLConnection/query(_:_:)``.
    ///
    /// - Throws: What has failed so far, or ``PostgreSQLError/Code/invalidValue``.
    public func query(_ sql: String, _ values: [PostgreSQLValue] = []) throws {
        guard self.isOpen else { throw PostgreSQLError(.misuse, self.wait.doing, "the pipeline is over") }
        if let failure { throw failure }
        try self.connection.parameters.encode(values, for: sql)
        let name = try self.prepare(sql)
        if PostgreSQLConnection.endsTransaction(sql) { self.wait.mayHaveCommitted = true }
        guard self.connection.send(name, self.handle) else { throw self.connection.refused(self.handle, self.wait) }
        self.expected.append(.answer(number: self.count, sql: sql))
        self.count += 1
        self.statementsWaiting += 1
        self.bytesWaiting += self.connection.parameters.byteCount
        guard self.statementsWaiting >= Self.statementsPerTurn || self.bytesWaiting >= Self.bytesPerTurn else {
            return
        }
        try self.exchange()
        if let failure { throw failure }
    }

    fileprivate func run(_ build: (PostgreSQLPipeline) throws -> Void) throws {
        do {
            try build(self)
        } catch {
            // Of a connection that the server has ended there is nothing left to read.
            guard self.connection.failure == nil else { throw self.failure ?? error }
            self.failure = self.failure ?? error
            try self.abort()
        }
        try self.finish()
        if let failure { throw failure }
    }

    // MARK: Sending

    private func prepare(_ sql: String) throws -> String {
        let types = self.connection.parameters.types
        if let name = self.connection.statements.name(sql, types) { return name }
        guard !sql.utf8.contains(0) else {
            throw PostgreSQLError(.invalidValue, self.wait.doing, "the statement contains a NUL byte")
        }
        let name = self.connection.statements.newName()
        guard PQsendPrepare(self.handle, name, sql, Int32(types.count), types) == 1 else {
            throw self.connection.refused(self.handle, self.wait)
        }
        // It counts as prepared for what follows, and is forgotten again if it fails.
        self.connection.statements.insert(sql, types, name: name)
        self.expected.append(.prepared(name: name))
        return name
    }

    /// Sends what is gathered and takes the answers that have come.
    private func exchange() throws {
        let now = ContinuousClock.now
        self.statementsWaiting = 0
        self.bytesWaiting = 0
        self.wait.restart(now, deadline: self.connection.deadline)
        try self.connection.cancelIfDue(self.handle, &self.wait, now)
        let isFull = self.expected.count - self.answered > Self.window
        // Without it the server may keep short answers until the end.
        if isFull { _ = PQsendFlushRequest(self.handle) }
        while PQflush(self.handle) == 1 {
            try self.takeWhatCame()
            try self.connection.turn(self.handle, &self.wait, wantsOutput: true)
        }
        self.connection.receive(self.handle)
        try self.takeWhatCame()
        while isFull, self.expected.count - self.answered > Self.window / 2 { try self.takeNext() }
    }

    /// Makes what has been sent fail, so that the end of the pipeline does not commit it.
    private func abort() throws {
        guard !self.expected.isEmpty, PQstatus(self.handle) != CONNECTION_BAD else { return }
        let sql = "SELECT 1 / 0 AS pipeline_given_up_by_client"
        guard PQsendQueryParams(self.handle, sql, 0, nil, nil, nil, nil, 1) == 1 else {
            throw self.lost()
        }
        self.expected.append(.abortion)
    }

    /// Ends the pipeline, takes the rest of the answers and leaves pipeline mode.
    private func finish() throws {
        if self.failure == nil, !self.isInTransaction { self.wait.mayHaveCommitted = true }
        self.wait.restart(.now, deadline: self.connection.deadline)
        guard PQpipelineSync(self.handle) == 1 else { throw self.lost() }
        while !self.isSynced { try self.takeNext() }
        guard PQexitPipelineMode(self.handle) == 1 else { throw self.lost() }
        if let error = self.failure as? PostgreSQLError, error.isStaleStatement {
            self.connection.forgetStatements(error)
        }
    }

    // MARK: Receiving

    private func takeWhatCame() throws {
        while self.answered < self.expected.count, PQisBusy(self.handle) == 0, PQstatus(self.handle) != CONNECTION_BAD {
            try self.takeNext()
        }
    }

    /// Takes one result, waiting for it.
    private func takeNext() throws {
        let result = try self.connection.nextResult(self.handle, &self.wait)
        guard PQstatus(self.handle) != CONNECTION_BAD, self.connection.failure == nil else {
            throw result.map { self.connection.error($0, self.wait) } ?? self.lost()
        }
        guard let result else {
            self.answered += 1
            self.dropAnswered()
            return
        }
        switch result.status {
        case PGRES_PIPELINE_SYNC: self.isSynced = true
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: self.deliver(result)
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH: throw self.lost("COPY is not possible in a pipeline")
        default: try self.note(result)
        }
    }

    private func deliver(_ result: PostgreSQLRows) {
        guard case .answer(let number, _) = self.current, self.failure == nil else { return }
        self.wait.restart(.now, deadline: self.connection.deadline)
        if result.tag == "DISCARD ALL" || result.tag == "DEALLOCATE ALL" { self.connection.statements.removeAll() }
        do { try self.each(number, result) } catch { self.failure = error }
    }

    /// Notes a statement that failed, or was not run since another had.
    private func note(_ result: PostgreSQLRows) throws {
        let current = self.current
        if case .prepared(let name) = current { self.connection.statements.remove(name: name) }
        guard self.failure == nil, result.status != PGRES_PIPELINE_ABORTED else { return }
        var error = self.connection.error(result, self.wait)
        switch current {
        case .answer(let number, let sql):
            error.statement = sql
            error.statementIndex = number
        case .prepared:
            // The statement itself follows.
            if case .answer(let number, let sql) = self.expected[safe: self.answered + 1] {
                error.statement = sql
                error.statementIndex = number
            }
        case .abortion, nil: break
        }
        self.failure = error
        if self.connection.failure != nil { throw error }
    }

    private var current: Expected? { self.expected[safe: self.answered] }

    private func dropAnswered() {
        guard self.answered >= 4_096 else { return }
        self.expected.removeFirst(self.answered)
        self.answered = 0
    }

    /// Gives the connection up, since it cannot leave the pipeline.
    private func lost(_ message: String? = nil) -> PostgreSQLError {
        var error = self.connection.refused(self.handle, self.wait)
        if let message { error = PostgreSQLError(.misuse, self.wait.doing, message) }
        if self.connection.failure == nil { self.connection.failure = error }
        self.connection.dropSocket()
        error.isOutcomeUnknown = self.wait.mayHaveCommitted
        return error
    }
}

extension Array {
    /// The element at an index, `nil` if there is none.
    fileprivate subscript(safe index: Int) -> Element? { self.indices.contains(index) ? self[index] : nil }
}
