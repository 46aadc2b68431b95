// SPDX-License-Identifier: Apache-2.0

// The satellite's floor: which recipient waits where, which connection takes which.
//
// A recipient goes: held (its content and destination are being found) → unstarted, in its site's queue → requested → ready,
// once the master has committed it as started and the journal holds that → with a connection → ended. One whose outcome is
// known before any connection (no such domain, content that does not compile) is requested all the same, because only started
// recipients may be reported. Connections take blocks, so that the lock around the scheduler is taken a few hundred times a
// second. Pure: time comes in, actions go out, nothing waits.

import DequeModule
import MailingModel

/// All queues of a satellite and the rules of moving between them.
struct DeliveryScheduler {
    let limits: SatelliteConfiguration
    var leases: [LeaseSerial: LeaseState] = [:]
    var sites: [String: Site] = [:]
    /// Unstarted recipients whose outcome is known.
    var decided = Deque<QueuedRecipient>()
    /// In which order starts are requested for sites; the first was served longest ago.
    private var rotation = Deque<String>()
    private var nextConnection: UInt64 = 1

    /// Whether a master is connected.
    var isConnected = false
    /// No more starts are requested.
    var isDraining = false
    /// Nothing more goes to connections.
    var isClosed = false
    /// Recipients requested and not answered.
    var requestedCount = 0
    /// Connections open or being opened.
    var connectionCount = 0
    /// Attempts that ended per second.
    var rate = 0.0
    /// What this process lacks, for as long as it does.
    var shortage: Shortage?
    /// Fewer connections than configured, after a shortage.
    var connectionCeiling: (connections: Int, until: ContinuousClock.Instant)?

    init(_ limits: SatelliteConfiguration) { self.limits = limits }

    var readyCount: Int { self.sites.values.reduce(0) { $0 + $1.readyCount } }
    /// Recipients with a connection.
    var withConnections: Int { self.sites.values.reduce(0) { $0 + $1.withConnections } }
    /// Started and not reported.
    var startedCount: Int { self.leases.values.reduce(0) { $0 + $1.started } }
    /// Never started.
    var waitingCount: Int { self.leases.values.reduce(0) { $0 + $1.waitingCount + $1.requested.count } }

    // MARK: Leases

    /// Takes a lease on; its recipients follow with ``assign(_:to:key:now:)`` and ``decide(_:now:)``.
    mutating func hold(_ lease: HeldLease, waiting: [Int], started: [Int]) {
        guard self.leases[lease.serial] == nil, !waiting.isEmpty || !started.isEmpty else { return }
        self.leases[lease.serial] = LeaseState(lease, waiting: waiting, started: started)
    }

    /// Queues prepared recipients for their site.
    mutating func assign(
        _ recipients: [QueuedRecipient],
        to route: SiteRoute,
        key: String,
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        if self.sites[key] == nil { self.rotation.append(key) }
        self.sites[key, default: Site(route, now: now)].route = route
        for var recipient in recipients {
            recipient.since = now
            let serial = recipient.lease.serial
            if self.leases[serial]?.startedUnprepared.remove(recipient.index) != nil {
                if let outcome = self.leases[serial]?.disowned {
                    self.finish(recipient, outcome, &actions)
                } else {
                    self.makeReady(recipient, key, now, &actions)
                }
            } else if self.leases[serial]?.isWaiting(recipient.index) == true {
                self.sites[key]?.unstarted[Int(recipient.deliveryClass.rawValue)].append(recipient)
                actions.mayStart = true
            }
        }
        self.serve(key, now, &actions)
        return actions
    }

    /// Queues recipients whose outcome is known.
    mutating func decide(_ recipients: [QueuedRecipient], now: ContinuousClock.Instant) -> SchedulerActions {
        var actions = SchedulerActions()
        for var recipient in recipients {
            recipient.since = now
            let serial = recipient.lease.serial
            if self.leases[serial]?.startedUnprepared.remove(recipient.index) != nil {
                if let outcome = self.leases[serial]?.outcome(of: recipient) {
                    self.finish(recipient, outcome, &actions)
                }
            } else if self.leases[serial]?.isWaiting(recipient.index) == true {
                self.decided.append(recipient)
                actions.mayStart = true
            }
        }
        return actions
    }

