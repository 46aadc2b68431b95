// SPDX-License-Identifier: Apache-2.0

@preconcurrency internal import Dispatch
internal import MailingModel
internal import PostgreSQL

/// One PostgreSQL database, for one master and its standbys.
///
/// One connection writes and commits what waits in one transaction (see `WriteQueue`), so that events and ids are
/// committed in the order of their numbers; a few others read from snapshots. Each connection has a thread of its own.
final class PostgreSQLEngine: StoreEngine {
    let identity: StoreIdentity
    let context: StoreContext
    let leadership: Leadership
    var sharedLeadership: Leadership? { self.leadership }

    private let writer: PostgreSQLThread
    private let readers: PostgreSQLPool
    let queue: WriteQueue
    private let texts: StatementTexts
    private let renewal: any DispatchSourceTimer

    /// Opens a store once this process is the master, makes its tables if there are none and brings them up to date.
    ///
    /// - Parameters:
    ///   - configuration: Which database, and who asks.
    ///   - secrets: The cryptography.
    ///   - onWait: Called with who the leader is, once for each master that has to be waited for.
    ///   - onStep: Called as each step of bringing the tables up to date begins and is done.
    /// - Returns: The open engine.
    /// - Throws: ``StoreError`` with ``StoreError/Code/newerSchema``, ``StoreError/Code/refused`` or
    ///   ``StoreError/Code/database``; `CancellationError` while waiting.
    @concurrent
    static func open(
        _ configuration: PostgreSQLStoreConfiguration,
        secrets: StoreSecrets,
        onWait: @Sendable (String) -> Void,
        onStep: @escaping @Sendable (SchemaProgress) -> Void = { _ in }
    ) async throws -> PostgreSQLEngine {
        do {
            let server = try Self.server(configuration)
            let term = try await Self.elect(configuration, server, secrets, onWait)
            let leadership = Leadership(term, server, silence: configuration.silence)
            return try await PostgreSQLEngine(configuration, server, leadership, secrets: secrets, onStep: onStep)
        } catch {
            throw StoreError.wrapping(error)
        }
    }

    private init(
        _ configuration: PostgreSQLStoreConfiguration,
        _ server: PostgreSQLConfiguration,
        _ leadership: Leadership,
        secrets: StoreSecrets,
        onStep: @escaping @Sendable (SchemaProgress) -> Void
    ) async throws {
        var server = server
        server.setOption("application_name", leadership.term.applicationName("writer"))
        var options = PostgreSQLThreadOptions()
        // Whoever waits for a lock of somebody else's must give up before it is taken for silent: it renews its term, and
        // tries again.
        let patience = Int(configuration.silence / .milliseconds(3))
        options.prepare = { connection in
            try Self.forgetDefaults(connection)
            try connection.execute(script: "SET lock_timeout = \(patience)")
            try leadership.endPredecessors(of: connection)
        }
        options.waitTimeout = configuration.connectionWait
        // A database that is back should find its master back before a standby takes it for silent.
        options.longestRetry = min(.seconds(1), configuration.silence / 6)
        let writer = try PostgreSQLThread(server, options: options)
        do {
            self.identity = try await writer.perform { connection in
                try connection.transaction {
                    try leadership.claim(connection)
                    try PostgreSQLSchema.migrate(connection, onStep: onStep)
                    return StoreIdentity(
                        storeID: leadership.term.storeID,
                        term: Term(rawValue: leadership.term.number),
                        schemaVersion: PostgreSQLSchema.newest,
                        isCopy: try Self.isCopy(connection)
                    )
                }
            }
            server.setOption("application_name", leadership.term.applicationName("reader"))
            options.prepare = Self.forgetDefaults
            self.readers = try PostgreSQLPool(server, connections: max(1, configuration.readers), options: options)
        } catch {
            // Whoever waits need not wait for our silence.
            try? await writer.perform { try leadership.resign($0) }
            await writer.close()
            throw error
        }
        self.writer = writer
        self.leadership = leadership
        self.context = StoreContext(
            secrets: secrets,
            retry: configuration.retry,
            term: self.identity.term,
            partitionThreshold: configuration.partitionThreshold
        )
        let texts = StatementTexts()
        self.texts = texts
        self.queue = WriteQueue(writer: Writer(thread: writer, leadership: leadership, texts: texts))
        self.renewal = DispatchSource.makeTimerSource()
        let queue = self.queue
        self.renewal.setEventHandler {
            // What is under way may wait for minutes, until it is known what became of it; what waits behind it need not.
            if let problem = leadership.problem { queue.failWaiting(StoreError(.database, problem)) }
            // This is also how a master that has nothing to do learns that its database is back, or its term over. Every transaction renews. Were renewals to wait for their turn behind slow ones, they would add up.
            queue.submitIfIdle()
        }
        let interval = Int(configuration.silence / .milliseconds(3))
        self.renewal.schedule(
            deadline: .now() + .milliseconds(interval),
            repeating: .milliseconds(interval),
            leeway: .milliseconds(interval / 10)
        )
        self.renewal.resume()
    }

