// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MailingModel

/// The recipients that wait for one set of MX hosts, and the connections to it.
struct Site {
    var route: SiteRoute
    /// Never started, by class.
    var unstarted: [Deque<QueuedRecipient>] = DeliveryClass.allCases.map { _ in Deque() }
    /// Started and waiting for a connection, by class.
    var ready: [Deque<QueuedRecipient>] = DeliveryClass.allCases.map { _ in Deque() }
    /// How many of its recipients are requested and not answered.
    var requested = 0
    /// Recipients that connections hold.
    var withConnections = 0
    /// Connections open or being opened.
    var connections: Set<ConnectionID> = []
    /// Those that have said they have nothing to do.
    var idle: [ConnectionID] = []
    /// Fewer connections than the configuration allows, after the site throttled us.
    var ceiling: (connections: Int, until: ContinuousClock.Instant)?
    /// No connection is opened before, and no start is requested: what is started meanwhile goes back to the queue.
    var pausedUntil: ContinuousClock.Instant?
    /// Why it is paused.
    var pauseTrace: AttemptTrace?
    /// Times in a row that it was paused.
    var failures = 0
    /// When it was paused first, since it last took a recipient on or refused one for the recipient's own sake.
    var failingSince: ContinuousClock.Instant?
    /// Replies in a row that were about the sender, our configuration or the channel.
    var throttlingReplies = 0
    /// What the site objects to in our configuration.
    var alarm: AttemptTrace?
    /// Connections in a row that ended without any transaction.
    var unproductiveConnections = 0
    /// Addresses to be tried last, until when.
    var backingOff: [String: ContinuousClock.Instant] = [:]
    /// Attempts that ended since the last tick, and their rate per second.
    var ended = 0
    var rate = 0.0
    /// When something last happened.
    var lastUsed: ContinuousClock.Instant

    init(_ route: SiteRoute, now: ContinuousClock.Instant) {
        self.route = route
        self.lastUsed = now
    }

    var unstartedCount: Int { self.unstarted.reduce(0) { $0 + $1.count } }
    var readyCount: Int { self.ready.reduce(0) { $0 + $1.count } }
    var isEmpty: Bool {
        self.connections.isEmpty && self.requested == 0 && self.withConnections == 0 && self.readyCount == 0
            && self.unstartedCount == 0
    }

    func isPaused(_ now: ContinuousClock.Instant) -> Bool { self.pausedUntil.map { now < $0 } ?? false }

    /// Whether it has been failing for so long that its recipients are deferred as they come.
    func isOut(_ now: ContinuousClock.Instant, _ limits: SatelliteConfiguration) -> Bool {
        self.failingSince.map { now - $0 >= limits.siteOutage } ?? false
    }

    /// Whether its recipients wait here until it is tried again.
    func isHeld(_ now: ContinuousClock.Instant, _ limits: SatelliteConfiguration) -> Bool {
        self.isPaused(now) && !self.isOut(now, limits)
    }

    /// Why what is started is deferred now, or `nil`.
    func traceOfOutage(_ now: ContinuousClock.Instant, _ limits: SatelliteConfiguration) -> AttemptTrace? {
        guard self.isPaused(now), self.isOut(now, limits) else { return nil }
        return self.pauseTrace ?? AttemptTrace(stage: .connect, text: "the site is paused")
    }

    /// Every address of every host: by preference, equals shuffled, those that are backing off last.
    func candidates(now: ContinuousClock.Instant) -> [Candidate] {
        var generator = SystemRandomNumberGenerator()
        return self.candidates(now: now, using: &generator)
    }

    func candidates(now: ContinuousClock.Instant, using generator: inout some RandomNumberGenerator) -> [Candidate] {
        let byPreference = Dictionary(grouping: self.route.hosts, by: \.preference)
        var healthy: [Candidate] = []
        var backingOff: [Candidate] = []
        for preference in byPreference.keys.sorted() {
            for host in (byPreference[preference] ?? []).shuffled(using: &generator) {
                for address in host.addresses {
                    let candidate = Candidate(host: host.name, address: address, port: self.route.port)
                    if let until = self.backingOff[address], now < until {
                        backingOff.append(candidate)
                    } else {
                        healthy.append(candidate)
                    }
                }
            }
        }
        return healthy + backingOff
    }

    /// One address to connect to.
    struct Candidate: Sendable, Hashable {
        var host: String
        var address: String
        var port: Int
    }
}

/// Where a site's mail goes.
struct SiteRoute: Sendable {
    /// The name shown to people; the canonical name of the set of MX hosts.
    var name: String
    /// Hosts by preference.
    var hosts: [SiteHost]
    /// The port of all of them.
    var port: Int
}

/// A host of a site.
struct SiteHost: Sendable, Hashable {
    var name: String
    var preference: Int
    var addresses: [String]
}
