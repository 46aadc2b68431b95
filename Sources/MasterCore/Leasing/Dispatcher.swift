// SPDX-License-Identifier: Apache-2.0
//
// One loop makes every decision about leases, one after the other: answer handshakes, revoke, plan, claim, grant. Whatever
// happens elsewhere only changes what this actor knows and notifies its loop, so that no two decisions ever cross while one
// waits for the store.

import ClusterLink
import Logging
import MailingModel
import MasterStore

/// Leases recipients to satellites, and revokes leases.
///
/// Its parts are ``SatelliteSessions``, ``Revoking`` and ``Granting``. Each has state of its own, and all of them decide by
/// the same ``SatelliteLedgers``, so they are one actor: they are classes that are not `Sendable` and never leave it, and
/// their asynchronous methods run on it. An event is handled between two waits of the turn, never beside it.
actor Dispatcher {
    /// Notified when a turn has something to decide.
    nonisolated let signal: Signal
    private let store: MailingStore
    private let directory: SatelliteDirectory
    private let ledgers: SatelliteLedgers
    private let granting: Granting
    private let revoking: Revoking
    private let sessions: SatelliteSessions

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        configuration: MasterConfiguration,
        time: MasterTime,
        rates: RateWindow,
        safeMode: SafeMode,
        logger: Logger
    ) {
        let signal = Signal()
        let ledgers = SatelliteLedgers(time: time)
        let granting = Granting(
            store: store,
            channel: channel,
            directory: directory,
            ledgers: ledgers,
            configuration: configuration,
            time: time,
            rates: rates,
            safeMode: safeMode,
            signal: signal,
            logger: logger
        )
        let revoking = Revoking(
            store: store,
            channel: channel,
            directory: directory,
            ledgers: ledgers,
            granting: granting,
            configuration: configuration.leasing,
            time: time,
            logger: logger
        )
        self.sessions = SatelliteSessions(
            store: store,
            channel: channel,
            directory: directory,
            ledgers: ledgers,
            granting: granting,
            revoking: revoking,
            safeMode: safeMode,
            time: time,
            logger: logger
        )
        self.signal = signal
        self.store = store
        self.directory = directory
        self.ledgers = ledgers
        self.granting = granting
        self.revoking = revoking
    }

    // MARK: The loop

    /// Makes every decision that is due.
    ///
    /// - Returns: When to look again at the latest, on the measuring clock.
    /// - Throws: What the store threw; calling again repeats what was not done.
    func turn() async throws -> Duration {
        try await self.ledgers.findAbsent(in: self.store)
        // Before the handshakes: a satellite that has returned a lease does not name it any more.
        try await self.revoking.requeueReturned()
        try await self.sessions.answerHandshakes()
        try await self.revoking.revokeOverdue()
        if try await !self.ledgers.recount(from: self.store) { self.signal.notify() }
        try await self.granting.grant()
        let deadline = try await self.granting.deadline()
        return self.revoking.deadline.map { min($0, deadline) } ?? deadline
    }

    /// Stops granting leases.
    func stopGranting() { self.granting.stop() }

    /// Takes the mailings that were leased for the first time.
    func takeNewlyLeased() -> Set<MailingID> { self.granting.takeNewlyLeased() }

    /// Takes the mailings that may be complete because recipients of theirs were resolved.
    func takeResolved() -> Set<MailingID> { self.revoking.takeResolved() }

    // MARK: What the satellites say

    /// A satellite has sent a handshake; it is answered in the next turn.
    func connected(_ session: SatelliteSession, _ handshake: Handshake) {
        self.sessions.connected(session, handshake)
    }

    /// A session has ended.
    func ended(_ session: SatelliteSession, _ end: SessionEnd) { self.sessions.ended(session, end) }

    /// Records the credit that a satellite reports.
    func credit(_ session: SatelliteSession, _ limits: [DeliveryClass: Int]) {
        self.ledgers.heard(from: session) { $0.credit(limits) }
        self.signal.notify()
    }

    /// Records that a satellite has journaled a lease.
    func accepted(_ session: SatelliteSession, _ lease: LeaseSerial) {
        self.ledgers.heard(from: session) { $0.accepted(lease) }
        self.signal.notify()
    }

    /// Records the load that a satellite reports.
    func heard(_ session: SatelliteSession, _ load: SatelliteLoad) {
        self.ledgers.heard(from: session) { $0.load = load }
    }

    /// Queues entries that a satellite returns.
    func returned(_ session: SatelliteSession, _ lease: LeaseSerial, _ entries: EntryBitmap) {
        self.ledgers.heard(from: session) { _ in }
        self.revoking.returned(session.satellite, lease, entries)
        self.signal.notify()
    }

    // MARK: What was committed elsewhere

    /// Marks the backlog as stale, because work was added or removed.
    func workChanged() { self.granting.workChanged() }

    /// Drops what is planned for a mailing, because it was stopped or changed.
    func mailingStopped(_ id: MailingID) { self.granting.mailingStopped(id) }

    /// The generation of a satellite's counts, to be read before reports are applied.
    func generation(of satellite: SatelliteID) -> Int { self.ledgers.bySatellite[satellite]?.generation ?? 0 }

    /// Reports were applied.
    func reported(
        _ reports: [DeliveryReport],
        by satellite: SatelliteID,
        result: IntakeResult,
        generation: Int
    ) {
        self.ledgers.bySatellite[satellite]?.reported(reports, closed: result.closedLeases, generation: generation)
        self.granting.reported(result)
        self.signal.notify()
    }

    /// The store decided on start requests.
    func decided(_ decisions: [StartDecision], for satellite: SatelliteID) {
        for decision in decisions { self.ledgers.bySatellite[satellite]?.decided(decision) }
        if self.ledgers.bySatellite[satellite]?.needsRecount == true { self.signal.notify() }
    }

    /// Leases were revoked: notifies their satellites.
    func revoked(_ leases: [RevokedLease], because reason: RevocationReason) async {
        await self.revoking.revoked(leases, because: reason)
    }

    /// Records of satellites changed: those that may no longer be connected are dropped.
    func satellitesChanged() async {
        self.granting.workChanged()
        await self.sessions.dropDisallowed()
    }

    /// Removes a satellite; see ``Master/removeSatellite(_:force:)``.
    func remove(_ id: SatelliteID, force: Bool) async throws { try await self.revoking.remove(id, force: force) }

    /// Every session must repeat the handshake, and is then rejected or welcomed by what is true now.
    func dropAll() async { await self.sessions.dropAll() }

    // MARK: What others may know

    /// Adds what is known here of backlog and satellites to the status.
    func describe(_ status: inout MasterStatus) {
        self.granting.describe(&status)
        status.satellites = self.ledgers.satellites(of: self.directory)
    }
}
