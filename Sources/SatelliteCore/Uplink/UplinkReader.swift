// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import SatelliteJournal

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