    private struct Writer: StoreWriter {
        let thread: PostgreSQLThread
        let leadership: Leadership
        let texts: StatementTexts

        func enter(_ work: @escaping @Sendable (Result<any StoreConnection, any Error>) -> Void) {
            self.thread.submit { connection in
                work(.success(PostgreSQLStoreConnection(connection, self.texts, leadership: self.leadership)))
            } refused: { error in
                work(.failure(StoreError.wrapping(error)))
            }
        }
    }

    /// Undoes what an administrator may have set for all clients and what the store cannot live with, and what helps only
    /// statements that read much: the planner takes ours for such, and compiling one and starting its workers took 40 ms
    /// for a thousand rows of ten million.
    private static func forgetDefaults(_ connection: PostgreSQLConnection) throws {
        try connection.execute(
            script: """
                SET synchronous_commit = on; SET idle_in_transaction_session_timeout = '60s';
                SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
                SET jit = off; SET max_parallel_workers_per_gather = 0
                """
        )
        try connection.query(Leadership.withoutLimits)
    }

    // MARK: Opening

    private static func server(_ configuration: PostgreSQLStoreConfiguration) throws -> PostgreSQLConfiguration {
        var server = try PostgreSQLConfiguration(configuration.url)
        server.setOption("application_name", "telstar standby")
        // A short limit would end the statement that lifts it, on a busy server every time.
        server.addSessionSetting("statement_timeout", "0")
        return server
    }

    private static func elect(
        _ configuration: PostgreSQLStoreConfiguration,
        _ server: PostgreSQLConfiguration,
        _ secrets: StoreSecrets,
        _ onWait: @Sendable (String) -> Void
    ) async throws -> LeadershipTerm {
        let election = Election(
            holder: configuration.holder,
            instance: configuration.instance,
            silence: configuration.silence
        )
        var options = PostgreSQLThreadOptions()
        options.prepare = Self.forgetDefaults
        options.waitTimeout = configuration.connectionWait
        let thread = try PostgreSQLThread(server, options: options)
        do {
            let acceptsUnsafe = configuration.acceptsUnsafeServer
            try await thread.perform { connection in
                try election.prepare(connection) { connection in
                    try Self.refuseUnsafe(connection, unless: acceptsUnsafe)
                    try Self.checkSecret(connection, secrets)
                }
            }
            var waitsFor: Int64?
            while true {
                do {
                    switch try await thread.perform({ try election.attempt($0) }) {
                    case .elected(let term):
                        await thread.close()
                        return term
                    case .occupied(let holder, let term):
                        guard configuration.waits else {
                            throw StoreError(.locked, "another master has the store open: \(holder) (term \(term))")
                        }
                        if waitsFor != term { onWait("\(holder) is the master (term \(term)); waiting to take over") }
                        waitsFor = term
                    }
                } catch let error as PostgreSQLError where waitsFor != nil && error.code != .authentication {
                    // A standby outlives its database's restarts, and what else befalls it.
                } catch let error as StoreError where configuration.waits && error.code == .locked {
                    // The next attempt comes soon.
                }
                try await Task.sleep(for: configuration.silence / 6)
            }
        } catch {
            await thread.close()
            throw error
        }
    }