    /// Takes everything out that was never started and is not requested; an answer that is under way decides the rest.
    mutating func withdraw(_ serial: LeaseSerial) -> SchedulerActions {
        var actions = SchedulerActions()
        guard var state = self.leases.removeValue(forKey: serial) else { return actions }
        state.isWithdrawn = true
        let entries = state.removeAllWaiting(isConnected: self.isConnected)
        if !state.isClosed { self.leases[serial] = state }
        if entries.count > 0 {
            self.purge(serial)
            actions.returned.append((serial, entries))
        }
        return actions
    }

    /// Revokes a lease on the master's order: what has no final dot on its way is not sent, started or not.
    ///
    /// What waits is returned now. What a connection has begun with follows from ``returnRevoked(_:at:)``, and what is requested
    /// for when its answer comes.
    mutating func revoke(_ serial: LeaseSerial) -> SchedulerActions {
        let lease = self.leases[serial]?.lease
        var actions = self.withdraw(serial)
        guard let lease, let state = self.leases[serial] else { return actions }
        lease.revoke()
        var unsent = EntryBitmap(state.startedUnprepared)
        self.leases[serial]?.startedUnprepared = []
        for key in self.sites.keys {
            for queue in DeliveryClass.allCases.indices {
                self.sites[key]?.ready[queue].removeAll { recipient in
                    guard recipient.lease.serial == serial else { return false }
                    unsent.insert(recipient.index)
                    return true
                }
            }
        }
        self.returnStarted(serial, unsent, &actions)
        actions.recall = self.leases[serial] != nil
        return actions
    }

    /// Takes recipients of revoked leases from a connection that has not sent their final dot.
    ///
    /// Those of a lease that the master does not know are reported: it may have counted them as uncertain.
    mutating func returnRevoked(_ recipients: [QueuedRecipient], at key: String) -> SchedulerActions {
        var actions = SchedulerActions()
        self.sites[key]?.withConnections -= recipients.count
        for recipient in recipients { self.withhold(recipient, &actions) }
        return actions
    }

    private mutating func withhold(_ recipient: QueuedRecipient, _ actions: inout SchedulerActions) {
        let serial = recipient.lease.serial
        // What is returned while the master is away may not reach it; a report does.
        if let outcome = self.leases[serial]?.disowned ?? (self.isConnected ? nil : .deferred(Self.abandonment)) {
            self.finish(recipient, outcome, &actions)
        } else {
            self.returnStarted(serial, EntryBitmap([recipient.index]), &actions)
        }
    }

    private mutating func returnStarted(
        _ serial: LeaseSerial,
        _ entries: EntryBitmap,
        _ actions: inout SchedulerActions
    ) {
        guard entries.count > 0 else { return }
        self.leases[serial]?.started -= entries.count
        self.closeIfDone(serial)
        if let last = actions.returned.indices.last, actions.returned[last].lease == serial {
            actions.returned[last].entries.formUnion(entries)
        } else {
            actions.returned.append((serial, entries))
        }
    }

    /// Ends everything of a lease that the master no longer knows, except what has its final dot on its way.
    mutating func abandon(_ serial: LeaseSerial) -> SchedulerActions {
        self.disown(serial, .deferred(Self.abandonment))
    }

    /// Ends every lease of a process whose machine was set back: what it has started may have been sent since.
    mutating func distrustAll() -> SchedulerActions {
        var actions = SchedulerActions()
        for serial in self.leases.keys.sorted() where self.leases[serial]?.disowned == nil {
            actions.append(self.disown(serial, .uncertain(Self.distrust)))
        }
        return actions
    }

    /// Reports what the master may hold for started as `outcome`, unless its final dot is on its way, and returns the rest.
    private mutating func disown(_ serial: LeaseSerial, _ outcome: DeliveryOutcome) -> SchedulerActions {
        guard let lease = self.leases[serial]?.lease else { return SchedulerActions() }
        var actions = SchedulerActions()
        self.leases[serial]?.disowned = outcome
        for requested in (self.leases[serial]?.requested ?? [:]).values {
            self.withdrawRequest(requested.recipient, site: requested.site)
        }
        // The master has resolved itself what it held for started under a newer journal; all else is returned.
        if case .deferred = outcome { self.finishCommitted(outcome, &actions) { $0.lease.serial == serial } }
        actions.append(self.withdraw(serial))
        lease.revoke()
        actions.recall = self.leases[serial] != nil
        for key in self.sites.keys { self.finishReady(key, outcome, &actions) { $0.lease.serial == serial } }
        return actions
    }

