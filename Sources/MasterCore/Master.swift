// SPDX-License-Identifier: Apache-2.0

public import Logging
public import MailingModel
public import MasterStore
public import Secrets
import Synchronization

/// The master of the cluster: the entry point for every API, the command line and the satellites.
///
/// An operation that returns has committed what it says. Its errors are ``MasterError``; an operation that fails with
/// ``MasterError/Code/storeFailed`` may be repeated. Operations may be called from any task, before ``run()`` too.
public final class Master: Sendable {
    let store: MailingStore
    let configuration: MasterConfiguration
    let directory: SatelliteDirectory
    let time: MasterTime
    let logger: Logger
    let cursors: FeedCursorCodec
    let keys: APIKeyCache
    /// Who has failed to authenticate too often.
    public let failedAttempts: FailedAttempts
    let accountDirectory: AccountDirectory
    let engine: Engine
    let gate: CallGate
    private let hasLoaded = Atomic(false)

    /// Composes a master; it does nothing for satellites until ``run()``.
    ///
    /// - Parameters:
    ///   - store: An open store; the master closes it at the end of ``run()``.
    ///   - channel: The way to the satellites. Whoever runs it must let it outlive ``run()``.
    ///   - directory: Shared with the channel, which asks it who may connect.
    ///   - configuration: Bounds and waits.
    ///   - cursorKey: Outlives the process; proves that the feed's cursors were made here.
    ///   - clock: Measures waits.
    ///   - now: The civil clock.
    ///   - logger: Logs what an operator should know.
    public init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        configuration: MasterConfiguration,
        cursorKey: MACKey,
        clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.store = store
        self.configuration = configuration
        self.directory = directory
        self.time = MasterTime(clock: clock, now: now, logger: logger)
        self.logger = logger
        self.cursors = FeedCursorCodec(storeID: store.identity.storeID, key: cursorKey)
        self.keys = APIKeyCache()
        self.failedAttempts = FailedAttempts(elapsed: self.time.elapsed, logger: logger)
        self.accountDirectory = AccountDirectory()
        self.gate = CallGate()
        self.engine = Engine(
            store: store,
            channel: channel,
            directory: directory,
            configuration: configuration,
            time: self.time,
            logger: logger
        )
    }

    /// Whether the keys, the credentials and the satellites are known; no call can be authenticated before.
    public var isLoaded: Bool { self.hasLoaded.load(ordering: .acquiring) }

    /// Reads the keys, the credentials and the satellites, for a caller that opens listeners before ``run()``.
    ///
    /// - Throws: ``MasterError`` if the store cannot be read.
    public func load() async throws {
        do {
            try await self.readStore()
        } catch let error as StoreError {
            throw MasterError(error)
        }
    }

    private func readStore() async throws {
        guard !self.isLoaded else { return }
        try await self.directory.reload(from: self.store)
        try await self.keys.reload(from: self.store)
        try await self.accountDirectory.reload(from: self.store)
        self.engine.safeMode.distrustCopy()
        self.hasLoaded.store(true, ordering: .releasing)
    }

    /// The civil time.
    func now() -> Timestamp { self.time.now() }

    /// Serves the satellites until the task is cancelled.
    ///
    /// Then it refuses new calls, waits for those under way and for the reports that it has already taken, stops granting,
    /// and closes the store.
    ///
    /// - Throws: ``MasterError`` if the store cannot be read at the start.
    public func run() async throws {
        do {
            try await self.readStore()
            let attempts = Task {
                while !Task.isCancelled {
                    try await self.time.sleep(until: self.time.elapsed() + .seconds(60))
                    self.failedAttempts.logRest()
                }
            }
            defer { attempts.cancel() }
            try await self.engine.run(gate: self.gate)
        } catch is CancellationError {
            // Cancelled while starting: the end is the same.
        } catch let error as StoreError {
            await self.gate.close()
            // The first error is the one to report.
            try? await self.store.close()
            throw MasterError(error)
        }
        await self.gate.close()
        try await self.store.close()
    }

    /// Runs one call of an operation: refused once the master stops, its errors turned into the master's.
    ///
    /// - Parameters:
    ///   - mailing: The mailing that the operation is about, for errors that name it.
    ///   - body: The call.
    /// - Returns: What the call returned.
    /// - Throws: ``MasterError``, and what is not the store's or the lifecycle's as it is.
    func call<Result: Sendable>(
        _ mailing: MailingID? = nil,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try self.gate.enter()
        defer { self.gate.leave() }
        do {
            return try await body()
        } catch let error as MasterError {
            throw error
        } catch let refusal as MailingLifecycle.Refusal {
            guard let mailing else { throw MasterError(.storeFailed, "\(refusal)") }
            throw MasterError(refusal, of: mailing)
        } catch let error as StoreError {
            throw MasterError(error, mailing: mailing)
        }
    }
}

/// Admits calls until the master stops, then waits for those in progress.
final class CallGate: Sendable {
    private struct State {
        var isClosed = false
        var inside = 0
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    /// Whether new calls are refused.
    var isClosed: Bool { self.state.withLock { $0.isClosed } }

    /// Admits one call.
    ///
    /// - Throws: ``MasterError/Code/busy`` once closed.
    func enter() throws {
        try self.state.withLock { state in
            guard !state.isClosed else { throw MasterError(.busy, "the master is stopping; try again later") }
            state.inside += 1
        }
    }

    /// Ends one call.
    func leave() {
        let waiter = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.inside -= 1
            guard state.isClosed, state.inside == 0 else { return nil }
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Refuses new calls from now on; does not wait.
    func refuse() { self.state.withLock { $0.isClosed = true } }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Refuses new calls and waits until the last one has ended; for one caller at a time.
    @concurrent
    func close() async {
        await withCheckedContinuation { continuation in
            let isEmpty = self.state.withLock { state -> Bool in
                state.isClosed = true
                guard state.inside > 0 else { return true }
                state.waiter = continuation
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}
