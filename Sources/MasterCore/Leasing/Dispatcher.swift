// SPDX-License-Identifier: Apache-2.0
//
// One loop makes every decision about leases, one after the other: answer handshakes, revoke, plan, claim, grant. Whatever
// happens elsewhere only changes what this actor knows and notifies its loop, so that no two decisions ever cross while one
// waits for the store.

import ClusterLink
import Logging
import MailingModel
import MasterStore

/// Leases recipients to satellites, and revokes leases.
actor Dispatcher {
    let store: MailingStore
    let channel: any SatelliteChannel
    let directory: SatelliteDirectory
    let configuration: MasterConfiguration
    let time: MasterTime
    let rates: RateWindow
    let safeMode: SafeMode
    let logger: Logger
    nonisolated let signal = Signal()

    var ledgers: [SatelliteID: SatelliteLedger] = [:]
    var pendingHandshakes: [(session: SatelliteSession, handshake: Handshake)] = []
    var returns: [(session: SatelliteSession, lease: LeaseSerial, entries: EntryBitmap)] = []
    var planner: LeasePlanner
    var backlogIsStale = true
    private var backlogRead: Duration?
    /// The civil time of that reading.
    private var backlogTimestamp: Timestamp?
    private var nextDue: Timestamp?
    private var nextDueIsKnown = false
    private var isGranting = true
    private var hasStarted = false
    private var lastProgress: Duration
    /// Leases that the link could not carry, and when they are revoked.
    private var unsendable: [(serial: LeaseSerial, due: Duration)] = []
    /// Mailings whose latest lease was too long for the link, with its size.
    private var tooLong: [MailingID: Int] = [:]
    /// Mailings that got their first leases; the mailing scheduler wants to know.
    private(set) var newlyLeased: Set<MailingID> = []
    private var everLeased: Set<MailingID> = []
    /// Mailings with recipients that were resolved here, and that may be complete by that.
    var resolvedMailings: Set<MailingID> = []
    /// The satellites' processes with which a restored store was reconciled.
    var reconciled: [SatelliteID: UInt64] = [:]

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        configuration: MasterConfiguration,
        time: MasterTime,
        rates: RateWindow,
        safeMode: SafeMode,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.directory = directory
        self.configuration = configuration
        self.time = time
        self.rates = rates
        self.safeMode = safeMode
        self.logger = logger
        self.planner = LeasePlanner(
            maximumRecipients: configuration.leasing.maximumRecipients,
            minimumShare: configuration.leasing.minimumShare,
            maximumBytes: configuration.leasing.maximumBytes
        )
        self.lastProgress = time.elapsed()
    }

    // MARK: The loop

    /// Makes every decision that is due.
    ///
    /// - Returns: When to look again at the latest, on the measuring clock.
    /// - Throws: What the store threw; calling again repeats what was not done.
    func turn() async throws -> Duration {
        try await self.findAbsent()
        // Before the handshakes: a satellite that has returned a lease does not name it any more.
        try await self.requeueReturned()
        try await self.answerHandshakes()
        try await self.revokeOverdue()
        try await self.recount()
        try await self.grant()
        return try await self.deadline()
    }

    /// Stops granting leases.
    func stopGranting() { self.isGranting = false }

    // MARK: What happens elsewhere

    /// Marks the backlog as stale, because work was added or removed.
    func workChanged() {
        self.backlogIsStale = true
        self.signal.notify()
    }

    /// Drops what is planned for a mailing, because it was stopped or changed.
    func mailingStopped(_ id: MailingID) {
        self.planner.drop(id)
        self.tooLong[id] = nil
        self.workChanged()
    }

    /// Returns and forgets the mailings that were leased for the first time.
    func takeNewlyLeased() -> Set<MailingID> {
        defer { self.newlyLeased = [] }
        return self.newlyLeased
    }

    /// Takes the mailings that may be complete because recipients of theirs were resolved.
    func takeResolved() -> Set<MailingID> {
        defer { self.resolvedMailings = [] }
        return self.resolvedMailings
    }

    /// Records the credit that a satellite reports.
    func credit(_ session: SatelliteSession, _ limits: [DeliveryClass: Int]) {
        self.change(session) { $0.credit(limits) }
        self.signal.notify()
    }

    /// Records that a satellite has journaled a lease.
    func accepted(_ session: SatelliteSession, _ lease: LeaseSerial) {
        self.change(session) { $0.accepted(lease) }
        self.signal.notify()
    }

    /// Records the load that a satellite reports.
    func heard(_ session: SatelliteSession, _ load: SatelliteLoad) {
        self.change(session) { $0.load = load }
    }

    /// Queues entries that a satellite returns.
    func returned(_ session: SatelliteSession, _ lease: LeaseSerial, _ entries: EntryBitmap) {
        self.change(session) { _ in }
        self.returns.append((session, lease, entries))
        self.signal.notify()
    }

    /// The generation of a satellite's counts, to be read before reports are applied.
    func generation(of satellite: SatelliteID) -> Int { self.ledgers[satellite]?.generation ?? 0 }

    /// Reports were applied.
    func reported(
        _ reports: [DeliveryReport],
        by satellite: SatelliteID,
        result: IntakeResult,
        generation: Int
    ) {
        self.ledgers[satellite]?.reported(reports, closed: result.closedLeases, generation: generation)
        if result.applied > 0 { self.lastProgress = self.time.elapsed() }
        if let retry = result.earliestRetry {
            if retry <= self.time.now() { self.backlogIsStale = true }
            self.nextDue = min(self.nextDue ?? retry, retry)
        }
        self.signal.notify()
    }

    /// The store decided on start requests.
    func decided(_ decisions: [StartDecision], for satellite: SatelliteID) {
        for decision in decisions { self.ledgers[satellite]?.decided(decision) }
        if self.ledgers[satellite]?.needsRecount == true { self.signal.notify() }
    }

    /// Leases were revoked: notifies their satellites.
    func revoked(_ leases: [RevokedLease], because reason: RevocationReason) async {
        var messages: [(SatelliteSession, LeaseSerial)] = []
        for lease in leases {
            self.ledgers[lease.satellite]?.revoked(lease.serial)
            if let session = self.ledgers[lease.satellite]?.session { messages.append((session, lease.serial)) }
        }
        self.workChanged()
        for (session, serial) in messages { _ = await self.channel.send(.revoke(serial, reason), to: session) }
    }

    /// Records of satellites changed: those that may no longer be connected are dropped.
    func satellitesChanged() async {
        self.workChanged()
        for (id, ledger) in self.ledgers {
            guard let session = ledger.session, self.directory.record(publicKey: session.publicKey)?.id != id else {
                continue
            }
            await self.channel.drop(session)
        }
    }

    /// Every session must repeat the handshake, and is then rejected or welcomed by what is true now.
    ///
    /// - Parameter excepted: A session that is being answered already.
    func dropAll(except excepted: SatelliteSession? = nil) async {
        for session in self.ledgers.values.compactMap(\.session) where session != excepted {
            await self.channel.drop(session)
        }
    }

    func change(_ session: SatelliteSession, _ change: (inout SatelliteLedger) -> Void) {
        guard var ledger = self.ledgers[session.satellite], ledger.session == session else { return }
        ledger.lastSeen = self.time.now()
        change(&ledger)
        self.ledgers[session.satellite] = ledger
    }

    // MARK: Granting

    private func findAbsent() async throws {
        guard !self.hasStarted else { return }
        // A satellite that holds leases and does not come back is away since the master started, and no sooner.
        let now = self.time.elapsed()
        for satellite in Set(try await self.store.leases(of: nil).map(\.satellite))
        where self.ledgers[satellite] == nil {
            self.ledgers[satellite] = SatelliteLedger(id: satellite, absentSince: now)
        }
        self.hasStarted = true
    }

    private func recount() async throws {
        let due = self.ledgers.filter { $0.value.needsRecount && $0.value.isWelcomed }
        guard !due.isEmpty else { return }
        // One reading for all: while one after the other was read, the first would change again.
        let only = due.count == 1 ? due.first?.key : nil
        let summaries = Dictionary(grouping: try await self.store.leases(of: only), by: \.satellite)
        for (id, old) in due {
            // What was read may be older than what was counted meanwhile; then it is asked again in the next turn.
            guard let ledger = self.ledgers[id], ledger.changes == old.changes else {
                self.signal.notify()
                continue
            }
            self.ledgers[id]?.recount(summaries[id] ?? [], now: self.time.elapsed())
        }
    }

    private func grant() async throws {
        while self.mayGrant {
            try await self.readBacklog()
            let requests = self.planner.plan(
                self.rooms(),
                maximumRequests: self.configuration.leasing.maximumRequests
            )
            if requests.isEmpty {
                // Whoever has room has emptied the rows that were read; others may have come since.
                guard self.backlogIsStale, self.hasSpareCapacity else { return }
                self.backlogRead = nil
                continue
            }
            var granted = 0
            for var batch in ClaimBatch.batches(of: requests) {
                while true {
                    // What a satellite has not taken up yet stays bounded, however long its recipients are; the rest is still
                    // in the store.
                    if batch.leaveOut({ self.isFull($0) }) { self.readAgainAtOnce() }
                    let part = batch.takeFirst(upTo: self.configuration.leasing.claimedBytes) {
                        self.planner.expectedBytes(of: $0)
                    }
                    guard let part else { break }
                    granted += try await self.claim(part)
                }
            }
            // Rows that give nothing are read again a little later, not at once.
            guard granted > 0 else { return }
        }
    }

    /// Claims leases and sends the grants; returns how many recipients were granted.
    private func claim(_ batch: ClaimBatch) async throws -> Int {
        CrashPoint.reached(.masterBeforeClaim)
        let grants: [LeaseGrant]
        do {
            grants = try await self.store.claim(
                batch.requests,
                at: self.time.now(),
                lifetime: self.configuration.leasing.lifetime
            )
        } catch {
            // What was planned and not claimed is still in the store.
            self.readAgainAtOnce()
            throw error
        }
        CrashPoint.reached(.masterAfterClaim)
        for (request, count) in batch.outcomes(of: grants) where self.planner.claimed(request, granted: count) {
            self.backlogIsStale = true
        }
        var granted = 0
        for grant in grants {
            granted += grant.entries.count
            self.planner.learn(grant.mailing, bytes: grant.bytes, recipients: grant.entries.count)
            guard let satellite = batch.satellite(of: grant) else { continue }
            await self.hand(grant, to: satellite)
        }
        return granted
    }

    /// Whether a satellite has to acknowledge grants before it gets more.
    private func isFull(_ id: SatelliteID) -> Bool {
        (self.ledgers[id]?.unacceptedBytes ?? 0) >= self.configuration.leasing.maximumUnacceptedBytes
    }

    private func readAgainAtOnce() {
        self.backlogIsStale = true
        self.backlogRead = nil
    }

    private var mayGrant: Bool { self.isGranting && self.safeMode.reason == nil }

    /// Sends a grant, unless its satellite has gone in the meantime: then the lease is resolved at its next handshake, or when
    /// it has been away too long.
    private func hand(_ grant: LeaseGrant, to satellite: SatelliteID) async {
        var grant = grant
        grant.returnPathDomain = self.configuration.returnPathDomain
        let now = self.time.elapsed()
        self.lastProgress = now
        self.rates.add(RateWindow.Counts(leased: grant.entries.count))
        if self.everLeased.insert(grant.mailing).inserted { self.newlyLeased.insert(grant.mailing) }
        guard let ledger = self.ledgers[satellite] else {
            // The satellite was removed while its lease was being claimed.
            self.unsendable.append((grant.serial, .zero))
            self.signal.notify()
            return
        }
        guard let session = ledger.session else { return }
        self.ledgers[satellite]?.granted(grant, now: now)
        switch await self.channel.send(.grant(grant), to: session) {
        case .queued: self.tooLong[grant.mailing] = nil
        case .notConnected: break
        case .tooLarge:
            self.logger.warning(
                "a lease is too long for the link; it is revoked and granted again in shorter ones",
                metadata: ["lease": "\(grant.serial)", "mailing": "\(grant.mailing)"]
            )
            self.planner.shorten(grant.mailing, from: grant.entries.count)
            // Revoked and planned anew in the next turn, at once; one recipient alone would be refused again.
            let isAlone = grant.entries.count == 1
            self.unsendable.append((grant.serial, isAlone ? now + self.configuration.longestSleep : .zero))
            self.tooLong[grant.mailing] = grant.bytes
            self.signal.notify()
        }
    }

    /// Reads the backlog if that could change a decision; never more often than a few times a second while whoever has
    /// credit still has rows to be served from.
    private func readBacklog() async throws {
        guard self.backlogIsStale else { return }
        let now = self.time.elapsed()
        if let read = self.backlogRead, now - read < Self.readInterval, !self.hasSpareCapacity { return }
        self.backlogIsStale = false
        do {
            let timestamp = self.time.now()
            let rows = try await self.store.backlog(at: timestamp)
            self.planner.load(
                rows,
                candidates: self.candidates,
                known: self.directory.records.filter(\.enabled)
            )
            self.backlogRead = now
            self.backlogTimestamp = timestamp
            self.nextDueIsKnown = false
        } catch {
            self.backlogIsStale = true
            throw error
        }
    }

    /// The interval between two reads of the backlog while rows of the last are left.
    private static let readInterval: Duration = .milliseconds(250)

    private var candidates: [LeasePlanner.Candidate] {
        self.ledgers.values.filter(\.isWelcomed).sorted { $0.id < $1.id }.compactMap { ledger in
            guard let record = self.directory[ledger.id], record.enabled else { return nil }
            return LeasePlanner.Candidate(
                id: record.id,
                group: record.group,
                weight: record.weight,
                affinity: record.affinity
            )
        }
    }

    private func rooms() -> [SatelliteID: LeasePlanner.Room] {
        self.ledgers.mapValues { ledger in
            ledger.room(
                maximumLease: self.configuration.leasing.maximumRecipients,
                maximumUnaccepted: self.configuration.leasing.maximumUnaccepted,
                maximumUnacceptedBytes: self.configuration.leasing.maximumUnacceptedBytes
            )
        }
    }

    /// Whether a satellite has room and nothing in its queue.
    private var hasSpareCapacity: Bool {
        self.rooms().contains { id, room in
            room.recipients.contains { $0.value > 0 && self.planner.pending(id, $0.key) == 0 }
        }
    }

    // MARK: Deadlines

    /// When the next decision is due; also watches progress.
    private func deadline() async throws -> Duration {
        let now = self.time.now()
        let elapsed = self.time.elapsed()
        self.watchProgress(elapsed)
        if let due = self.nextDue, due <= now {
            self.backlogIsStale = true
            self.nextDueIsKnown = false
        }
        if !self.nextDueIsKnown {
            // What became due after the backlog was read is not in it, so that is where the search begins.
            let start = self.backlogIsStale ? now : min(now, self.backlogTimestamp ?? now)
            self.nextDueIsKnown = true
            self.nextDue = try await self.store.nextDue(after: start, finishGrace: self.configuration.finishGrace)
        }
        var deadline = elapsed + self.configuration.longestSleep
        if let due = self.nextDue { deadline = min(deadline, self.time.elapsed(at: due)) }
        if self.backlogIsStale, self.mayGrant {
            deadline = min(deadline, (self.backlogRead ?? elapsed) + Self.readInterval)
        }
        for lease in self.unsendable { deadline = min(deadline, max(elapsed, lease.due)) }
        for ledger in self.ledgers.values {
            if let sent = ledger.oldestUnaccepted {
                deadline = min(deadline, sent + self.configuration.leasing.acceptance)
            }
            if let since = ledger.absentSince {
                let wait = self.configuration.leasing.lifetime
                deadline = min(deadline, since + (ledger.isRevoked ? self.configuration.leasing.quarantine : wait))
            }
        }
        if self.isStalled(at: elapsed, after: .zero) {
            deadline = min(deadline, self.lastProgress + self.configuration.stallAlarm)
        }
        return deadline
    }

    // MARK: Progress

    /// A mailing that runs, has due recipients, and does not advance although a satellite would take them, must not stay
    /// so: everything that was remembered against it is forgotten and read again.
    private func watchProgress(_ elapsed: Duration) {
        guard self.isStalled(at: elapsed, after: self.configuration.stallAlarm) else { return }
        self.logger.warning(
            "recipients are due and a satellite has credit, but nothing was leased or reported for a while; the backlog is planned again",
            metadata: ["backlog": "\(self.planner.backlog)", "unroutable": "\(self.planner.unroutable)"]
        )
        self.lastProgress = elapsed
        self.planner.forgetRefusals()
        self.backlogIsStale = true
        self.backlogRead = nil
    }

    private func isStalled(at elapsed: Duration, after wait: Duration) -> Bool {
        self.isGranting && self.planner.backlog > 0 && elapsed - self.lastProgress >= wait
            && self.rooms().values.contains { $0.recipients.contains { $0.value > 0 } }
    }

    // MARK: What others may know

    /// Leases that the link could not carry and that are to be revoked now.
    func takeUnsendable() -> [LeaseSerial] {
        let now = self.time.elapsed()
        let due = self.unsendable.filter { $0.due <= now }.map(\.serial)
        self.unsendable.removeAll { $0.due <= now }
        return due
    }

    func keepUnsendable(_ serials: [LeaseSerial]) { self.unsendable += serials.map { ($0, .zero) } }

    /// Adds this actor's state to the status.
    func describe(_ status: inout MasterStatus) {
        status.backlog = self.planner.backlog
        status.unroutable = self.planner.unroutable
        for (mailing, bytes) in self.tooLong.sorted(by: { $0.key < $1.key }) {
            status.problems.append(
                "a lease of mailing \(mailing) takes \(bytes) bytes, too many for the cluster link; it is granted in "
                    + "shorter ones"
            )
        }
        status.satellites = self.directory.records.map { record in
            let ledger = self.ledgers[record.id]
            let load = ledger?.load ?? SatelliteLoad()
            return MasterStatus.Satellite(
                id: record.id.rawValue,
                serial: record.serial,
                group: record.group,
                enabled: record.enabled,
                connected: ledger?.isWelcomed ?? false,
                draining: load.draining,
                version: record.version,
                lastSeenAt: ledger?.lastSeen?.rfc3339,
                outstanding: ledger?.outstanding ?? 0,
                credit: ledger?.limit ?? 0,
                waiting: load.waiting,
                started: load.started,
                connections: load.connections,
                unacknowledgedReports: load.unacknowledgedReports,
                attemptsLastMinute: load.attemptsLastMinute
            )
        }
    }
}
