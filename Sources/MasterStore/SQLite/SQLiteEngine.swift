// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import GRDB
internal import MailingModel

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// One SQLite file, for one master.
///
/// One connection writes, on a queue of its own, and commits what waits in one transaction (see `WriteQueue`); a few
/// read from snapshots. The log is synced at every commit (`synchronous=FULL`), so what an operation returned survives a power
/// cut. A lock file beside the database keeps a second master out.
final class SQLiteEngine: StoreEngine {
    let identity: StoreIdentity
    let context: StoreContext
    /// The lock file lets no other master in.
    var sharedLeadership: Leadership? { nil }

    private let pool: DatabasePool
    private let opening: String
    private let progress = StoreProgress()
    let queue: WriteQueue
    private let checkpointer: Checkpointer
    private let lock: LockFile

    /// Opens a store, makes it if there is none, brings its tables up to date and raises its term.
    @concurrent
    static func open(
        _ configuration: SQLiteConfiguration,
        secrets: StoreSecrets,
        onStep: @escaping @Sendable (SchemaProgress) -> Void = { _ in }
    ) async throws -> SQLiteEngine {
        try await Self.offPool { try SQLiteEngine(configuration, secrets: secrets, onStep: onStep) }
    }

    private init(
        _ configuration: SQLiteConfiguration,
        secrets: StoreSecrets,
        onStep: (SchemaProgress) -> Void
    ) throws {
        let path = configuration.path
        self.lock = try LockFile(path: path + ".lock")
        do {
            try LockFile.makePrivate(path: path)
            let pool = try DatabasePool(path: path, configuration: Self.connections(configuration))
            let opening = String(UInt64.random(in: 0 ... .max), radix: 36)
            let identity = try pool.writeWithoutTransaction { try Self.prepare($0, opening: opening, onStep) }
            self.pool = pool
            self.opening = opening
            self.identity = identity
            self.context = StoreContext(
                secrets: secrets,
                retry: configuration.retry,
                term: identity.term,
                partitionThreshold: configuration.partitionThreshold
            )
        } catch {
            self.lock.release()
            throw StoreError.wrapping(error)
        }
        let checkpointer = Checkpointer(databasePath: path, threshold: configuration.checkpointSize)
        self.checkpointer = checkpointer
        let commits = SQLiteConnection.Commits(term: self.identity.term.rawValue, progress: self.progress)
        self.queue = WriteQueue(writer: Writer(pool: self.pool, commits: commits)) { connection in
            guard let connection = connection as? SQLiteConnection else { return }
            checkpointer.runIfNeeded(connection.database)
        }
    }

    private struct Writer: StoreWriter {
        let pool: DatabasePool
        let commits: SQLiteConnection.Commits

        func enter(_ work: @escaping @Sendable (Result<any StoreConnection, any Error>) -> Void) {
            let commits = self.commits
            self.pool.asyncWriteWithoutTransaction { work(.success(SQLiteConnection($0, commits: commits))) }
        }
    }

    var position: StorePosition {
        StorePosition(
            storeID: self.identity.storeID,
            term: self.identity.term,
            opening: self.opening,
            number: self.progress.committed
        )
    }

    private static func connections(_ configuration: SQLiteConfiguration) -> GRDB.Configuration {
        var connections = GRDB.Configuration()
        connections.foreignKeysEnabled = false
        connections.busyMode = .timeout(5)
        connections.maximumReaderCount = max(1, configuration.readers)
        connections.prepareDatabase { database in
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY")
            try database.execute(sql: "PRAGMA cache_size = \(database.configuration.readonly ? -8_192 : -32_768)")
        }
        return connections
    }

