// SPDX-License-Identifier: Apache-2.0

@preconcurrency internal import Dispatch
internal import MailingModel
internal import Synchronization

/// The store's operations over a database.
///
/// Each operation is a few statements in one transaction, the same for every database; what differs between them lies in
/// their engines.
public final class DatabaseStore: Sendable {
    let engine: any StoreEngine
    private let purge = PurgeChain()

    /// Continues the background work that an earlier process left.
    private init(_ engine: any StoreEngine) {
        self.engine = engine
        self.purgeDeleted()
    }

    /// Opens a store in an SQLite file, makes it if there is none, brings its tables up to date and raises its term.
    ///
    /// - Throws: ``StoreError`` with ``StoreError/Code/locked``, ``StoreError/Code/newerSchema``,
    ///   ``StoreError/Code/corrupt`` or ``StoreError/Code/database``.
    public static func open(_ configuration: SQLiteConfiguration, secrets: StoreSecrets) async throws -> DatabaseStore {
        DatabaseStore(try await SQLiteEngine.open(configuration, secrets: secrets))
    }

    /// Opens a store in a PostgreSQL database once this process is the master, makes its tables if there are none and
    /// brings them up to date.
    ///
    /// - Parameters:
    ///   - configuration: Which database, and who asks.
    ///   - secrets: The cryptography.
    ///   - onWait: Called with who the leader is, once for each master that has to be waited for.
    /// - Returns: The open store.
    /// - Throws: ``StoreError`` with ``StoreError/Code/newerSchema``, ``StoreError/Code/refused`` or
    ///   ``StoreError/Code/database``; `CancellationError` while waiting.
    public static func open(
        _ configuration: PostgreSQLStoreConfiguration,
        secrets: StoreSecrets,
        onWait: @Sendable (String) -> Void
    ) async throws -> DatabaseStore {
        DatabaseStore(try await PostgreSQLEngine.open(configuration, secrets: secrets, onWait: onWait))
    }

    /// Returns when another master has taken over, with the reason for which this one must stop; `nil` if the task is
    /// cancelled or the store has no other masters.
    public func waitUntilFenced() async -> String? {
        guard let engine = self.engine as? PostgreSQLEngine else { return nil }
        for await reason in engine.leadership.losses { return reason }
        return nil
    }

    /// That the database has been silent for so long that another master may have become leader, or `nil`.
    public var problem: String? { (self.engine as? PostgreSQLEngine)?.leadership.problem }

    /// The store's identity, and the term under which it was opened.
    public var identity: StoreIdentity { self.engine.identity }

    var context: StoreContext { self.engine.context }

    /// Writes a consistent copy while everything goes on; the file appears only when it is complete.
    public func backup(to path: String) async throws { try await self.engine.backup(to: path) }

    /// Finishes queued work and closes the database; nothing may be called afterwards.
    public func close() async throws { try await self.engine.close() }

    // MARK: Access

    func read<Answer: Sendable>(
        _ operation: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        try await self.engine.read(operation)
    }

    func write<Answer: Sendable>(
        _ operation: @escaping @Sendable (StoreTransaction) throws -> Answer
    ) async throws -> Answer {
        try await self.engine.write(operation)
    }

    /// Removes what deleted mailings left, step by step, between other operations.
    func purgeDeleted() { self.purge.run(on: self.engine) }
}

/// Steps of ``Deletion/purge(skipping:_:)``, one at a time, however many mailings are deleted at once: between two of
/// them every operation that waits gets its turn.
///
/// Tables that somebody has in use are skipped and tried again later, and so is a step that failed: at first soon, then
/// after longer and longer.
private final class PurgeChain: Sendable {
    private struct State {
        var isRunning = false
        /// Whether something was deleted since the current step was requested.
        var isAskedAgain = false
        /// Deleted mailings of which only tables in use are left.
        var busy: [MailingID] = []
        /// Whether the purge continues by itself after a wait.
        var isWaiting = false
        /// How long tables in use are left alone, or a database that has failed.
        var patience = PurgeChain.patience.lowerBound
    }

    private static let patience: ClosedRange<Duration> = .seconds(2) ... .seconds(60)

    private let state = Mutex(State())

    /// Starts the purge, unless it is running.
    func run(on engine: any StoreEngine) {
        let mustStart = self.state.withLock { state in
            defer { state.isRunning = true }
            state.isAskedAgain = state.isRunning
            if !state.isRunning { state.busy = [] }
            return !state.isRunning
        }
        if mustStart { self.step(engine) }
    }

    private func step(_ engine: any StoreEngine) {
        let busy = self.state.withLock { $0.busy }
        engine.submit {
            try Deletion.purge(skipping: busy, $0)
        } done: { step in
            let (goesOn, wait) = self.state.withLock { state in
                switch step {
                case .goesOn:
                    state.isRunning = true
                    state.patience = Self.patience.lowerBound
                case .isBusy(let mailing): state.busy.append(mailing)
                case .finished: state.isRunning = state.isAskedAgain
                case nil: state.isRunning = false
                }
                if case .finished? = step { state.isAskedAgain = false }
                let isPutOff = !state.isRunning && (step == nil || !state.busy.isEmpty)
                guard isPutOff, !state.isWaiting else { return (state.isRunning, Duration?.none) }
                defer { state.patience = min(state.patience * 2, Self.patience.upperBound) }
                state.isWaiting = true
                return (state.isRunning, state.patience)
            }
            if goesOn { self.step(engine) }
            if let wait { self.tryAgain(after: wait, engine) }
        }
    }

    private func tryAgain(after wait: Duration, _ engine: any StoreEngine) {
        // Nothing is left to do for a store that is closed; the next start takes it up.
        guard !engine.queue.isClosed else { return }
        let patience = Int(wait / .milliseconds(1))
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(patience)) {
            self.state.withLock { $0.isWaiting = false }
            self.run(on: engine)
        }
    }
}
