// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
public import Logging
public import MailDNS
import MailingModel
public import NIOCore
import NIOPosix
import SMTP
public import SatelliteJournal
import Synchronization

/// Delivers what its master entrusts to it: journals leases, requests permission to start, renders, signs, sends, reports.
///
/// What was left by an earlier process is taken up from the journal. ``run()`` runs once.
public final class Satellite: Sendable {
    let configuration: SatelliteConfiguration
    let logger: Logger
    let journal: Journal
    let uplink: any MasterUplink
    let contentCache: ContentCache
    let keys: SigningKeyCache
    let cache: BlobCache
    let mxCache: MXCache
    let counters = AttemptCounters()
    let scheduler: Mutex<DeliveryScheduler>
    let outbox: Mutex<ReportOutbox>
    let inbox = Mutex(Inbox())
    let condition = Mutex(Condition())
    let bookkeeping = Signal()
    let starting = Signal()
    let reporting = Signal()
    let stopping = Signal()
    let preparations: AsyncStream<Preparation>
    let prepare: AsyncStream<Preparation>.Continuation
    /// Recipients that an earlier process had started, until a master has said whether the journal is the newest.
    let recovered: Mutex<[Preparation]>
    /// For calls that wait for the disk.
    let blocking = NIOThreadPool(numberOfThreads: 1)

    private let group: any EventLoopGroup
    private let clients: (encrypted: SMTPClientConfiguration, plaintext: SMTPClientConfiguration)
    let tls: Mutex<TLSMemory>
    private let drivers = Mutex<[ConnectionID: NIOLoopBound<ConnectionDriver>]>([:])
    private let contexts = Mutex<(loops: [NIOLoopBound<LoopContext>], next: Int)>(([], 0))

