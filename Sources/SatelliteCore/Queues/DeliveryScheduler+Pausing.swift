// SPDX-License-Identifier: Apache-2.0

// What happens to the recipients of a site that cannot be used just now.
//
// A pause costs nobody an attempt who was not tried: started recipients go back to the site's queue, and are requested again
// when the pause is over (the master grants a started recipient again). Only once a site has been failing for as long
// as `siteOutage` are its recipients deferred as they come, so that the retry schedule, and at its end giving up, takes
// its course and the site's recipients do not fill the satellite. What the satellite itself lacks (descriptors, memory,
// ports) pauses the opening of connections for all sites and is nobody's attempt ever.

import DequeModule
import MailingModel

/// What this process lacks to open connections or to look domains up.
struct Shortage: Sendable, Equatable {
    /// What was met.
    var reason: String
    /// When it was met first.
    var since: ContinuousClock.Instant
    /// No connection is opened before.
    var until: ContinuousClock.Instant
    /// How often it was met again after a pause.
    var repetitions = 0
}

extension DeliveryScheduler {
    // MARK: Sites

    /// A reply was not about its recipient: the site is left alone at once, or after several such replies in a row.
    mutating func throttled(
        _ key: String,
        _ trace: AttemptTrace,
        _ ruling: OutcomePolicy.Ruling,
        now: ContinuousClock.Instant
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        guard ruling.site != .goOn, let site = self.sites[key] else { return actions }
        self.sites[key]?.throttlingReplies += 1
        if ruling.subject == .configuration { self.sites[key]?.alarm = trace }
        guard !site.isPaused(now) else { return actions }
        if ruling.site == .pause || site.throttlingReplies + 1 >= self.limits.throttlingRepliesBeforePause {
            self.pause(key, trace, ruling.subject, now, &actions)
            // Whoever is being sent to is finished; what a connection holds beyond that comes back.
            actions.drain += site.connections
        }
        return actions
    }

    /// The site took a message, or refused a recipient for the recipient's own sake.
    mutating func cleared(_ key: String) {
        self.sites[key]?.failures = 0
        self.sites[key]?.failingSince = nil
        self.sites[key]?.throttlingReplies = 0
        self.sites[key]?.alarm = nil
    }

    /// Leaves a site alone, longer each time.
    mutating func pause(
        _ key: String,
        _ trace: AttemptTrace,
        _ subject: OutcomePolicy.Subject,
        _ now: ContinuousClock.Instant,
        _ actions: inout SchedulerActions
    ) {
        guard let site = self.sites[key] else { return }
        let duration = min(self.limits.siteBackoff * (1 << min(site.failures, 16)), self.limits.siteBackoffCeiling)
        self.sites[key]?.failures += 1
        self.sites[key]?.unproductiveConnections = 0
        self.sites[key]?.pausedUntil = now + duration
        self.sites[key]?.pauseTrace = trace
        self.sites[key]?.failingSince = site.failingSince ?? now
        self.sites[key]?.lastUsed = now
        let before = actions.finished.count
        if self.sites[key]?.isOut(now, self.limits) == true {
            self.finishReady(key, .deferred(trace), &actions) { _ in true }
        } else if trace.replyCode == nil, trace.stage == .connect || trace.stage == .greeting {
            // Nobody answered: the recipient for whom the connection was opened has had an attempt.
            self.finishFirstReady(key, trace, &actions)
        }
        let held = self.sites[key]?.readyCount ?? 0
        self.holdReady(key, &actions) { _ in true }
        actions.pauses.append(
            SitePause(
                site: site.route.name,
                trace: trace,
                subject: subject,
                duration: duration,
                held: held,
                deferred: actions.finished.count - before
            )
        )
    }

    /// Takes ready recipients that fit out of a site's way: nothing of them was tried.
    mutating func holdReady(_ key: String, _ actions: inout SchedulerActions, where fits: (QueuedRecipient) -> Bool) {
        guard let ready = self.sites[key]?.ready else { return }
        for queue in ready.indices where !ready[queue].isEmpty {
            self.sites[key]?.ready[queue].removeAll(where: fits)
            self.hold(ready[queue].filter(fits), key, &actions)
        }
    }

    /// Requeues started recipients at their site, in order, as if they had never been requested; those of a lease that
    /// was revoked meanwhile are returned to the master.
    ///
    /// The master grants a recipient again that it has committed as started before, and requeues it when the satellite returns it.
    mutating func hold(_ recipients: [QueuedRecipient], _ key: String, _ actions: inout SchedulerActions) {
        var returned: [LeaseSerial: EntryBitmap] = [:]
        for recipient in recipients.reversed() {
            let serial = recipient.lease.serial
            guard let state = self.leases[serial] else { continue }
            if let outcome = state.disowned {
                self.finish(recipient, outcome, &actions)
                continue
            }
            guard !self.isClosed || self.isConnected else {
                self.finish(recipient, .deferred(Self.shutdownAlone), &actions)
                continue
            }
            self.leases[serial]?.started -= 1
            if state.isWithdrawn || self.isDraining, self.isConnected {
                returned[serial, default: EntryBitmap()].insert(recipient.index)
            } else {
                self.leases[serial]?.insertWaiting(recipient.index)
                self.leases[serial]?.committed.insert(recipient.index)
                self.sites[key]?.unstarted[Int(recipient.deliveryClass.rawValue)].prepend(recipient)
            }
        }
        for (serial, entries) in returned.sorted(by: { $0.key < $1.key }) {
            actions.returned.append((serial, entries))
            self.closeIfDone(serial)
        }
    }

    private mutating func finishFirstReady(_ key: String, _ trace: AttemptTrace, _ actions: inout SchedulerActions) {
        for queue in DeliveryClass.allCases.indices {
            guard let recipient = self.sites[key]?.ready[queue].popFirst() else { continue }
            return self.finish(recipient, .deferred(trace), &actions)
        }
    }

    // MARK: The satellite's own lack

    /// This process could not open something; no connection is opened for a while, and fewer than now for a minute.
    mutating func lacked(_ reason: String, now: ContinuousClock.Instant) {
        let earlier = self.shortage
        if let earlier, now < earlier.until { return }
        let repetitions = earlier.map { $0.repetitions + 1 } ?? 0
        let pause = min(self.limits.shortagePause * (1 << min(repetitions, 6)), self.limits.shortagePauseCeiling)
        self.shortage = Shortage(
            reason: reason,
            since: earlier?.since ?? now,
            until: now + pause,
            repetitions: repetitions
        )
        self.connectionCeiling = (max(1, self.connectionCount * 3 / 4), now + .seconds(60))
    }

    /// Whether no connection may be opened now.
    func isShort(_ now: ContinuousClock.Instant) -> Bool { self.shortage.map { now < $0.until } ?? false }

    /// Forgets a shortage that was not met again for as long as its last pause.
    mutating func endShortage(_ now: ContinuousClock.Instant) {
        guard let shortage = self.shortage, now - shortage.until >= self.limits.shortagePause else { return }
        self.shortage = nil
    }

    /// How many connections may be open now.
    func maximumConnections(_ now: ContinuousClock.Instant) -> Int {
        guard let ceiling = self.connectionCeiling, now < ceiling.until else { return self.limits.maximumConnections }
        return min(self.limits.maximumConnections, ceiling.connections)
    }
}