    /// Reports recipients that wait although the master may hold them for started: a return is not acknowledged.
    mutating func finishCommitted(
        _ outcome: DeliveryOutcome,
        _ actions: inout SchedulerActions,
        where fits: (QueuedRecipient) -> Bool
    ) {
        func isMeant(_ recipient: QueuedRecipient) -> Bool {
            guard fits(recipient), let state = self.leases[recipient.lease.serial] else { return false }
            return state.committed.contains(recipient.index) && state.isWaiting(recipient.index)
        }
        var recipients = self.decided.filter(isMeant)
        if !recipients.isEmpty { self.decided = self.decided.filter { !isMeant($0) } }
        for key in self.sites.keys.sorted() {
            for (queue, waiting) in (self.sites[key]?.unstarted ?? []).enumerated()
            where waiting.contains(where: isMeant) {
                recipients += waiting.filter(isMeant)
                self.sites[key]?.unstarted[queue] = waiting.filter { !isMeant($0) }
            }
        }
        for recipient in recipients {
            let serial = recipient.lease.serial
            guard self.leases[serial]?.removeWaiting(recipient.index) == true else { continue }
            self.leases[serial]?.committed.remove(recipient.index)
            self.leases[serial]?.started += 1
            self.finish(recipient, recipient.verdict ?? outcome, &actions)
        }
    }

    static let abandonment = AttemptTrace(
        stage: .master,
        text: "not sent: the lease was revoked while the master was away"
    )

    /// Ends started recipients of an earlier process that may have been sent since the journal was copied.
    mutating func distrust(_ lease: HeldLease, _ indices: [Int], now: ContinuousClock.Instant) -> SchedulerActions {
        var actions = SchedulerActions()
        for index in indices where self.leases[lease.serial]?.startedUnprepared.remove(index) != nil {
            self.finish(QueuedRecipient(lease: lease, index: index, since: now), .uncertain(Self.distrust), &actions)
        }
        return actions
    }

    private static let distrust = AttemptTrace(
        stage: .finalDot,
        text: "the satellite's journal is an older copy, and the recipient may have been sent after it was made"
    )

    /// Takes note of the master's decision on requested recipients.
    mutating func decideStart(
        _ serial: LeaseSerial,
        started: EntryBitmap,
        refused: EntryBitmap,
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        actions.mayStart = true
        var dropped = EntryBitmap()
        for index in refused.indices {
            guard let requested = self.leases[serial]?.requested.removeValue(forKey: index) else { continue }
            self.requestedCount -= 1
            if let site = requested.site { self.sites[site]?.requested -= 1 }
            if self.leases[serial]?.committed.remove(index) != nil {
                // The master had started it, or may have, and has counted it as uncertain since.
                self.leases[serial]?.started += 1
                self.finish(requested.recipient, .deferred(Self.abandonment), &actions)
            } else {
                dropped.insert(index)
            }
        }
        var touched: Set<String> = []
        for index in started.indices {
            guard let requested = self.leases[serial]?.requested.removeValue(forKey: index) else { continue }
            self.requestedCount -= 1
            self.leases[serial]?.started += 1
            self.leases[serial]?.committed.remove(index)
            var recipient = requested.recipient
            recipient.since = now
            if let site = requested.site {
                self.sites[site]?.requested -= 1
                self.makeReady(recipient, site, now, &actions)
                touched.insert(site)
            } else if let verdict = recipient.verdict {
                self.finish(recipient, verdict, &actions)
            }
        }
        for site in touched { self.serve(site, now, &actions) }
        if dropped.count > 0 { actions.refused.append((serial, dropped)) }
        self.closeIfDone(serial)
        return actions
    }

    /// Requeues recipients whose answer will not come, so that they are requested again; the master may have committed them.
    mutating func disconnected() {
        self.isConnected = false
        for serial in self.leases.keys.sorted() {
            for (_, requested) in (self.leases[serial]?.requested ?? [:]).sorted(by: { $0.key > $1.key }) {
                self.withdrawRequest(requested.recipient, site: requested.site)
            }
        }
    }

