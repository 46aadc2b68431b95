// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore
import Synchronization

/// The loops behind the public API: what the satellites say, leases, starts, reports, schedules.
final class Engine: Sendable {
    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let configuration: MasterConfiguration
    private let time: MasterTime
    private let logger: Logger
    private let health: StoreHealth
    private let rates: RateWindow
    private let safeMode = SafeMode()
    private let reports: ReportIntake
    private let starts: StartIntake
    private let scheduler: MailingScheduler
    private let recountJob: RecountJob
    private let keyRequests = Mutex<[(session: SatelliteSession, key: BlobHash)]>([])
    private let keySignal = Signal()
    private let started: Timestamp
    let dispatcher: Dispatcher
    /// Notified when events may have been appended to the feed.
    let feedWatch = FeedWatch()

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        configuration: MasterConfiguration,
        time: MasterTime,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.configuration = configuration
        self.time = time
        self.logger = logger
        self.started = time.now()
        self.health = StoreHealth(configuration: configuration.intake, logger: logger)
        self.rates = RateWindow(time: time)
        self.reports = ReportIntake(
            store: store,
            channel: channel,
            directory: directory,
            configuration: configuration.intake,
            time: time,
            health: self.health,
            rates: self.rates,
            logger: logger
        )
        self.starts = StartIntake(
            store: store,
            channel: channel,
            directory: directory,
            time: time,
            health: self.health,
            logger: logger
        )
        self.scheduler = MailingScheduler(
            store: store,
            configuration: configuration,
            time: time,
            signal: Signal(),
            logger: logger
        )
        self.recountJob = RecountJob(store: store, configuration: configuration.upkeep, time: time, logger: logger)
        self.dispatcher = Dispatcher(
            store: store,
            channel: channel,
            directory: directory,
            configuration: configuration,
            time: time,
            rates: self.rates,
            safeMode: self.safeMode,
            logger: logger
        )
    }

    /// Why the store is unavailable or no mail may be sent; empty if neither is so.
    var problems: [String] {
        [self.health.problem, self.store.problem, self.safeMode.reason.map { "safe mode: \($0)" }].compactMap { $0 }
    }

    // MARK: The loops

    /// Enters safe mode if the store is a copy: its satellites may have sent what it believes unsent, and do not always
    /// notice, since one that finished a lease of the copied time has nothing of it left.
    func distrustCopy() {
        guard self.store.identity.isCopy else { return }
        self.safeMode.enter("the store is a restored or cloned copy", logger: self.logger)
    }

    /// Runs until the task is cancelled, then ends in order: refuse calls, stop granting, apply what was taken, stop.
    func run(gate: CallGate) async throws {
        let stop = Signal()
        // The bridge of the shutdown: this task is not cancelled with ours, so that it can end in order.
        let work = Task { await self.serve(until: stop, gate: gate) }
        await withTaskCancellationHandler {
            await work.value
        } onCancel: {
            gate.refuse()
            stop.notify()
        }
    }

    private func serve(until stop: Signal, gate: CallGate) async {
        let intakeEnded = Signal()
        await withTaskGroup { group in
            group.addTask { await self.listen() }
            group.addTask { await self.dispatch() }
            group.addTask { await self.keepSchedules() }
            group.addTask { await self.keepTime() }
            group.addTask { await self.retentionJob.run() }
            group.addTask { await self.recountJob.run() }
            group.addTask { await self.serveKeys() }
            group.addTask {
                await self.starts.run { decisions, satellite in
                    await self.dispatcher.decided(decisions, for: satellite)
                }
            }
            group.addTask {
                await self.intake()
                intakeEnded.notify()
            }
            await stop.wait()
            await gate.close()
            await self.dispatcher.stopGranting()
            self.reports.stop()
            await intakeEnded.wait()
            group.cancelAll()
        }
    }

    private func listen() async {
        for await event in self.channel.events {
            switch event {
            case .connected(let session, let handshake): await self.dispatcher.connected(session, handshake)
            case .message(let session, let message): await self.receive(message, from: session)
            case .disconnected(let session, let end):
                self.starts.ended(session)
                self.reports.ended(session)
                await self.dispatcher.ended(session, end)
            case .rejected: break  // The link has logged it.
            }
        }
    }

    private func receive(_ message: SatelliteMessage, from session: SatelliteSession) async {
        switch message {
        case .credit(let limits): await self.dispatcher.credit(session, limits)
        case .heartbeat(let load): await self.dispatcher.heard(session, load)
        case .leaseAccepted(let lease): await self.dispatcher.accepted(session, lease)
        case .returned(let lease, let entries): await self.dispatcher.returned(session, lease, entries)
        case .start(let lease, let entries):
            if self.safeMode.reason == nil { self.starts.add(lease, entries, from: session) }
        case .reports(let sequence, let reports): self.reports.add(reports, sequence: sequence, from: session)
        case .signingKeyRequest(let key):
            self.keyRequests.withLock { requests in
                // A satellite asks for few keys; one that asks without end is not served.
                if requests.count < 1_024 { requests.append((session, key)) }
            }
            self.keySignal.notify()
        case .handshake, .goodbye: break  // The link turns them into events of their own.
        }
    }

    private func dispatch() async {
        while !Task.isCancelled {
            do {
                let deadline = try await self.dispatcher.turn()
                self.health.succeeded("leasing")
                let leased = await self.dispatcher.takeNewlyLeased()
                if !leased.isEmpty { await self.scheduler.leasedFirst(leased) }
                await self.scheduler.mayBeComplete(await self.dispatcher.takeResolved())
                await self.dispatcher.signal.wait(until: deadline, by: self.time)
            } catch {
                await self.pause(after: error, while: "leasing")
            }
        }
    }

    private func keepSchedules() async {
        while !Task.isCancelled {
            do {
                let (effects, next) = try await self.scheduler.turn()
                self.health.succeeded("keeping schedules")
                await self.carryOut(effects)
                let latest = self.time.elapsed() + self.configuration.longestSleep
                let deadline = next.map { min(latest, self.time.elapsed(at: $0)) } ?? latest
                await self.scheduler.signal.wait(until: deadline, by: self.time)
            } catch {
                await self.pause(after: error, while: "keeping schedules")
            }
        }
    }

    /// Dates anew what waits longer than any retry may: at the start, since an earlier process may have gone by a wrong
    /// clock, and when a jump of the clock was followed.
    private func keepTime() async {
        var isDue = true
        while !Task.isCancelled {
            let now = self.time.now()
            if self.time.civil.takeFollowed() { isDue = true }
            if isDue {
                do {
                    let count = try await self.store.dateAnew(at: now)
                    isDue = false
                    if count > 0 {
                        self.logger.warning(
                            "recipients waited for longer than any retry does, because the clock was wrong; their next attempts get new times",
                            metadata: ["recipients": "\(count)"]
                        )
                        await self.dispatcher.workChanged()
                    }
                } catch is CancellationError {
                    return
                } catch {
                    self.logger.warning(
                        "recipients that wait cannot get new times now; it is tried again",
                        metadata: ["error": "\(error)"]
                    )
                }
            }
            // Cancelled is as good as over.
            try? await self.time.sleep(until: self.time.elapsed() + self.configuration.longestSleep)
        }
    }

    private var retentionJob: RetentionJob {
        RetentionJob(
            store: self.store,
            configuration: self.configuration.upkeep,
            time: self.time,
            logger: self.logger,
            deleted: { id, leases in
                await self.leasesRevoked(leases, because: .deleted)
                await self.mailingGone(id)
            }
        )
    }

    private func intake() async {
        await self.reports.run(
            generation: { await self.dispatcher.generation(of: $0) },
            applied: { work, result, generation in
                self.feedWatch.changed()
                await self.dispatcher.reported(
                    work.reports,
                    by: work.satellite,
                    result: result,
                    generation: generation
                )
                await self.scheduler.mayBeComplete(result.mailings)
            }
        )
    }

    private func serveKeys() async {
        while !Task.isCancelled {
            guard let request = self.keyRequests.withLock({ $0.first }) else {
                await self.keySignal.wait()
                continue
            }
            do {
                let pem = try await self.store.signingKey(request.key)
                self.health.succeeded("reading a signing key")
                _ = await self.channel.send(.signingKey(request.key, pem: pem), to: request.session)
                self.keyRequests.withLock { _ = $0.removeFirst() }
            } catch let error as StoreError where !error.isOutage {
                self.logger.error(
                    "a signing key cannot be read; messages that need it are not sent",
                    metadata: ["key": "\(request.key)", "error": "\(error)"]
                )
                _ = await self.channel.send(.signingKey(request.key, pem: nil), to: request.session)
                self.keyRequests.withLock { _ = $0.removeFirst() }
            } catch {
                await self.pause(after: error, while: "reading a signing key")
            }
        }
    }

    private func pause(after error: any Error, while work: String) async {
        if error is CancellationError { return }
        let wait = self.health.failed(error, while: work)
        // Cancelled is as good as over.
        try? await self.time.sleep(until: self.time.elapsed() + wait)
    }

    private func carryOut(_ effects: MailingScheduler.Effects) async {
        self.feedWatch.changed()
        for id in effects.stopped { await self.dispatcher.mailingStopped(id) }
        if !effects.revoked.isEmpty { await self.dispatcher.revoked(effects.revoked, because: .ended) }
    }

    /// Waits until events may have been appended after a version, or a while has passed.
    func waitForEvents(past version: FeedVersion, atMost longest: Duration) async {
        let deadline = self.time.elapsed() + longest
        await withTaskGroup { group in
            group.addTask { await self.feedWatch.wait(past: version) }
            // A sleep that is cancelled has nothing to report.
            group.addTask { try? await self.time.sleep(until: deadline) }
            await group.next()
            group.cancelAll()
        }
    }

    // MARK: What the operations have done

    /// A mailing was changed, started or paused.
    ///
    /// - Parameters:
    ///   - mailing: As it stands now.
    ///   - closesAtOnce: The caller has just allowed it to close, so that no grace is due.
    /// - Throws: `StoreError`.
    func mailingChanged(_ mailing: Mailing, closesAtOnce: Bool) async throws {
        if mailing.status == .paused { await self.dispatcher.mailingStopped(mailing.id) }
        await self.dispatcher.workChanged()
        if closesAtOnce, mailing.isComplete, try await self.finish(mailing.id, grace: .zero) { return }
        await self.scheduler.changed(mailing)
    }

    /// Forgets a deleted mailing.
    func mailingGone(_ id: MailingID) async {
        await self.dispatcher.mailingStopped(id)
        await self.scheduler.forget(id)
    }

    /// Ends a mailing now.
    func end(_ id: MailingID) async throws -> Mailing {
        let (mailing, effects) = try await self.scheduler.end(id)
        await self.carryOut(effects)
        self.scheduler.signal.notify()
        return mailing
    }

    /// Finishes a mailing if it is complete.
    func finish(_ id: MailingID, grace: Duration) async throws -> Bool {
        let isFinished = try await self.scheduler.finish(id, grace: grace)
        if isFinished { await self.dispatcher.workChanged() }
        return isFinished
    }

    /// Recipients were added.
    func recipientsAdded(to mailing: Mailing, test: Bool) async {
        if test || mailing.status == .ready || mailing.status == .running { await self.dispatcher.workChanged() }
    }

    /// Recipients were requeued or resolved.
    func workChanged(of id: MailingID?) async {
        self.feedWatch.changed()
        if let id { await self.scheduler.mayBeComplete([id]) }
        await self.dispatcher.workChanged()
    }

    /// Leases were revoked by an operation.
    func leasesRevoked(_ leases: [RevokedLease], because reason: RevocationReason) async {
        await self.dispatcher.revoked(leases, because: reason)
    }

    /// Records of satellites changed.
    func satellitesChanged() async { await self.dispatcher.satellitesChanged() }

    /// Removes a satellite; see ``Master/removeSatellite(_:force:)``.
    func removeSatellite(_ id: SatelliteID, force: Bool) async throws {
        try await self.dispatcher.remove(id, force: force)
    }

    /// Enters safe mode because the store has proved to be an old copy.
    func storeIsBehind(_ reason: String) async {
        if self.safeMode.enter(reason, logger: self.logger) { await self.dispatcher.dropAll() }
    }

    /// Throws in safe mode, in which nothing may be sent.
    func requireTrustedStore() throws {
        guard let reason = self.safeMode.reason else { return }
        throw MasterError(.safeMode, "nothing is sent until the operator confirms the store: \(reason)")
    }

    /// Leaves safe mode, because the operator has confirmed the store.
    func leaveSafeMode() async throws {
        guard self.safeMode.reason != nil else { return }
        // What its satellites may still hold of the forgotten time must not be given out a second time.
        try await self.store.skipLeaseSerials(through: self.safeMode.highestSeen)
        try await self.store.adopt()
        self.safeMode.confirm()
        self.logger.notice("safe mode ended: the operator confirmed the store")
        await self.dispatcher.workChanged()
    }

    // MARK: Status

    /// What is known now.
    func status(stopping: Bool) async -> MasterStatus {
        var status = MasterStatus()
        status.version = self.configuration.version
        status.storeID = self.store.identity.storeID
        status.term = self.store.identity.term.rawValue
        status.startedAt = self.started.rfc3339
        status.safeMode = self.safeMode.reason
        status.problems = self.problems
        status.ready = status.problems.isEmpty && !stopping
        await self.dispatcher.describe(&status)
        let (queued, oldest) = self.reports.waiting
        status.queuedReports = queued
        status.reportLagSeconds = oldest.map { Double(Self.milliseconds(self.time.elapsed() - $0)) / 1000 } ?? 0
        status.droppedReports = self.reports.droppedCount
        status.unstartedReports = self.reports.unstartedCount
        status.counterDrift = self.recountJob.drift
        let rates = self.rates.lastMinute
        status.attemptsLastMinute = rates.attempts
        status.deliveredLastMinute = rates.delivered
        status.deferredLastMinute = rates.deferred
        status.failedLastMinute = rates.failed
        status.leasedLastMinute = rates.leased
        do {
            let summary = try await self.store.summary(at: self.time.now())
            status.mailings = Dictionary(summary.mailings.map { ("\($0.key)", $0.value) }) { $0 + $1 }
            status.pending = summary.pending
            status.uncertain = summary.uncertain
            status.leased = summary.leased
            status.feedHead = summary.feedHead
            if let oldest = summary.oldestLease {
                status.oldestLeaseSeconds = max(0, self.time.now().duration(since: oldest).components.seconds)
            }
        } catch {
            status.ready = false
            status.problems.append("the store cannot be read: \(error)")
        }
        if let problem = self.time.civil.problem { status.problems.append(problem) }
        status.warnings = await self.scheduler.warnings
        if status.unroutable > 0 {
            status.problems.append(
                "\(status.unroutable) recipients have no satellite that may deliver to them: check the satellites' groups and domain affinities"
            )
        }
        if status.unstartedReports > 0 {
            status.problems.append(
                "satellites made \(status.unstartedReports) attempts without permission to start: see the log, and report it, "
                    + "since recipients may have been sent to twice"
            )
        }
        if status.uncertain > 0 {
            status.problems.append(
                "\(status.uncertain) recipients are uncertain: resolve them with `telstar mailing resolve`"
            )
        }
        return status
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}
