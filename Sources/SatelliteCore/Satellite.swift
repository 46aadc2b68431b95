// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
public import Logging
public import MailDNS
public import NIOCore
public import SatelliteJournal

/// Delivers what its master entrusts to it: journals leases, requests permission to start, renders, signs, sends, reports.
///
/// What was left by an earlier process is taken up from the journal. ``run()`` runs once. Here the parts are made, run and ended;
/// each keeps its own state, and knows the parts that it hands work to.
public final class Satellite: Sendable {
    private let configuration: SatelliteConfiguration
    private let logger: Logger
    private let condition: Condition
    private let journal: Journal
    private let uplink: any MasterUplink
    private let reader: UplinkReader
    private let credit: Credit
    private let inbox: LeaseInbox
    private let intake: LeaseIntake
    private let recovered: RecoveredLeases
    private let preparer: Preparer
    private let keys: SigningKeyCache
    private let scheduler: SharedScheduler
    private let connections: ConnectionPool
    private let reports: Reports

    /// Opens the journal and the cache; nothing is sent and nothing is requested before ``run()``.
    ///
    /// - Parameters:
    ///   - configuration: The bounds.
    ///   - directory: Where the journal's files are; `nil` is `journal` in the data directory.
    ///   - resolver: Finds MX hosts.
    ///   - group: NIO's socket loops; every core one.
    ///   - logger: Takes what operators should know.
    ///   - makeUplink: Makes the way to the master, given what answers for its handshake and its heartbeats, and what goes
    ///     beside every message.
    /// - Throws: `JournalError`, ``SatelliteError``.
    public init(
        _ configuration: SatelliteConfiguration,
        journal directory: (any JournalDirectory)? = nil,
        resolver: any MailResolver,
        group: any EventLoopGroup,
        logger: Logger,
        uplink makeUplink: (
            _ handshake: @escaping @Sendable () async -> Handshake,
            _ load: @escaping @Sendable () async -> SatelliteLoad,
            _ memory: SatelliteLink.Memory
        ) -> any MasterUplink
    ) throws {
        self.configuration = configuration
        self.logger = logger
        let directory = try directory ?? DiskJournalDirectory(path: configuration.dataDirectory + "/journal")
        let (journal, recovery) = try Journal.open(
            directory,
            configuration: configuration.journal,
            bootID: Journal.currentBootID(),
            incarnation: .random(in: 1 ... .max),
            now: WallClock.now()
        )
        self.journal = journal
        let cache = try BlobCache(
            directory: configuration.dataDirectory + "/content",
            bound: configuration.contentCacheBytes
        )
        // From here on each part is made after those that it hands work to.
        self.condition = Condition(logger: logger)
        self.inbox = LeaseInbox()
        self.connections = ConnectionPool(configuration, cache: cache, group: group)
        let reports = Reports(
            journal,
            recovery,
            configuration: configuration,
            condition: self.condition,
            logger: logger
        )
        self.reports = reports
        let scheduler = SharedScheduler(
            DeliveryScheduler(configuration),
            connections: self.connections,
            reports: reports,
            inbox: self.inbox,
            logger: logger
        )
        self.scheduler = scheduler
        self.uplink = makeUplink(
            { Handshake(configuration, journal) },
            { SatelliteLoad(scheduler, reports) },
            SatelliteLink.Memory(journal: { journal.position }, noteStore: { journal.noteStore($0) })
        )
        self.credit = Credit(configuration, uplink: self.uplink, condition: self.condition)
        self.keys = SigningKeyCache(uplink: self.uplink, timeout: configuration.signingKeyTimeout)
        self.preparer = Preparer(
            configuration,
            content: ContentCache(
                cache: cache,
                uplink: self.uplink,
                keys: self.keys,
                limit: configuration.maximumRevisions
            ),
            routes: MXCache(resolver: resolver, configuration: configuration),
            scheduler: scheduler,
            condition: self.condition,
            logger: logger
        )
        self.recovered = RecoveredLeases(recovery, scheduler: scheduler, preparer: self.preparer, logger: logger)
        self.intake = LeaseIntake(
            self.inbox,
            journal: journal,
            uplink: self.uplink,
            credit: self.credit,
            scheduler: scheduler,
            preparer: self.preparer,
            condition: self.condition
        )
        self.reader = UplinkReader(
            self.uplink,
            journal: journal,
            credit: self.credit,
            condition: self.condition,
            scheduler: scheduler,
            reports: reports,
            inbox: self.inbox,
            recovered: self.recovered,
            keys: self.keys,
            logger: logger
        )
        recovery.log(journal.journalID, to: logger)
    }