    // MARK: Start requests

    /// Chooses what to request permission for: every site by its rate, express first, sites in turn.
    mutating func planStarts(now: ContinuousClock.Instant) -> [(LeaseSerial, EntryBitmap)] {
        guard self.isConnected, !self.isDraining else { return [] }
        var plan: [LeaseSerial: EntryBitmap] = [:]
        while self.requestedCount < self.limits.maximumStarted, let recipient = self.decided.popFirst() {
            self.requestStart(recipient, site: nil, &plan)
        }
        var outstanding = self.requestedCount + self.readyCount
        let ahead = self.limits.startAhead / .seconds(1)
        for _ in 0..<self.rotation.count {
            guard outstanding < self.limits.maximumStarted, let key = self.rotation.popFirst() else { break }
            guard let site = self.sites[key] else { continue }
            self.rotation.append(key)
            guard !site.isHeld(now, self.limits), !self.isShort(now) || !site.connections.isEmpty else { continue }
            let floor = max(self.limits.startBlock, self.limits.connectionBlock * site.connections.count)
            let target = min(self.limits.maximumStarted, max(floor, Int(site.rate * ahead)))
            let have = site.requested + site.readyCount
            guard have == 0 || target - have >= target / 4 else { continue }
            let wanted = min(target - have, self.limits.maximumStarted - outstanding)
            for recipient in self.takeUnstarted(key, atMost: wanted) {
                self.requestStart(recipient, site: key, &plan)
                outstanding += 1
            }
        }
        return plan.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private mutating func takeUnstarted(_ key: String, atMost count: Int) -> [QueuedRecipient] {
        var recipients: [QueuedRecipient] = []
        for deliveryClass in DeliveryClass.allCases {
            let queue = Int(deliveryClass.rawValue)
            while recipients.count < count, let recipient = self.sites[key]?.unstarted[queue].popFirst() {
                if self.leases[recipient.lease.serial]?.isWaiting(recipient.index) == true {
                    recipients.append(recipient)
                }
            }
        }
        return recipients
    }

    private mutating func requestStart(
        _ recipient: QueuedRecipient,
        site: String?,
        _ plan: inout [LeaseSerial: EntryBitmap]
    ) {
        let serial = recipient.lease.serial
        guard self.leases[serial]?.removeWaiting(recipient.index) == true else { return }
        self.leases[serial]?.requested[recipient.index] = (recipient, site)
        self.requestedCount += 1
        if let site { self.sites[site]?.requested += 1 }
        plan[serial, default: EntryBitmap()].insert(recipient.index)
    }

    private mutating func withdrawRequest(_ recipient: QueuedRecipient, site: String?) {
        let serial = recipient.lease.serial
        guard self.leases[serial]?.requested.removeValue(forKey: recipient.index) != nil else { return }
        self.leases[serial]?.insertWaiting(recipient.index)
        self.leases[serial]?.committed.insert(recipient.index)
        self.requestedCount -= 1
        guard let site else { return self.decided.prepend(recipient) }
        self.sites[site]?.requested -= 1
        self.sites[site]?.unstarted[Int(recipient.deliveryClass.rawValue)].prepend(recipient)
    }

    // MARK: Connections

    /// Gives a connection its next block; an empty one marks it idle.
    mutating func take(for id: ConnectionID, at key: String, now: ContinuousClock.Instant) -> [QueuedRecipient] {
        guard var site = self.sites[key], !self.isClosed else { return [] }
        self.sites[key] = nil  // Keeps the queues from being copied.
        defer { self.sites[key] = site }
        let share = site.readyCount / max(1, site.connections.count) + 1
        let count = min(self.limits.connectionBlock, share)
        var block: [QueuedRecipient] = []
        for queue in site.ready.indices {
            while block.count < count, let recipient = site.ready[queue].popFirst() { block.append(recipient) }
        }
        site.withConnections += block.count
        site.lastUsed = now
        if block.isEmpty, !site.idle.contains(id) { site.idle.append(id) }
        return block
    }

    /// Requeues what a connection had not begun with.
    mutating func requeue(
        _ recipients: [QueuedRecipient],
        at key: String,
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        self.sites[key]?.withConnections -= recipients.count
        for recipient in recipients.reversed() { self.makeReady(recipient, key, now, &actions, atFront: true) }
        self.serve(key, now, &actions)
        return actions
    }

    /// Requeues a recipient whose transaction never began; too many times count as an attempt.
    mutating func requeue(
        _ recipient: QueuedRecipient,
        at key: String,
        trace: AttemptTrace,
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var recipient = recipient
        recipient.requeues += 1
        guard recipient.requeues > self.limits.maximumRequeues, !recipient.lease.isRevoked else {
            return self.requeue([recipient], at: key, now: now)
        }
        var actions = SchedulerActions()
        self.sites[key]?.withConnections -= 1
        self.finish(recipient, .deferred(trace), &actions)
        return actions
    }

    /// Counts attempts that connections have ended; `clears` is one whose reply says that the site can be used.
    mutating func ended(
        _ recipients: [(site: String, lease: LeaseSerial, clears: Bool)],
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        var touched: Set<String> = []
        for (site, lease, clears) in recipients {
            self.sites[site]?.withConnections -= 1
            self.sites[site]?.ended += 1
            if clears, self.sites[site]?.isPaused(now) == false { self.cleared(site) }
            touched.insert(site)
            self.leases[lease]?.started -= 1
            self.closeIfDone(lease)
        }
        for site in touched { self.serve(site, now, &actions) }
        actions.mayStart = true
        return actions
    }

    /// How a connection came to its end.
    enum ConnectionResult {
        /// At least one transaction ended on it.
        case worked
        /// It was ready, and nothing came of it.
        case unproductive(AttemptTrace)
        /// No host of the site could be talked to.
        case unreachable(AttemptTrace)
        /// This process had nothing left to open a connection with.
        case lacking(String)
    }

    /// A connection is ready for transactions.
    mutating func connectionReady(_ key: String, now: ContinuousClock.Instant) -> SchedulerActions {
        var actions = SchedulerActions()
        // One that was under way while the site throttled another says nothing against that.
        if self.sites[key]?.throttlingReplies == 0 { self.sites[key]?.pausedUntil = nil }
        self.serve(key, now, &actions)
        return actions
    }

    /// An address did not take a connection.
    mutating func addressFailed(_ address: String, at key: String, now: ContinuousClock.Instant) {
        let until = now + self.limits.addressBackoff
        self.sites[key]?.backingOff[address] = until
    }

    /// The site closes connections that it finds too many.
    mutating func closedAsTooMany(_ key: String, now: ContinuousClock.Instant) {
        guard let site = self.sites[key], site.connections.count > 1 else { return }
        let until = now + self.limits.siteBackoff
        self.sites[key]?.ceiling = (site.connections.count - 1, until)
    }

    /// A connection is over; what it had not begun with was requeued before.
    mutating func connectionEnded(
        _ id: ConnectionID,
        at key: String,
        _ result: ConnectionResult,
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        guard self.sites[key]?.connections.remove(id) != nil else { return actions }
        self.connectionCount -= 1
        self.sites[key]?.idle.removeAll { $0 == id }
        switch result {
        case .worked: self.sites[key]?.unproductiveConnections = 0
        case .unproductive(let trace):
            self.sites[key]?.unproductiveConnections += 1
            if (self.sites[key]?.unproductiveConnections ?? 0) >= 5 {
                self.pause(key, trace, OutcomePolicy.ruling(trace).subject, now, &actions)
            }
        case .lacking(let reason): self.lacked(reason, now: now)
        case .unreachable(let trace):
            if let others = self.sites[key]?.connections.count, others > 0 {
                let until = now + self.limits.siteBackoff
                self.sites[key]?.ceiling = (others, until)
            } else if self.sites[key]?.isPaused(now) == false {
                let subject = OutcomePolicy.ruling(trace).subject
                if subject == .configuration { self.sites[key]?.alarm = trace }
                self.pause(key, trace, subject, now, &actions)
            }
        }
        self.serve(key, now, &actions)
        return actions
    }

    /// There is nothing to open a connection on; what is ready waits, and no other connection is requested for it now.
    mutating func notOpened(_ request: OpenRequest) {
        guard self.sites[request.site]?.connections.remove(request.id) != nil else { return }
        self.connectionCount -= 1
    }

    /// Wakes idle connections and opens further ones for what is ready at a site.
    mutating func serve(_ key: String, _ now: ContinuousClock.Instant, _ actions: inout SchedulerActions) {
        guard let site = self.sites[key], !self.isClosed, !site.isPaused(now) else { return }
        let ready = site.readyCount
        guard ready > 0 else { return }
        if !site.idle.isEmpty {
            let woken = min(site.idle.count, ready)
            actions.wake += site.idle.suffix(woken)
            self.sites[key]?.idle.removeLast(woken)
            if woken == ready { return }
        }
        guard !self.isShort(now) else { return }
        let hasExpress = !site.ready[Int(DeliveryClass.express.rawValue)].isEmpty
        let extra = hasExpress ? self.limits.expressConnections : 0
        var limit = self.limits.connectionsPerSite + extra
        if let ceiling = site.ceiling, now < ceiling.until { limit = min(limit, max(1, ceiling.connections)) }
        if site.failures > 0 || (site.unproductiveConnections > 0 && site.connections.count > 0) { limit = 1 }
        let backlog = ready + site.requested + site.unstartedCount
        let wanted = min(
            limit,
            (backlog + self.limits.recipientsPerConnection - 1) / self.limits.recipientsPerConnection
        )
        let room = self.maximumConnections(now) + extra * 8 - self.connectionCount
        let count = min(max(wanted, 1) - site.connections.count, room)
        guard count > 0 else { return }
        for _ in 0..<count {
            let id = ConnectionID(number: self.nextConnection)
            self.nextConnection += 1
            self.connectionCount += 1
            self.sites[key]?.connections.insert(id)
            actions.open.append(OpenRequest(id: id, site: key, candidates: site.candidates(now: now)))
        }
    }

    // MARK: Inner steps

    private mutating func makeReady(
        _ recipient: QueuedRecipient,
        _ key: String,
        _ now: ContinuousClock.Instant,
        _ actions: inout SchedulerActions,
        atFront: Bool = false
    ) {
        let queue = Int(recipient.deliveryClass.rawValue)
        if recipient.lease.isRevoked {
            self.withhold(recipient, &actions)
        } else if self.isClosed || self.sites[key]?.isHeld(now, self.limits) == true {
            self.hold([recipient], key, &actions)
        } else if let trace = self.sites[key]?.traceOfOutage(now, self.limits) {
            self.finish(recipient, .deferred(trace), &actions)
        } else if atFront {
            self.sites[key]?.ready[queue].prepend(recipient)
        } else {
            self.sites[key]?.ready[queue].append(recipient)
        }
    }

    mutating func finish(_ recipient: QueuedRecipient, _ outcome: DeliveryOutcome, _ actions: inout SchedulerActions) {
        actions.finished.append((recipient, outcome))
        self.leases[recipient.lease.serial]?.started -= 1
        self.closeIfDone(recipient.lease.serial)
    }

    /// Reports the ready recipients of a site that fit.
    mutating func finishReady(
        _ key: String,
        _ outcome: DeliveryOutcome,
        _ actions: inout SchedulerActions,
        where fits: (QueuedRecipient) -> Bool
    ) {
        guard let ready = self.sites[key]?.ready else { return }
        for queue in ready.indices where !ready[queue].isEmpty {
            self.sites[key]?.ready[queue].removeAll(where: fits)
            for recipient in ready[queue] where fits(recipient) { self.finish(recipient, outcome, &actions) }
        }
    }

    mutating func closeIfDone(_ serial: LeaseSerial) {
        if self.leases[serial]?.isClosed == true { self.leases[serial] = nil }
    }

    /// Takes a lease's recipients that do not wait any more out of all queues.
    private mutating func purge(_ serial: LeaseSerial) {
        let state = self.leases[serial]
        for key in self.sites.keys {
            for queue in DeliveryClass.allCases.indices {
                self.sites[key]?.unstarted[queue].removeAll {
                    $0.lease.serial == serial && state?.isWaiting($0.index) != true
                }
            }
        }
        self.decided.removeAll { $0.lease.serial == serial }
    }

    /// Forgets a site that nothing has used for long.
    mutating func removeSite(_ key: String) {
        self.sites[key] = nil
        self.rotation.removeAll { $0 == key }
    }
}