    /// Sets the writer up: durable commits, newest tables, next term.
    private static func prepare(
        _ database: Database,
        opening: String,
        _ onStep: (SchemaProgress) -> Void
    ) throws -> StoreIdentity {
        // The library sets NORMAL with the write-ahead log, which would lose acknowledged commits at a power cut.
        try database.execute(sql: "PRAGMA synchronous = FULL")
        guard try Int.fetchOne(database, sql: "PRAGMA synchronous") == 2 else {
            throw StoreError(.database, "the database does not take synchronous=FULL")
        }
        var identity: StoreIdentity?
        try database.inTransaction(.immediate) {
            try Schema.migrate(database, onStep: onStep)
            try database.execute(sql: "UPDATE meta SET value = value + 1 WHERE name = 'term'")
            let storeID = try String.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'store_id'")
            let term = try Int64.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'term'")
            guard let storeID, let term else { throw StoreError(.corrupt, "the store has no identity") }
            try database.execute(
                sql: "INSERT INTO leadership(term, nonce, \"commit\") VALUES (?, ?, 0)",
                arguments: [term, opening]
            )
            try database.execute(sql: "DELETE FROM leadership WHERE term <= ?", arguments: [term - 100])
            identity = StoreIdentity(
                storeID: storeID,
                term: Term(rawValue: term),
                schemaVersion: Schema.newest,
                isCopy: try Int.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'copy'") != nil
            )
            return .commit
        }
        guard let identity else { throw StoreError(.database, "the store could not be prepared") }
        return identity
    }

    // MARK: Access

    // The functions around a continuation are `@concurrent`: Swift 6.3.1 with optimisation drops the hop back to the
    // caller's actor after a continuation that ends a nonisolated(nonsending) function, and an actor that called would
    // then go on outside its own isolation. After a `@concurrent` call the caller itself hops back.

    @concurrent
    func read<Answer: Sendable>(
        _ operation: StoreOperation,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let context = self.context
        return try await withCheckedThrowingContinuation { continuation in
            self.pool.asyncRead { database in
                let answer = Result {
                    let connection = SQLiteConnection(try database.get())
                    connection.boundStatements()
                    return try step(StoreTransaction(connection, context))
                }
                continuation.resume(with: answer.mapError { StoreError.wrapping($0, in: operation) })
            }
        }
    }

    /// Runs blocking work on a thread outside the cooperative pool.
    @concurrent
    private static func offPool<Answer: Sendable>(
        _ work: @escaping @Sendable () throws -> Answer
    ) async throws -> Answer {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try work() }) }
        }
    }

    // MARK: The store itself

    /// Writes a consistent copy while everything goes on; the file appears only when it is complete.
    @concurrent
    func backup(to path: String) async throws {
        let pool = self.pool
        try await Self.offPool {
            let partial = path + ".partial"
            unlink(partial)
            do {
                let copy = try DatabaseQueue(path: partial)
                try pool.backup(to: copy)
                // What the original did from here on the copy cannot know; whoever opens it must learn that it is one.
                try copy.write { try $0.execute(sql: "INSERT INTO meta VALUES ('copy', 1) ON CONFLICT DO NOTHING") }
                try copy.close()
            } catch {
                unlink(partial)
                throw StoreError.wrapping(error)
            }
            chmod(partial, 0o600)
            // A link, unlike a rename, never takes the place of a file that is there.
            defer { unlink(partial) }
            guard link(partial, path) == 0 else {
                let reason = String(cString: strerror(errno))
                throw StoreError(.database, "the backup cannot be named \(path): \(reason)")
            }
        }
    }

    @concurrent
    func adopt() async throws {
        try await self.write("adopt") { try $0.prepare("DELETE FROM meta WHERE name = 'copy'").run() }
    }

    /// Finishes queued work, closes the files and releases the lock; nothing may be called afterwards.
    @concurrent
    func close() async throws {
        await self.queue.close()
        let (pool, lock, checkpointer) = (self.pool, self.lock, self.checkpointer)
        try await Self.offPool {
            defer { lock.release() }
            pool.releaseMemory()
            pool.writeWithoutTransaction { checkpointer.run($0) }
            try pool.close()
        }
    }
}