    /// Serves the master until ``beginShutdown()`` has been carried out or the task is cancelled.
    ///
    /// - Throws: ``SatelliteError`` with code `superseded` or `journalFailed`; what the link throws.
    public func run() async throws {
        // Whoever holds this object may do so for longer than the satellite lives.
        defer { self.journal.release() }
        try await self.connections.start(scheduler: self.scheduler, reports: self.reports)
        let result: Result<Void, any Error>
        do {
            try await self.serve()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await self.keys.stop()
        // The journal outlives its last dot: connections report before they are gone.
        try await self.connections.stop()
        if let error = self.condition.error { throw error }
        try result.get()
    }

    /// Begins an orderly end: returns what was never started, finishes what was, reports, says goodbye.
    ///
    /// Then ``run()`` returns. May be called from any thread, more than once.
    public func beginShutdown() { self.condition.beginShutdown() }

    /// What the satellite is doing now.
    public func status() -> SatelliteStatus {
        SatelliteStatus(
            serial: self.configuration.serial,
            journal: self.journal,
            condition: self.condition.facts,
            reports: self.reports,
            scheduler: self.scheduler
        )
    }

    // MARK: Long-lived work

    /// All of it, until one part of it ends.
    private func serve() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.uplink.run() }
            group.addTask { try await self.reader.run() }
            group.addTask { try await self.intake.run() }
            group.addTask { await self.preparer.run() }
            group.addTask { await self.scheduler.requestStarts(over: self.uplink) }
            group.addTask { await self.reports.send(over: self.uplink) }
            group.addTask { await self.tick() }
            group.addTask { if await self.condition.untilEnd() { await self.shutDown() } }
            let end = await group.nextResult()
            group.cancelAll()
            // A lease in preparation may wait for a signing key that no master is there to send.
            await self.keys.stop()
            try end?.get()
        }
    }

    /// Looks at deadlines and rates until the task is cancelled.
    private func tick() async {
        var last = ContinuousClock.now
        while (try? await Task.sleep(for: self.configuration.tick)) != nil {  // Ends when it is cancelled.
            let now = ContinuousClock.now
            let elapsed = now - last
            last = now
            self.scheduler.change { scheduler, now in scheduler.tick(elapsed, now: now) }
            self.connections.forEach { $0.sweep(now: .now, patience: .seconds(2)) }
            await self.keys.repeatRequests(now: now)
            if self.condition.retryDisk(now: now) { await self.credit.send() }
            if self.condition.note(self.scheduler.withLock { $0.shortage }) { await self.credit.send() }
            self.reports.tick(now)
        }
    }

    // MARK: The end

    private func shutDown() async {
        self.logger.info("shutting down: returning recipients that were not started, finishing those that were")
        await self.credit.send()
        self.scheduler.change { scheduler, _ in scheduler.drain() }
        await self.wait(self.configuration.shutdownDrain) {
            // What still waits for a first Welcome stays in the journal, for the next process.
            let recovered = self.recovered.count
            return self.scheduler.withLock { $0.startedCount == recovered && $0.requestedCount == 0 }
        }
        self.scheduler.change { scheduler, now in scheduler.close(now: now) }
        self.connections.forEach { $0.drain() }
        await self.wait(self.configuration.shutdownLimit) {
            self.scheduler.withLock { $0.withConnections == 0 && $0.connectionCount == 0 }
        }
        // What is past its dot becomes uncertain now, and is reported so.
        self.connections.forEach { $0.abort() }
        await self.wait(.seconds(1)) { self.scheduler.withLock { $0.connectionCount == 0 } }
        // What is returned goes out before the goodbye, so whoever writes it down must have come to its end.
        await self.wait(self.configuration.shutdownReports) { self.reports.backlog == 0 && self.inbox.isDone }
        await self.uplink.transmit(.goodbye)
    }

    /// Waits for at most `limit`, and no longer than the journal can be written.
    private func wait(_ limit: Duration, until isDone: () -> Bool) async {
        let deadline = ContinuousClock.now + limit
        while !isDone(), ContinuousClock.now < deadline, !self.condition.hasFailed {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }  // Cancelled.
        }
    }
}
