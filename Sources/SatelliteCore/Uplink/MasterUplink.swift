// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
import Logging
public import MailingModel
import SatelliteJournal

/// The satellite's way to its master, as the satellite needs it: the real link, or a scripted one in tests.
public protocol MasterUplink: Sendable {
    /// Connects and stays connected until the task is cancelled.
    func run() async throws
    /// The next event in order; `nil` once the link has stopped. For one reader.
    func nextEvent() async -> SatelliteLinkEvent?
    /// Hands a message over; dropped without a master, since what must arrive is repeated by its owner.
    func transmit(_ message: SatelliteMessage) async
    /// Hands a message over if this connection, as its event named it, still stands; else it is dropped.
    func transmit(_ message: SatelliteMessage, over connection: UInt64) async
    /// Fetches a blob and checks its hash.
    ///
    /// - Throws: `ClusterLinkError`.
    func blob(_ hash: BlobHash) async throws -> [UInt8]
}

extension SatelliteLink: MasterUplink {
    /// The next event in order; `nil` once the link has stopped.
    public func nextEvent() async -> SatelliteLinkEvent? {
        var events = self.events.makeAsyncIterator()
        return await events.next()
    }

    /// Hands a message over; dropped without a master.
    public func transmit(_ message: SatelliteMessage) async { await self.send(message) }

    /// Hands a message over if this connection still stands.
    public func transmit(_ message: SatelliteMessage, over connection: UInt64) async {
        await self.send(message, over: connection)
    }
}

/// How many recipients the master may entrust to this satellite.
struct Credit: Sendable {
    private let uplink: any MasterUplink
    private let condition: Condition
    private let bulk: Int
    private let express: Int

    init(_ configuration: SatelliteConfiguration, uplink: any MasterUplink, condition: Condition) {
        self.uplink = uplink
        self.condition = condition
        self.bulk = configuration.bulkCredit
        self.express = configuration.expressCredit
    }

    /// Reports to the master how much is taken: nothing while the journal has no room, resources are short, or at the end.
    func send() async {
        let takesNothing = self.condition.takesNothing
        await self.uplink.transmit(
            .credit([.bulk: takesNothing ? 0 : self.bulk, .express: takesNothing ? 0 : self.express])
        )
    }
}

extension Handshake {
    /// What a satellite says of itself and its journal as it stands now.
    init(_ configuration: SatelliteConfiguration, _ journal: Journal) {
        let highest = journal.highest
        self.init(
            serial: configuration.serial,
            incarnation: journal.incarnation,
            journalID: journal.journalID,
            bootID: journal.bootID,
            softwareVersion: configuration.softwareVersion,
            highestTerm: highest.term,
            highestLeaseSerial: highest.lease,
            heldLeases: journal.heldLeases
        )
        self.journaledLeases = journal.journaledLeases
        self.newestStore = journal.store
        self.journalSession = journal.session
        self.earlierIncarnations = journal.earlierIncarnations
        self.journalFound = journal.found
        self.journalPosition = journal.position
        self.journalIsCopy = journal.isCopy
    }
}

/// Acts on what comes from the master, in order: passes each message to the part that it concerns.
final class UplinkReader: Sendable {
    private let uplink: any MasterUplink
    private let journal: Journal
    private let credit: Credit
    private let condition: Condition
    private let scheduler: SharedScheduler
    private let reports: Reports
    private let inbox: LeaseInbox
    private let recovered: RecoveredLeases
    private let keys: SigningKeyCache
    private let logger: Logger

    init(
        _ uplink: any MasterUplink,
        journal: Journal,
        credit: Credit,
        condition: Condition,
        scheduler: SharedScheduler,
        reports: Reports,
        inbox: LeaseInbox,
        recovered: RecoveredLeases,
        keys: SigningKeyCache,
        logger: Logger
    ) {
        self.uplink = uplink
        self.journal = journal
        self.credit = credit
        self.condition = condition
        self.scheduler = scheduler
        self.reports = reports
        self.inbox = inbox
        self.recovered = recovered
        self.keys = keys
        self.logger = logger
    }

    /// Reads until the link or the task ends.
    ///
    /// - Throws: ``SatelliteError`` with code `superseded`, or `linkEnded` if the satellite was not to end.
    func run() async throws {
        while let event = await self.uplink.nextEvent() {
            switch event {
            case .connected(let welcome, let connection): await self.connected(welcome, connection)
            case .message(let message): try await self.received(message)
            case .disconnected(let reason):
                self.logger.warning("the master is away; started recipients go on", metadata: ["reason": "\(reason)"])
                self.scheduler.withLock { $0.disconnected() }
                self.reports.disconnected()
            case .failed: break  // The link has logged it.
            }
        }
        guard Task.isCancelled || self.condition.isStopping else {
            throw SatelliteError(.linkEnded, "the link to the master has ended")
        }
    }

    private func connected(_ welcome: Welcome, _ connection: UInt64) async {
        self.logger.info("accepted by the master", metadata: ["term": "\(welcome.term.rawValue)"])
        self.condition.accepted()
        let known = Set(welcome.knownLeases)
        let forgotten = self.scheduler.withLock { scheduler in
            scheduler.isConnected = true
            return scheduler.leases.keys.filter { !known.contains($0) }.sorted()
        }
        for lease in forgotten {
            self.logger.warning("the master no longer knows a lease", metadata: ["lease": "\(lease)"])
            self.scheduler.change { scheduler, _ in scheduler.abandon(lease) }
        }
        self.recovered.takeUp(isDistrusted: welcome.journalIsDistrusted)
        // A shutdown that began without a master has kept what it could not give back.
        if self.scheduler.withLock({ $0.isDraining }) { self.scheduler.change { scheduler, _ in scheduler.drain() } }
        await self.credit.send()
        for (lease, entries) in self.journal.returnedEntries where known.contains(lease) {
            await self.uplink.transmit(.returned(lease, neverStarted: entries))
        }
        self.reports.connected(connection)
        self.scheduler.notifyStarts()
    }

    private func received(_ message: MasterMessage) async throws {
        switch message {
        case .grant(let grant): self.inbox.add(grant)
        case .started(let lease, let started, let refused): self.inbox.add(lease, started: started, refused: refused)
        case .reportsApplied(let sequence): self.inbox.add(acknowledged: self.reports.acknowledged(sequence))
        case .revoke(let lease, let reason):
            self.logger.debug("lease revoked", metadata: ["lease": "\(lease)", "reason": "\(reason)"])
            self.scheduler.change { scheduler, _ in
                reason == .unknown ? scheduler.abandon(lease) : scheduler.revoke(lease)
            }
        case .signingKey(let hash, let pem): await self.keys.received(hash, pem: pem)
        case .rejected(let rejection): self.condition.rejected(rejection)
        case .superseded: throw self.condition.supersede()
        case .welcome, .heartbeat: break  // The link's own.
        }
    }
}
