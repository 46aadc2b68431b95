// SPDX-License-Identifier: Apache-2.0

internal import Dispatch
internal import GRDB
public import MailingModel

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The store in one SQLite file, for one master.
///
/// One connection writes, on a queue of its own, and commits what waits in one transaction (see `WriteQueue`); a few
/// read from snapshots. The log is synced at every commit (`synchronous=FULL`), so what a verb returned survives a power
/// cut. A lock file beside the database keeps a second master out.
public final class SQLiteStore: Sendable {
    /// How a store is opened.
    public struct Configuration: Sendable {
        /// The database file; `-wal`, `-shm` and `.lock` files lie beside it.
        public var path: String
        /// When deferred recipients are tried again.
        public var retry: RetrySchedule
        /// How many callers may read at the same time; 1 or more.
        public var readers: Int
        /// The size of the write-ahead log, in octets, from which it is moved into the database file.
        public var checkpointSize: Int

        /// Composes a configuration.
        ///
        /// - Parameters:
        ///   - path: The database file; made if there is none.
        ///   - retry: CloudMailing's schedule by default.
        ///   - readers: 3 by default.
        ///   - checkpointSize: 32 MiB by default.
        public init(
            path: String,
            retry: RetrySchedule = RetrySchedule(),
            readers: Int = 3,
            checkpointSize: Int = 32 << 20
        ) {
            self.path = path
            self.retry = retry
            self.readers = readers
            self.checkpointSize = checkpointSize
        }
    }

    /// Who this store is and under which term it was opened.
    public let identity: StoreIdentity

    private let pool: DatabasePool
    private let queue: WriteQueue
    private let checkpointer: Checkpointer
    private let lock: LockFile
    let context: StoreContext

    /// Opens a store, makes it if there is none, brings its tables up to date and raises its term.
    ///
    /// - Throws: ``StoreError`` with ``StoreError/Code/locked``, ``StoreError/Code/newerSchema``,
    ///   ``StoreError/Code/corrupt`` or ``StoreError/Code/database``.
    public static func open(_ configuration: Configuration, secrets: StoreSecrets) async throws -> SQLiteStore {
        try await Self.offPool { try SQLiteStore(configuration, secrets: secrets) }
    }

    private init(_ configuration: Configuration, secrets: StoreSecrets) throws {
        let path = configuration.path
        self.lock = try LockFile(path: path + ".lock")
        do {
            try LockFile.makePrivate(path: path)
            let pool = try DatabasePool(path: path, configuration: Self.connections(configuration))
            let identity = try pool.writeWithoutTransaction { try Self.prepare($0) }
            self.pool = pool
            self.identity = identity
            self.context = StoreContext(secrets: secrets, retry: configuration.retry, term: identity.term)
        } catch {
            self.lock.release()
            throw StoreError.wrapping(error)
        }
        let checkpointer = Checkpointer(databasePath: path, threshold: configuration.checkpointSize)
        self.checkpointer = checkpointer
        self.queue = WriteQueue(pool: self.pool) { checkpointer.runIfNeeded($0) }
        self.purgeDeleted()
    }

    private static func connections(_ configuration: Configuration) -> GRDB.Configuration {
        var connections = GRDB.Configuration()
        connections.foreignKeysEnabled = false
        connections.busyMode = .timeout(5)
        connections.maximumReaderCount = max(1, configuration.readers)
        connections.prepareDatabase { database in
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY")
            try database.execute(sql: "PRAGMA cache_size = \(database.configuration.readonly ? -8_192 : -65_536)")
        }
        return connections
    }

    /// Sets the writer up: durable commits, newest tables, next term.
    private static func prepare(_ database: Database) throws -> StoreIdentity {
        // The library sets NORMAL with the write-ahead log, which would lose acknowledged commits at a power cut.
        try database.execute(sql: "PRAGMA synchronous = FULL")
        guard try Int.fetchOne(database, sql: "PRAGMA synchronous") == 2 else {
            throw StoreError(.database, "the database does not take synchronous=FULL")
        }
        var identity: StoreIdentity?
        try database.inTransaction(.immediate) {
            try Schema.migrate(database)
            try database.execute(sql: "UPDATE meta SET value = value + 1 WHERE name = 'term'")
            let storeID = try String.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'store_id'")
            let term = try Int64.fetchOne(database, sql: "SELECT value FROM meta WHERE name = 'term'")
            guard let storeID, let term else { throw StoreError(.corrupt, "the store has no identity") }
            identity = StoreIdentity(storeID: storeID, term: Term(rawValue: term), schemaVersion: Schema.newest)
            return .commit
        }
        guard let identity else { throw StoreError(.database, "the store could not be prepared") }
        return identity
    }

    // MARK: Access

    // The functions around a continuation are `@concurrent`: Swift 6.3.1 with optimisation drops the hop back to the
    // caller's actor after a continuation that ends a nonisolated(nonsending) function, and an actor that called would
    // then go on outside its own isolation. After a `@concurrent` call the caller itself hops back.

    /// Runs a reading verb on a snapshot.
    @concurrent
    func read<Answer: Sendable>(
        _ verb: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let context = self.context
        return try await withCheckedThrowingContinuation { continuation in
            self.pool.asyncRead { database in
                let answer = Result { try verb(StoreTransaction(try database.get(), context)) }
                continuation.resume(with: answer.mapError(StoreError.wrapping))
            }
        }
    }

    /// Runs a writing verb; what it changed is on disk when this returns.
    @concurrent
    func write<Answer: Sendable>(
        _ verb: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        let context = self.context
        return try await self.queue.perform { database in
            let transaction = StoreTransaction(database, context)
            let answer = try verb(transaction)
            try transaction.flush()
            return answer
        }
    }

    /// Removes what deleted mailings left, step by step, between other verbs.
    func purgeDeleted() {
        Self.purgeDeleted(self.queue, self.context)
    }

    private static func purgeDeleted(_ queue: WriteQueue, _ context: StoreContext) {
        queue.submit { database in
            let isMoreLeft = try Deletion.purge(StoreTransaction(database, context))
            return { if isMoreLeft { Self.purgeDeleted(queue, context) } }
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
    public func backup(to path: String) async throws {
        let pool = self.pool
        try await Self.offPool {
            let partial = path + ".partial"
            unlink(partial)
            do {
                let copy = try DatabaseQueue(path: partial)
                try pool.backup(to: copy)
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

    /// Carries out what waits, closes the files and gives the lock back; nothing may be called after.
    public func close() async throws {
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
