// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import SatelliteJournal
import Synchronization

extension Satellite {
    /// All long-lived work, until one part of it ends.
    func serve() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.uplink.run() }
            group.addTask { try await self.listen() }
            group.addTask { try await self.keepBooks() }
            group.addTask { await self.prepareLeases() }
            group.addTask { await self.requestStarts() }
            group.addTask { await self.report() }
            group.addTask { await self.tick() }
            group.addTask { await self.awaitShutdown() }
            let end = await group.nextResult()
            group.cancelAll()
            // A lease in preparation may wait for a signing key that no master is there to send.
            await self.keys.stop()
            try end?.get()
        }
    }

    // MARK: From the master

    private func listen() async throws {
        while let event = await self.uplink.nextEvent() {
            switch event {
            case .connected(let welcome, let connection): await self.connected(welcome, connection)
            case .message(let message): try await self.received(message)
            case .disconnected(let reason):
                self.logger.warning("the master is away; started recipients go on", metadata: ["reason": "\(reason)"])
                self.scheduler.withLock { $0.disconnected() }
                self.outbox.withLock { $0.disconnected() }
            case .failed: break  // The link has logged it.
            }
        }
        guard Task.isCancelled || self.condition.withLock({ $0.isStopping }) else {
            throw SatelliteError(.linkEnded, "the link to the master has ended")
        }
    }

    private func connected(_ welcome: Welcome, _ connection: UInt64) async {
        self.logger.info("accepted by the master", metadata: ["term": "\(welcome.term.rawValue)"])
        self.condition.withLock { $0.rejection = nil }
        let known = Set(welcome.knownLeases)
        let forgotten = self.scheduler.withLock { scheduler in
            scheduler.isConnected = true
            return scheduler.leases.keys.filter { !known.contains($0) }.sorted()
        }
        for lease in forgotten {
            self.logger.warning("the master no longer knows a lease", metadata: ["lease": "\(lease)"])
            self.change { scheduler, _ in scheduler.abandon(lease) }
        }
        self.takeUpRecovered(isDistrusted: welcome.journalIsDistrusted)
        // A shutdown that began without a master has kept what it could not give back.
        if self.scheduler.withLock({ $0.isDraining }) { self.change { scheduler, _ in scheduler.drain() } }
        await self.sendCredit()
        for (lease, entries) in self.journal.returnedEntries where known.contains(lease) {
            await self.uplink.transmit(.returned(lease, neverStarted: entries))
        }
        self.outbox.withLock { $0.connected(connection, now: .now) }
        self.reporting.notify()
        self.starting.notify()
    }

    /// Goes on with what an earlier process had started, or reports it as uncertain if the master has seen a newer journal.
    private func takeUpRecovered(isDistrusted: Bool) {
        let recovered = self.recovered.withLock { recovered in
            defer { recovered = [] }
            return recovered
        }
        let isFirst = self.condition.withLock { condition in
            defer { condition.wasWelcomed = true }
            return !condition.wasWelcomed
        }
        // What the master says of a process once, it says at each of its connections.
        let isNews = self.condition.withLock { condition in
            defer { condition.isDistrusted = condition.isDistrusted || isDistrusted }
            return isDistrusted && !condition.isDistrusted
        }
        guard isDistrusted, !recovered.isEmpty || (isNews && !isFirst) else {
            for preparation in recovered { self.prepare.yield(preparation) }
            return
        }
        let inHand = isFirst ? 0 : self.scheduler.withLock { $0.startedCount }
        self.logger.error(
            "the master has seen a newer journal of this satellite: recipients found started are uncertain and are not sent",
            metadata: ["recipients": "\(inHand + recovered.reduce(0) { $0 + $1.indices.count })"]
        )
        for preparation in recovered {
            self.change { scheduler, now in scheduler.distrust(preparation.lease, preparation.indices, now: now) }
        }
        // Only the whole machine, memory and all, can have been set back under a process that the master knows.
        if !isFirst { self.change { scheduler, _ in scheduler.distrustAll() } }
    }

    /// Recipients that wait for the first Welcome.
    private var recoveredCount: Int { self.recovered.withLock { $0.reduce(0) { $0 + $1.indices.count } } }

    private func received(_ message: MasterMessage) async throws {
        switch message {
        case .grant(let grant):
            self.inbox.withLock { $0.grants.append(grant) }
            self.bookkeeping.notify()
        case .started(let lease, let started, let refused):
            self.inbox.withLock { $0.started.append((lease, started, refused)) }
            self.bookkeeping.notify()
        case .reportsApplied(let sequence):
            let reports = self.outbox.withLock { $0.acknowledged(sequence, now: .now) }
            self.inbox.withLock { $0.acknowledged += reports }
            self.bookkeeping.notify()
            self.reporting.notify()
        case .revoke(let lease, let reason):
            self.logger.debug("lease revoked", metadata: ["lease": "\(lease)", "reason": "\(reason)"])
            self.change { scheduler, _ in reason == .unknown ? scheduler.abandon(lease) : scheduler.revoke(lease) }
        case .signingKey(let hash, let pem): await self.keys.received(hash, pem: pem)
        case .rejected(let rejection): self.rejected(rejection)
        case .superseded:
            self.condition.withLock { $0.isSuperseded = true }
            throw SatelliteError(.superseded, "another process with this satellite's key has taken over")
        case .welcome, .heartbeat: break  // The link's own.
        }
    }

    /// Logged once for each reason; the link tries again by itself.
    private func rejected(_ rejection: Rejection) {
        let isNew = self.condition.withLock { condition in
            defer { condition.rejection = rejection.text }
            return condition.rejection != rejection.text
        }
        guard isNew else { return }
        self.logger.error(
            "the master rejects this satellite; it keeps asking",
            metadata: ["reason": "\(rejection.text)"]
        )
    }

    // MARK: To the master

    /// Reports to the master how much is taken: nothing while the journal has no room, or at the end.
    func sendCredit() async {
        let takesNothing = self.condition.withLock { $0.isDiskFull || $0.isStopping || $0.shortage != nil }
        await self.uplink.transmit(
            .credit([
                .bulk: takesNothing ? 0 : self.configuration.bulkCredit,
                .express: takesNothing ? 0 : self.configuration.expressCredit,
            ])
        )
    }

    private func requestStarts() async {
        for await _ in self.starting.stream {
            let plan = self.scheduler.withLock { $0.planStarts(now: .now) }
            for (lease, entries) in plan { await self.uplink.transmit(.start(lease, entries)) }
        }
    }

    private func report() async {
        for await _ in self.reporting.stream {
            while let (batch, connection) = self.outbox.withLock({ $0.next(now: .now) }) {
                await self.uplink.transmit(.reports(sequence: batch.sequence, batch.reports), over: connection)
            }
        }
    }

    // MARK: Time

    private func tick() async {
        var last = ContinuousClock.now
        while (try? await Task.sleep(for: self.configuration.tick)) != nil {  // Ends when it is cancelled.
            let now = ContinuousClock.now
            let elapsed = now - last
            last = now
            self.change { scheduler, now in scheduler.tick(elapsed, now: now) }
            self.forEachDriver { $0.sweep(now: .now, patience: .seconds(2)) }
            await self.keys.repeatRequests(now: now)
            await self.retryDisk(now)
            await self.noteShortage()
            let patience = self.configuration.reportRepetition
            if self.outbox.withLock({ $0.repeatOverdue(after: patience, now: now) }) {
                self.logger.warning("the master has not acknowledged reports for a while; they are repeated")
            }
            self.reporting.notify()
            self.measure()
        }
    }

    private func retryDisk(_ now: ContinuousClock.Instant) async {
        let isDue = self.condition.withLock { condition in
            guard condition.isDiskFull, let since = condition.diskFullSince, now - since > .seconds(5) else {
                return false
            }
            condition.isDiskFull = false
            return true
        }
        if isDue { await self.sendCredit() }
    }

    /// Says once that this process lacks something, takes nothing more meanwhile, and says that it is over.
    private func noteShortage() async {
        let shortage = self.scheduler.withLock { $0.shortage }
        let changed = self.condition.withLock { condition in
            defer { condition.shortage = shortage?.reason }
            return (condition.shortage == nil) != (shortage == nil)
        }
        guard changed else { return }
        if let shortage {
            self.logger.error(
                "this satellite is short of resources: connections wait, and no more recipients are taken",
                metadata: [
                    "reason": "\(shortage.reason)",
                    "advice": "raise the limit of open files (LimitNOFILE) or lower smtp.maxConnections",
                ]
            )
        } else {
            self.logger.info("this satellite has the resources again that it was short of")
        }
        await self.sendCredit()
    }

    private func measure() {
        let total = self.counters.values.total
        self.condition.withLock { condition in
            condition.attemptsBefore.append(total)
            let kept = max(1, Int(60 / max(0.01, self.configuration.tick.seconds)))
            if condition.attemptsBefore.count > kept {
                condition.attemptsBefore.removeFirst(condition.attemptsBefore.count - kept)
            }
        }
    }

    // MARK: The end

    private func awaitShutdown() async {
        for await _ in self.stopping.stream {
            if self.condition.withLock({ $0.failure != nil }) { return }
            guard self.condition.withLock({ $0.isStopping }) else { continue }
            return await self.shutDown()
        }
    }

    private func shutDown() async {
        self.logger.info("shutting down: returning recipients that were not started, finishing those that were")
        await self.sendCredit()
        self.change { scheduler, _ in scheduler.drain() }
        await self.wait(self.configuration.shutdownDrain) { satellite in
            // What still waits for a first Welcome stays in the journal, for the next process.
            let recovered = satellite.recoveredCount
            return satellite.scheduler.withLock { $0.startedCount == recovered && $0.requestedCount == 0 }
        }
        self.change { scheduler, now in scheduler.close(now: now) }
        self.forEachDriver { $0.drain() }
        await self.wait(self.configuration.shutdownLimit) { satellite in
            satellite.scheduler.withLock { $0.withConnections == 0 && $0.connectionCount == 0 }
        }
        // What is past its dot becomes uncertain now, and is reported so.
        self.forEachDriver { $0.abort() }
        await self.wait(.seconds(1)) { satellite in satellite.scheduler.withLock { $0.connectionCount == 0 } }
        await self.wait(self.configuration.shutdownReports) { satellite in
            // What is returned goes out before the goodbye, so whoever writes it down must have come to its end.
            satellite.outbox.withLock { $0.backlog == 0 } && satellite.inbox.withLock { $0.isEmpty && !$0.isInHand }
        }
        await self.uplink.transmit(.goodbye)
    }

    private func wait(_ limit: Duration, until isDone: (Satellite) -> Bool) async {
        let deadline = ContinuousClock.now + limit
        while !isDone(self), ContinuousClock.now < deadline, self.condition.withLock({ $0.failure == nil }) {
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }  // Cancelled.
        }
    }
}
