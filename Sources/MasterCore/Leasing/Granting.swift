// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore

/// The dispatcher's part that grants: reads the backlog, plans claims, claims leases and sends the grants.
///
/// What it remembers of the backlog is its own, and the other parts only notify it of changes. The ledgers are shared with
/// them, so it lives in the isolation of the ``Dispatcher``.
final class Granting {
    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let directory: SatelliteDirectory
    private let ledgers: SatelliteLedgers
    private let configuration: MasterConfiguration
    private let time: MasterTime
    private let rates: RateWindow
    private let safeMode: SafeMode
    private let signal: Signal
    private let logger: Logger

    private var planner: LeasePlanner
    private var backlogIsStale = true
    private var backlogRead: Duration?
    /// The civil time of that reading.
    private var backlogTimestamp: Timestamp?
    private var nextDue: Timestamp?
    private var nextDueIsKnown = false
    private var isGranting = true
    private var lastProgress: Duration
    /// Leases that the link could not carry, and when they are revoked.
    private var unsendable: [(serial: LeaseSerial, due: Duration)] = []
    /// Mailings whose latest lease was too long for the link, with its size.
    private var tooLong: [MailingID: Int] = [:]
    /// Mailings with recipients that cannot be read, and the first error.
    private var damaged: [MailingID: String] = [:]
    /// Mailings that got their first leases; the mailing scheduler wants to know.
    private var newlyLeased: Set<MailingID> = []
    private var everLeased: Set<MailingID> = []

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        ledgers: SatelliteLedgers,
        configuration: MasterConfiguration,
        time: MasterTime,
        rates: RateWindow,
        safeMode: SafeMode,
        signal: Signal,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.directory = directory
        self.ledgers = ledgers
        self.configuration = configuration
        self.time = time
        self.rates = rates
        self.safeMode = safeMode
        self.signal = signal
        self.logger = logger
        self.planner = LeasePlanner(
            maximumRecipients: configuration.leasing.maximumRecipients,
            minimumShare: configuration.leasing.minimumShare,
            maximumBytes: configuration.leasing.maximumBytes
        )
        self.lastProgress = time.elapsed()
    }

    // MARK: What happens elsewhere

    /// Marks the backlog as stale without notifying the loop, for callers within a turn.
    func backlogChanged() { self.backlogIsStale = true }

    /// Marks the backlog as stale and notifies the loop.
    func workChanged() {
        self.backlogChanged()
        self.signal.notify()
    }

    /// Drops what is planned for a mailing, because it was stopped or changed.
    func mailingStopped(_ id: MailingID) {
        self.planner.drop(id)
        self.tooLong[id] = nil
        self.damaged[id] = nil
        self.workChanged()
    }

    /// Reports were applied.
    func reported(_ result: IntakeResult) {
        if result.applied > 0 { self.lastProgress = self.time.elapsed() }
        if let retry = result.earliestRetry {
            if retry <= self.time.now() { self.backlogIsStale = true }
            self.nextDue = min(self.nextDue ?? retry, retry)
        }
    }

    /// Grants nothing from now on.
    func stop() { self.isGranting = false }

    // MARK: Granting

    /// Grants what the backlog and the satellites' credit allow.
    func grant() async throws {
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
        } catch let error as StoreError where error.code == .corrupt {
            return try await self.claimSingly(batch, after: error)
        } catch {
            // What was planned and not claimed is still in the store.
            self.readAgainAtOnce()
            throw error
        }
        return await self.take(grants, of: batch)
    }

    /// Claims one request after the other, because one of them cannot be claimed at all: it must not hold up the others.
    private func claimSingly(_ batch: ClaimBatch, after failure: StoreError) async throws -> Int {
        guard let request = batch.requests.first else { return 0 }
        guard batch.requests.count > 1 else {
            self.noteDamage(failure, of: request)
            if self.planner.claimed(request, granted: 0) { self.backlogIsStale = true }
            return 0
        }
        var granted = 0
        for single in ClaimBatch.singly(batch) { granted += try await self.claim(single) }
        return granted
    }

    /// Logs once for each mailing that recipients of it cannot be read, which is a problem in the status until they can.
    private func noteDamage(_ failure: StoreError, of request: ClaimRequest) {
        guard self.damaged.updateValue("\(failure)", forKey: request.mailing) == nil else { return }
        self.logger.critical(
            "recipients cannot be leased, because what is stored of them is damaged; others are leased",
            metadata: [
                "mailing": "\(request.mailing)", "bucket": "\(request.bucket.rawValue)", "error": "\(failure)",
            ]
        )
    }

    /// Takes note of what was claimed and sends it; returns how many recipients that is.
    private func take(_ grants: [LeaseGrant], of batch: ClaimBatch) async -> Int {
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

    /// Sends a grant, unless its satellite has gone in the meantime: then the lease is resolved at its next handshake, or when
    /// it has been away too long.
    private func hand(_ grant: LeaseGrant, to satellite: SatelliteID) async {
        var grant = grant
        grant.returnPathDomain = self.configuration.returnPathDomain
        let now = self.time.elapsed()
        self.lastProgress = now
        self.rates.add(RateWindow.Counts(leased: grant.entries.count))
        if self.everLeased.insert(grant.mailing).inserted { self.newlyLeased.insert(grant.mailing) }
        guard let ledger = self.ledgers.bySatellite[satellite] else {
            // The satellite was removed while its lease was being claimed.
            self.unsendable.append((grant.serial, .zero))
            self.signal.notify()
            return
        }
        guard let session = ledger.session else { return }
        self.ledgers.bySatellite[satellite]?.granted(grant, now: now)
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
                candidates: self.ledgers.candidates(among: self.directory),
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

    private func readAgainAtOnce() {
        self.backlogIsStale = true
        self.backlogRead = nil
    }

    private var mayGrant: Bool { self.isGranting && self.safeMode.reason == nil }

    private func rooms() -> [SatelliteID: LeasePlanner.Room] { self.ledgers.rooms(self.configuration.leasing) }

    /// Whether a satellite has to acknowledge grants before it gets more.
    private func isFull(_ id: SatelliteID) -> Bool {
        (self.ledgers.bySatellite[id]?.unacceptedBytes ?? 0) >= self.configuration.leasing.maximumUnacceptedBytes
    }

    /// Whether a satellite has room and nothing in its queue.
    private var hasSpareCapacity: Bool {
        self.rooms().contains { id, room in
            room.recipients.contains { $0.value > 0 && self.planner.pending(id, $0.key) == 0 }
        }
    }

    // MARK: Deadlines

    /// When the next decision on grants is due; also watches progress.
    func deadline() async throws -> Duration {
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
        if self.isStalled(at: elapsed, after: .zero) {
            deadline = min(deadline, self.lastProgress + self.configuration.stallAlarm)
        }
        return deadline
    }

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
        self.readAgainAtOnce()
    }

    private func isStalled(at elapsed: Duration, after wait: Duration) -> Bool {
        self.isGranting && self.planner.backlog > 0 && elapsed - self.lastProgress >= wait
            && self.rooms().values.contains { $0.recipients.contains { $0.value > 0 } }
    }

    // MARK: What others may know

    /// Takes the mailings that were leased for the first time.
    func takeNewlyLeased() -> Set<MailingID> {
        defer { self.newlyLeased = [] }
        return self.newlyLeased
    }

    /// Takes the leases that the link could not carry and that are to be revoked now.
    func takeUnsendable() -> [LeaseSerial] {
        let now = self.time.elapsed()
        let due = self.unsendable.filter { $0.due <= now }.map(\.serial)
        self.unsendable.removeAll { $0.due <= now }
        return due
    }

    /// Keeps leases that could not be revoked for the next turn.
    func keepUnsendable(_ serials: [LeaseSerial]) { self.unsendable += serials.map { ($0, .zero) } }

    /// Adds the backlog to the status, the leases that were too long, and what cannot be leased.
    func describe(_ status: inout MasterStatus) {
        status.backlog = self.planner.backlog
        status.unroutable = self.planner.unroutable
        for (mailing, bytes) in self.tooLong.sorted(by: { $0.key < $1.key }) {
            status.problems.append(
                "a lease of mailing \(mailing) takes \(bytes) bytes, too many for the cluster link; it is granted in "
                    + "shorter ones"
            )
        }
        for (mailing, error) in self.damaged.sorted(by: { $0.key < $1.key }) {
            status.problems.append("recipients of mailing \(mailing) cannot be leased: \(error)")
        }
    }
}