    /// What is known of the satellite as a whole.
    struct Condition {
        var rejection: String?
        var isDiskFull = false
        var diskFullSince: ContinuousClock.Instant?
        var isStopping = false
        var failure: SatelliteError?
        var isSuperseded = false
        var attemptsBefore: [UInt64] = []
        var wasWelcomed = false
        /// The master has said that a newer journal was seen.
        var isDistrusted = false
        /// What this process lacks.
        var shortage: String?
        /// Why the resolver is held unable.
        var resolverTrouble: String?
    }

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
        self.group = group
        let directory = try directory ?? DiskJournalDirectory(path: configuration.dataDirectory + "/journal")
        let (journal, recovery) = try Journal.open(
            directory,
            configuration: configuration.journal,
            bootID: Journal.currentBootID(),
            incarnation: .random(in: 1 ... .max),
            now: WallClock.now()
        )
        self.journal = journal
        self.cache = try BlobCache(
            directory: configuration.dataDirectory + "/content",
            bound: configuration.contentCacheBytes
        )
        self.mxCache = MXCache(resolver: resolver, configuration: configuration)
        self.clients = Self.makeClients(configuration)
        self.tls = Mutex(TLSMemory(memory: configuration.brokenTLSMemory, pause: configuration.siteBackoff / 2))
        (self.preparations, self.prepare) = AsyncStream.makeStream(of: Preparation.self)
        var scheduler = DeliveryScheduler(configuration)
        var outbox = ReportOutbox(batchSize: configuration.reportBatch, window: configuration.reportsInFlight)
        let (waiting, started) = Self.resume(recovery, &scheduler, &outbox)
        self.recovered = Mutex(started)
        self.scheduler = Mutex(scheduler)
        self.outbox = Mutex(outbox)
        let presence = SatellitePresence(configuration: configuration, journal: journal)
        self.uplink = makeUplink(
            { presence.handshake() },
            { presence.load() },
            SatelliteLink.Memory(journal: { journal.position }, noteStore: { journal.noteStore($0) })
        )
        self.keys = SigningKeyCache(uplink: self.uplink, timeout: configuration.signingKeyTimeout)
        self.contentCache = ContentCache(
            cache: self.cache,
            uplink: self.uplink,
            keys: self.keys,
            limit: configuration.maximumRevisions
        )
        presence.present(self)
        for preparation in waiting { self.prepare.yield(preparation) }
        self.announce(recovery)
    }

    /// Serves the master until ``beginShutdown()`` has been carried out or the task is cancelled.
    ///
    /// - Throws: ``SatelliteError`` with code `superseded` or `journalFailed`; what the link throws.
    public func run() async throws {
        self.blocking.start()
        let contexts = try await self.makeContexts()
        self.contexts.withLock { $0.loops = contexts }
        let result: Result<Void, any Error>
        do {
            try await self.serve()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await self.keys.stop()
        for driver in self.drivers.withLock({ Array($0.values) }) {
            driver.eventLoop.execute { driver.value.abort() }
        }
        // The journal outlives its last dot: connections report before they are gone.
        for context in contexts { try await context.eventLoop.submit { context.value.flush() }.get() }
        self.contexts.withLock { $0.loops = [] }
        self.drivers.withLock { $0 = [:] }
        try? await self.blocking.shutdownGracefully()  // Nothing is left to wait for it.
        if let failure = self.condition.withLock({ $0.failure }) { throw failure }
        if self.condition.withLock({ $0.isSuperseded }) {
            throw SatelliteError(
                .superseded,
                "another process with this satellite's key has taken over; this one stops"
            )
        }
        try result.get()
    }

    /// Begins an orderly end: returns what was never started, finishes what was, reports, says goodbye.
    ///
    /// Then ``run()`` returns. May be called from any thread, more than once.
    public func beginShutdown() {
        self.condition.withLock { $0.isStopping = true }
        self.stopping.notify()
    }

    // MARK: What connections ask

    /// Changes the scheduler and carries out what follows.
    func change(_ body: (inout DeliveryScheduler, ContinuousClock.Instant) -> SchedulerActions) {
        let now = ContinuousClock.now
        let actions = self.scheduler.withLock { scheduler in body(&scheduler, now) }
        self.perform(actions)
    }

    func take(for request: OpenRequest) -> [QueuedRecipient] {
        let recipients = self.scheduler.withLock { $0.take(for: request.id, at: request.site, now: .now) }
        if !recipients.isEmpty { self.starting.notify() }
        return recipients
    }

    /// - Returns: Whether the dot may be sent.
    func recordDot(_ recipient: QueuedRecipient) -> Bool {
        do {
            try self.journal.recordDot(recipient.lease.serial, entry: recipient.index)
            return true
        } catch {
            self.fail(error)
            return false
        }
    }

    /// Hands the end of an attempt to the journal; `nil` if that failed, and the process is about to stop.
    func recordDone(
        _ recipient: QueuedRecipient,
        _ outcome: DeliveryOutcome,
        site: String?,
        clears: Bool = false
    ) -> FinishedAttempt? {
        let now = WallClock.now()
        do {
            try self.journal.recordDone(recipient.lease.serial, entry: recipient.index, outcome, endedAt: now)
            return FinishedAttempt(report: recipient.report(outcome, endedAt: now), site: site, clears: clears)
        } catch {
            self.fail(error)
            return nil
        }
    }

    /// Reports attempts that the journal has been handed.
    func publish(_ attempts: [FinishedAttempt]) {
        do {
            try self.journal.flush()
        } catch {
            return self.fail(error)
        }
        CrashPoint.reached(.satelliteAfterDone)
        self.outbox.withLock { $0.append(attempts.map(\.report)) }
        self.reporting.notify()
        self.counters.add(attempts)
        let ended = attempts.compactMap { attempt in
            attempt.site.map { (site: $0, lease: attempt.report.lease, clears: attempt.clears) }
        }
        if !ended.isEmpty { self.change { scheduler, now in scheduler.ended(ended, now: now) } }
    }

    func connectionEnded(_ request: OpenRequest, _ result: DeliveryScheduler.ConnectionResult) {
        self.drivers.withLock { $0[request.id] = nil }
        self.change { scheduler, now in scheduler.connectionEnded(request.id, at: request.site, result, now: now) }
    }

    func clientConfiguration(for host: String) -> SMTPClientConfiguration {
        let isPlaintext = self.tls.withLock { $0.prefersPlaintext(host, now: .now) }
        return isPlaintext ? self.clients.plaintext : self.clients.encrypted
    }

    /// Nothing may be sent any more: the process must stop.
    func fail(_ error: JournalError) {
        let failure = SatelliteError(
            .journalFailed,
            "the journal cannot be written, sending stops: \(error.description)"
        )
        let isFirst = self.condition.withLock { condition in
            defer { condition.failure = condition.failure ?? failure }
            return condition.failure == nil
        }
        guard isFirst else { return }
        self.logger.critical("journal failed; the satellite stops", metadata: ["reason": "\(error.description)"])
        self.stopping.notify()
    }

    // MARK: Carrying out

    /// Carries out what a change of the scheduler asks for; from any thread.
    func perform(_ actions: SchedulerActions) {
        guard !actions.isEmpty else { return }
        if !actions.wake.isEmpty {
            let woken = self.drivers.withLock { drivers in actions.wake.compactMap { drivers[$0] } }
            for driver in woken { driver.eventLoop.execute { driver.value.wake() } }
        }
        for request in actions.open { self.open(request) }
        if !actions.drain.isEmpty {
            let leaving = self.drivers.withLock { drivers in actions.drain.compactMap { drivers[$0] } }
            for driver in leaving { driver.eventLoop.execute { driver.value.drain() } }
        }
        for pause in actions.pauses { self.announce(pause) }
        if !actions.finished.isEmpty {
            self.publish(actions.finished.compactMap { self.recordDone($0.recipient, $0.outcome, site: nil) })
        }
        if !actions.returned.isEmpty || !actions.refused.isEmpty {
            self.inbox.withLock { inbox in
                inbox.returned += actions.returned
                inbox.refused += actions.refused
            }
            self.bookkeeping.notify()
        }
        if actions.recall { self.forEachDriver { $0.returnRevoked() } }
        if actions.mayStart { self.starting.notify() }
    }

    private func open(_ request: OpenRequest) {
        let context: NIOLoopBound<LoopContext>? = self.contexts.withLock { contexts in
            guard !contexts.loops.isEmpty else { return nil }
            contexts.next = (contexts.next + 1) % contexts.loops.count
            return contexts.loops[contexts.next]
        }
        guard let context else {
            return self.connectionEnded(request, .worked)  // Not running yet, or not any more.
        }
        context.eventLoop.execute {
            let driver = ConnectionDriver(request, satellite: self, context: context.value)
            let bound = NIOLoopBound(driver, eventLoop: context.eventLoop)
            self.drivers.withLock { $0[request.id] = bound }
            driver.start()
        }
    }

    /// Calls every driver on its loop.
    func forEachDriver(_ body: @escaping @Sendable (ConnectionDriver) -> Void) {
        for driver in self.drivers.withLock({ Array($0.values) }) {
            driver.eventLoop.execute { body(driver.value) }
        }
    }

    private func makeContexts() async throws -> [NIOLoopBound<LoopContext>] {
        var contexts: [NIOLoopBound<LoopContext>] = []
        for loop in self.group.makeIterator() {
            let context = loop.submit {
                let context = LoopContext(
                    loop: loop,
                    satellite: self,
                    cache: self.cache,
                    configuration: self.configuration
                )
                return NIOLoopBound(context, eventLoop: loop)
            }
            contexts.append(try await context.get())
        }
        return contexts
    }

    private static func makeClients(
        _ configuration: SatelliteConfiguration
    ) -> (encrypted: SMTPClientConfiguration, plaintext: SMTPClientConfiguration) {
        var timeouts = SMTPClientTimeouts()
        timeouts.connect = configuration.connectTimeout
        timeouts.finalDot = configuration.finalDotTimeout
        func make(_ tls: SMTPClientTLS) -> SMTPClientConfiguration {
            var client = SMTPClientConfiguration(heloName: configuration.heloName, tls: tls, timeouts: timeouts)
            client.maxMessagesPerConnection = configuration.messagesPerConnection
            client.idleTimeout = configuration.connectionIdle
            client.transactionDeadline = configuration.transactionDeadline
            client.localAddress = configuration.localAddress
            return client
        }
        return (make(configuration.usesTLS ? .opportunistic : .off), make(.off))
    }
}
