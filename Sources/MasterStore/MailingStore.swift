// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// The master's durable truth: a few operations over a whole database, each one transaction.
///
/// What an operation returns has been committed. Decisions that depend on the clock get the time as an argument. The operations
/// are the same for every database; what differs between databases lies in the engine, and so do the faults of tests.
public final class MailingStore: Sendable {
    let engine: any StoreEngine
    private let purge = PurgeChain()

    /// Continues the background work that an earlier process left.
    init(_ engine: any StoreEngine) {
        self.engine = engine
        self.purgeDeleted()
    }

    /// Opens a store in an SQLite file, makes it if there is none, brings its tables up to date and raises its term.
    ///
    /// - Parameters:
    ///   - configuration: Which file.
    ///   - secrets: The cryptography.
    ///   - onStep: Called as each step of bringing the tables up to date begins and is done.
    /// - Returns: The open store.
    /// - Throws: ``StoreError`` with ``StoreError/Code/locked``, ``StoreError/Code/newerSchema``,
    ///   ``StoreError/Code/corrupt`` or ``StoreError/Code/database``.
    public static func open(
        _ configuration: SQLiteConfiguration,
        secrets: StoreSecrets,
        onStep: @escaping @Sendable (SchemaProgress) -> Void = { _ in }
    ) async throws -> MailingStore {
        MailingStore(try await SQLiteEngine.open(configuration, secrets: secrets, onStep: onStep))
    }

    /// Opens a store in a PostgreSQL database once this process is the master, makes its tables if there are none and
    /// brings them up to date.
    ///
    /// - Parameters:
    ///   - configuration: Which database, and who asks.
    ///   - secrets: The cryptography.
    ///   - onWait: Called with who the leader is, once for each master that has to be waited for.
    ///   - onStep: Called as each step of bringing the tables up to date begins and is done.
    /// - Returns: The open store.
    /// - Throws: ``StoreError`` with ``StoreError/Code/newerSchema``, ``StoreError/Code/refused`` or
    ///   ``StoreError/Code/database``; `CancellationError` while waiting.
    public static func open(
        _ configuration: PostgreSQLStoreConfiguration,
        secrets: StoreSecrets,
        onWait: @Sendable (String) -> Void,
        onStep: @escaping @Sendable (SchemaProgress) -> Void = { _ in }
    ) async throws -> MailingStore {
        MailingStore(
            try await PostgreSQLEngine.open(configuration, secrets: secrets, onWait: onWait, onStep: onStep)
        )
    }

    /// Returns when another master has taken over, with the reason for which this one must stop; `nil` if the task is
    /// cancelled or the store has no other masters.
    public func waitUntilFenced() async -> String? {
        guard let leadership = self.engine.sharedLeadership else { return nil }
        for await reason in leadership.losses { return reason }
        return nil
    }

    /// That the database has been silent for so long that another master may have become leader, or `nil`; known without
    /// asking it.
    public var problem: String? { self.engine.sharedLeadership?.problem }

    /// The store's identity, and the term under which it was opened.
    public var identity: StoreIdentity { self.engine.identity }

    var context: StoreContext { self.engine.context }

    /// Writes a consistent copy while everything goes on; the file appears only when it is complete.
    public func backup(to path: String) async throws { try await self.engine.backup(to: path) }

    /// Finishes queued work and closes the database; nothing may be called afterwards.
    public func close() async throws { try await self.engine.close() }

    // MARK: Access

    /// Runs a reading step of an operation on a snapshot; the operation is named for errors.
    func read<Answer: Sendable>(
        operation: String = #function,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        try await self.engine.read(StoreOperation(function: operation), step)
    }

    /// Runs a writing step of an operation; what it changed is on disk when this returns.
    ///
    /// It may run twice.
    func write<Answer: Sendable>(
        operation: String = #function,
        _ step: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        try await self.engine.write(StoreOperation(function: operation), step)
    }

    /// Removes what deleted mailings left, step by step, between other operations.
    func purgeDeleted() { self.purge.run(on: self.engine) }
}