    /// Refuses a secret other than the one with which the store was made: with it no id and no key could be read.
    private static func checkSecret(_ connection: PostgreSQLConnection, _ secrets: StoreSecrets) throws {
        let plaintext = Array("telstar".utf8)
        guard let sealed = try connection.query("SELECT sealed FROM store").only().optionalBytes(0) else {
            try connection.query("UPDATE store SET sealed = $1", [.bytea(try secrets.seal(plaintext))])
            return
        }
        guard (try? secrets.open(sealed)) == plaintext else {
            throw StoreError(
                .refused,
                "the store was made with another secret; copy secret.key from the first master's data directory"
            )
        }
    }

    /// Names this database: no other database of this server or another has that name, whatever is restored into it.
    private static let here = """
        SELECT (SELECT system_identifier::text FROM pg_control_system()) || '/' || oid::text
        FROM pg_database WHERE datname = current_database()
        """

    /// Whether the tables came from another database.
    private static func isCopy(_ connection: PostgreSQLConnection) throws -> Bool {
        guard let origin = try connection.query("SELECT origin FROM store").only().optionalText(0) else {
            try connection.query("UPDATE store SET origin = (\(Self.here))")
            return false
        }
        return try connection.query(Self.here).only().text(0) != origin
    }

    /// Refuses a server that may lose what it has confirmed.
    private static func refuseUnsafe(_ connection: PostgreSQLConnection, unless accepts: Bool) throws {
        guard !accepts else { return }
        for setting in ["fsync", "full_page_writes"] {
            let value = try connection.query("SELECT current_setting($1)", [.text(setting)]).only().text(0)
            guard value == "on" else {
                throw StoreError(
                    .refused,
                    "the database server has \(setting)=\(value), and may lose what it confirmed"
                )
            }
        }
    }

    var position: StorePosition { self.leadership.position }

    // MARK: Access

    // The functions around a continuation are `@concurrent`; see `SQLiteEngine`.

    @concurrent
    func read<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        var patience = 3
        while true {
            do {
                return try await self.readSnapshot(step)
            } catch let error as PostgreSQLError where error.sqlState == "42P01" && patience > 0 {
                // A table does not wait for a snapshot: this one had a mailing of which meanwhile everything is gone.
                patience -= 1
            } catch {
                throw StoreError.wrapping(error, in: operation)
            }
        }
    }

    @concurrent
    private func readSnapshot<Answer: Sendable>(
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let (context, texts) = (self.context, self.texts)
        return try await self.readers.perform { connection in
            try connection.transaction("ISOLATION LEVEL REPEATABLE READ READ ONLY") {
                try step(StoreTransaction(PostgreSQLStoreConnection(connection, texts), context))
            }
        }
    }

    // MARK: The store itself

    /// Always throws: a PostgreSQL store is backed up with the server's own tools.
    @concurrent
    func backup(to path: String) async throws {
        throw StoreError(.refused, "a store in PostgreSQL is backed up with pg_dump or the server's own means")
    }

    @concurrent
    func adopt() async throws {
        try await self.write("adopt") { try $0.prepare("UPDATE store SET origin = (\(Self.here))").run() }
    }

    /// Finishes queued work, resigns, so that a standby takes over at once, and closes the connections.
    @concurrent
    func close() async throws {
        self.renewal.cancel()
        let leadership = self.leadership
        // The last job of the queue, and not a call of its own, which the cancelled task of a master that stops could not
        // make. Whoever cannot resign is found silent a little later.
        self.queue.submit { connection in
            if let connection = connection as? PostgreSQLStoreConnection {
                try leadership.resign(connection.connection)
            }
            return {}
        }
        await self.queue.close()
        await self.writer.close()
        await self.readers.close()
    }
}
