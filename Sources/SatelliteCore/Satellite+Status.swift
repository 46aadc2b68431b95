// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import SatelliteJournal
import Synchronization

extension Satellite {
    /// What the satellite is doing now.
    public func status() -> SatelliteStatus {
        let now = ContinuousClock.now
        let condition = self.condition.withLock { $0 }
        let counts = self.counters.values
        let room = self.journal.room
        let backlog = self.outbox.withLock { $0.backlog }
        return self.scheduler.withLock { scheduler in
            SatelliteStatus(
                serial: self.configuration.serial,
                journalID: self.journal.journalID,
                isConnected: scheduler.isConnected,
                rejection: condition.rejection,
                isDraining: scheduler.isDraining,
                isDiskFull: condition.isDiskFull,
                leases: scheduler.leases.count,
                waiting: scheduler.waitingCount,
                started: scheduler.startedCount,
                asked: scheduler.requestedCount,
                inFlight: scheduler.withConnections,
                connections: scheduler.connectionCount,
                attemptsPerSecond: Self.rounded(scheduler.rate),
                unacknowledgedReports: backlog,
                delivered: counts.delivered,
                deferred: counts.deferred,
                failed: counts.failed,
                unrenderable: counts.unrenderable,
                uncertain: counts.uncertain,
                journalBytes: room.size,
                journalAvailableBytes: room.available,
                journalReservedBytes: room.reserved,
                sites: Self.sites(scheduler, now),
                problems: Self.problems(scheduler, condition, now)
            )
        }
    }

    /// What a human should look at.
    private static func problems(
        _ scheduler: DeliveryScheduler,
        _ condition: Condition,
        _ now: ContinuousClock.Instant
    ) -> [String] {
        var problems: [String] = []
        if let shortage = condition.shortage {
            problems.append("short of resources, connections wait: \(shortage)")
        }
        if let trouble = condition.resolverTrouble {
            problems.append("no name server answers, recipients wait: \(trouble)")
        }
        let alarms = scheduler.sites.values.filter { $0.alarm != nil }.sorted { $0.route.name < $1.route.name }
        for site in alarms.prefix(20) {
            problems.append("\(site.route.name) objects to our configuration: \(site.alarm?.summary ?? "")")
        }
        return problems
    }

    var load: SatelliteLoad {
        let total = self.counters.values.total
        let before = self.condition.withLock { $0.attemptsBefore.first ?? total }
        let backlog = self.outbox.withLock { $0.backlog }
        return self.scheduler.withLock { scheduler in
            SatelliteLoad(
                waiting: scheduler.waitingCount,
                started: scheduler.startedCount,
                connections: scheduler.connectionCount,
                unacknowledgedReports: backlog,
                attemptsLastMinute: Int(clamping: total - min(before, total)),
                draining: scheduler.isDraining
            )
        }
    }

    /// A rate in hundredths: one that has died away shows as 0.
    private static func rounded(_ rate: Double) -> Double { (rate * 100).rounded() / 100 }

    private static func sites(_ scheduler: DeliveryScheduler, _ now: ContinuousClock.Instant) -> [SatelliteStatus.Site]
    {
        let sites = scheduler.sites.values.map { site in
            SatelliteStatus.Site(
                name: site.route.name,
                waiting: site.unstartedCount + site.requested,
                ready: site.readyCount,
                inFlight: site.withConnections,
                connections: site.connections.count,
                attemptsPerSecond: Self.rounded(site.rate),
                isPaused: site.isPaused(now),
                reason: site.failingSince == nil ? nil : site.pauseTrace?.summary
            )
        }
        let busiest = sites.sorted {
            ($0.waiting + $0.ready + $0.inFlight, $1.name) > ($1.waiting + $1.ready + $1.inFlight, $0.name)
        }
        return Array(busiest.prefix(50))
    }

    // MARK: What an earlier process left

    /// Takes up what the journal holds.
    ///
    /// - Returns: What is to be prepared now, and the started recipients, which wait for the master's first Welcome: only the
    ///   master can see whether this journal is the newest.
    static func resume(
        _ recovery: Recovery,
        _ scheduler: inout DeliveryScheduler,
        _ outbox: inout ReportOutbox
    ) -> (ready: [Preparation], started: [Preparation]) {
        outbox.append(recovery.unacknowledged)
        outbox.append(recovery.uncertain)
        var ready: [Preparation] = []
        var recovered: [Preparation] = []
        let now = ContinuousClock.now
        for held in recovery.heldLeases {
            let lease = HeldLease(held.grant, since: now)
            let waiting = held.neverStarted.indices
            let started = held.started.indices
            guard !waiting.isEmpty || !started.isEmpty else { continue }
            scheduler.hold(lease, waiting: waiting, started: started)
            if !waiting.isEmpty { ready.append(Preparation(lease: lease, indices: waiting)) }
            if !started.isEmpty { recovered.append(Preparation(lease: lease, indices: started)) }
        }
        return (ready, recovered)
    }

    func announce(_ pause: SitePause) {
        var metadata: Logger.Metadata = [
            "site": "\(pause.site)", "stage": "\(pause.trace.stage.rawValue)", "reason": "\(pause.trace.summary)",
            "about": "\(pause.subject.rawValue)", "seconds": "\(Int(pause.duration.seconds.rounded(.up)))",
            "waiting_again": "\(pause.held)", "deferred": "\(pause.deferred)",
        ]
        if let host = pause.trace.mxHost { metadata["mx"] = "\(host)" }
        guard pause.subject != .configuration else {
            return self.logger.error(
                "a site objects to how this satellite or the sender's domain is set up; it is left alone for a while",
                metadata: metadata
            )
        }
        // A host that does not answer is everyday for a large audience; a reply is worth reading.
        let level: Logger.Level = pause.trace.replyCode == nil ? .info : .warning
        self.logger.log(level: level, "a site cannot be used and is left alone for a while", metadata: metadata)
    }

    func announce(_ recovery: Recovery) {
        if let damage = recovery.damage {
            self.logger.critical(
                "the journal was damaged; what could be read goes on, the files are set aside",
                metadata: ["damage": "\(damage)"]
            )
        }
        if recovery.isCopy {
            self.logger.error(
                "the journal's files were copied or restored; recipients found started are uncertain and are not sent",
                metadata: ["recipients": "\(recovery.uncertain.count)"]
            )
        } else if !recovery.uncertain.isEmpty {
            self.logger.warning(
                "recipients are uncertain: an earlier process ended between their final dot and the reply",
                metadata: ["recipients": "\(recovery.uncertain.count)"]
            )
        }
        self.logger.info(
            "journal opened",
            metadata: [
                "journal": "\(self.journal.journalID)", "leases": "\(recovery.heldLeases.count)",
                "reports": "\(recovery.unacknowledged.count)",
            ]
        )
    }
}
