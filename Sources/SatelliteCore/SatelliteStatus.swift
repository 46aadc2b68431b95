// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import SatelliteJournal

/// What a satellite is doing, for people and probes.
public struct SatelliteStatus: Codable, Hashable, Sendable {
    /// A site with recipients or connections.
    public struct Site: Codable, Hashable, Sendable {
        /// The name of the set of MX hosts.
        public var name: String
        /// Recipients never started.
        public var waiting: Int
        /// Recipients started and waiting for a connection.
        public var ready: Int
        /// Recipients with a connection.
        public var inFlight: Int
        /// Connections open or being opened.
        public var connections: Int
        /// Attempts per second, in hundredths.
        public var attemptsPerSecond: Double
        /// Whether no connection is opened for a while, because no host could be talked to or because of what one replied.
        public var isPaused: Bool
        /// What was met, while the site is failing; or `nil`.
        public var reason: String?
    }

    /// The satellite's name.
    public var serial: String
    /// The journal's name.
    public var journalID: String
    /// Whether a master has taken it on.
    public var isConnected: Bool
    /// Why the master last refused it, or `nil`.
    public var rejection: String?
    /// Whether it is shutting down.
    public var isDraining: Bool
    /// Whether the journal has no room for leases.
    public var isDiskFull: Bool
    /// Leases with recipients that are not reported.
    public var leases: Int
    /// Recipients never started.
    public var waiting: Int
    /// Recipients started and not reported.
    public var started: Int
    /// Recipients with a start request that is not answered.
    public var asked: Int
    /// Recipients with a connection.
    public var inFlight: Int
    /// Connections open or being opened.
    public var connections: Int
    /// Attempts per second, in hundredths.
    public var attemptsPerSecond: Double
    /// Reports that the master has not acknowledged.
    public var unacknowledgedReports: Int
    /// Attempts since the start of the process, by outcome.
    public var delivered: UInt64
    /// Attempts to be repeated.
    public var deferred: UInt64
    /// Attempts refused for good.
    public var failed: UInt64
    /// Recipients whose message could not be made.
    public var unrenderable: UInt64
    /// Attempts with an unknown outcome.
    public var uncertain: UInt64
    /// Bytes of the journal's files, of what can be written, and of what is promised of it.
    public var journalBytes: Int
    /// Bytes that the journal can still take.
    public var journalAvailableBytes: Int
    /// Bytes of these that are promised to recipients held.
    public var journalReservedBytes: Int
    /// The busiest 50 sites, by recipients.
    public var sites: [Site]
    /// What a human should look at: a lack of resources, sites that object to the configuration; empty if all is well.
    public var problems: [String]
}

extension SatelliteStatus {
    /// What the parts of a satellite say of themselves now.
    init(
        serial: String,
        journal: Journal,
        condition: Condition.Facts,
        reports: Reports,
        scheduler: SharedScheduler
    ) {
        let now = ContinuousClock.now
        let counts = reports.counts
        let room = journal.room
        let backlog = reports.backlog
        self = scheduler.withLock { scheduler in
            SatelliteStatus(
                serial: serial,
                journalID: journal.journalID,
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
                problems: Self.problems(scheduler, condition)
            )
        }
    }

    private static func problems(_ scheduler: DeliveryScheduler, _ condition: Condition.Facts) -> [String] {
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

    private static func sites(_ scheduler: DeliveryScheduler, _ now: ContinuousClock.Instant) -> [Site] {
        let sites = scheduler.sites.values.map { site in
            Site(
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

    /// A rate in hundredths: one that has died away shows as 0.
    private static func rounded(_ rate: Double) -> Double { (rate * 100).rounded() / 100 }
}

extension SatelliteLoad {
    /// What a heartbeat says of a satellite now.
    init(_ scheduler: SharedScheduler, _ reports: Reports) {
        let attempts = reports.counts.lastMinute
        let backlog = reports.backlog
        self = scheduler.withLock { scheduler in
            SatelliteLoad(
                waiting: scheduler.waitingCount,
                started: scheduler.startedCount,
                connections: scheduler.connectionCount,
                unacknowledgedReports: backlog,
                attemptsLastMinute: attempts,
                draining: scheduler.isDraining
            )
        }
    }
}
