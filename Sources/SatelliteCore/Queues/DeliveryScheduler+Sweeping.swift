// SPDX-License-Identifier: Apache-2.0

import MailingModel

extension DeliveryScheduler {
    /// Looks at every deadline and measures rates over the time `elapsed` since the last call; called a few times a second.
    mutating func tick(_ elapsed: Duration, now: ContinuousClock.Instant) -> SchedulerActions {
        var actions = SchedulerActions()
        let seconds = max(elapsed / .seconds(1), 0.001)
        var ended = 0
        for key in Array(self.sites.keys) {
            guard let site = self.sites[key] else { continue }
            ended += site.ended
            self.sites[key]?.rate = site.rate * 0.5 + Double(site.ended) / seconds * 0.5
            self.sites[key]?.ended = 0
            self.sweepReady(key, now, &actions)
            if let until = site.pausedUntil, now >= until { self.sites[key]?.pausedUntil = nil }
            // What is known of a failing one is kept until most of its recipients have been due again.
            let memory: Duration = site.failingSince == nil ? .seconds(600) : .seconds(7_200)
            if site.isEmpty, now - site.lastUsed > memory { self.removeSite(key) }
            self.serve(key, now, &actions)
        }
        self.endShortage(now)
        self.rate = self.rate * 0.5 + Double(ended) / seconds * 0.5
        for (serial, state) in self.leases where state.waitingCount > 0 {
            guard now - state.lease.since > self.limits.waitingLimit, !state.isWithdrawn, self.isConnected
            else { continue }
            actions.append(self.withdraw(serial))
        }
        actions.mayStart = true
        return actions
    }

    /// Returns every lease as far as nothing of it was started, and requests nothing more.
    mutating func drain() -> SchedulerActions {
        self.isDraining = true
        var actions = SchedulerActions()
        for serial in self.leases.keys.sorted() { actions.append(self.withdraw(serial)) }
        return actions
    }

    /// Returns what is started and not with a connection, since nobody tried it, and gives connections nothing more.
    mutating func close(now: ContinuousClock.Instant) -> SchedulerActions {
        self.isDraining = true
        self.isClosed = true
        var actions = SchedulerActions()
        for key in self.sites.keys { self.holdReady(key, &actions) { _ in true } }
        // A report outlives the machine; a started recipient without one would be uncertain after a power cut.
        if !self.isConnected { self.finishCommitted(.deferred(Self.shutdownAlone), &actions) { _ in true } }
        return actions
    }

    static let shutdownAlone = AttemptTrace(
        stage: .master,
        text: "not sent: the satellite was shut down while the master was away"
    )

    /// Defers what waits for a connection beyond the limit; where it is the satellite that has none, it goes on waiting.
    private mutating func sweepReady(_ key: String, _ now: ContinuousClock.Instant, _ actions: inout SchedulerActions) {
        guard let site = self.sites[key] else { return }
        let limit = self.limits.startedLimit
        guard site.ready.contains(where: { queue in queue.first.map { now - $0.since > limit } ?? false }) else {
            return
        }
        guard self.shortage == nil, self.connectionCount < self.maximumConnections(now) else {
            return self.holdReady(key, &actions) { now - $0.since > limit }
        }
        let trace = AttemptTrace(stage: .connect, text: "no connection to \(site.route.name) was free in time")
        self.finishReady(key, .deferred(trace), &actions) { now - $0.since > limit }
    }
}
