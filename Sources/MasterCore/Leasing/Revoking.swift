// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore

/// The dispatcher's part that revokes: requeues what satellites return, revokes the leases of those that are absent or silent,
/// and makes uncertain what they had started.
///
/// Lives in the isolation of the ``Dispatcher``, because what it revokes must be off the ledgers before more is granted.
final class Revoking {
    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let directory: SatelliteDirectory
    private let ledgers: SatelliteLedgers
    private let granting: Granting
    private let configuration: MasterConfiguration.Leasing
    private let time: MasterTime
    private let logger: Logger

    private var returns: [(satellite: SatelliteID, lease: LeaseSerial, entries: EntryBitmap)] = []
    /// Mailings with recipients that were resolved, and that may be complete by that.
    private var resolvedMailings: Set<MailingID> = []

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        ledgers: SatelliteLedgers,
        granting: Granting,
        configuration: MasterConfiguration.Leasing,
        time: MasterTime,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.directory = directory
        self.ledgers = ledgers
        self.granting = granting
        self.configuration = configuration
        self.time = time
        self.logger = logger
    }

    // MARK: Returned entries

    /// Queues entries that a satellite returns.
    func returned(_ satellite: SatelliteID, _ lease: LeaseSerial, _ entries: EntryBitmap) {
        self.returns.append((satellite, lease, entries))
    }

    /// Requeues the entries that satellites have returned.
    func requeueReturned() async throws {
        while let (satellite, lease, entries) = self.returns.first {
            try await self.store.requeue(lease, entries: entries, from: satellite, at: self.time.now())
            self.returns.removeFirst()
            self.ledgers.bySatellite[satellite]?.returned(lease, entries)
            self.granting.backlogChanged()
        }
    }

    // MARK: Overdue leases

    /// Revokes leases of satellites that are away, grants that were not acknowledged, and those that could not be sent.
    func revokeOverdue() async throws {
        let now = self.time.elapsed()
        let unsendable = self.granting.takeUnsendable()
        do {
            try await self.revoke(unsendable, because: .reassigned)
        } catch {
            self.granting.keepUnsendable(unsendable)
            throw error
        }
        for ledger in self.ledgers.bySatellite.values.sorted(by: { $0.id < $1.id }) {
            let late = ledger.unaccepted(sentBy: now - self.configuration.acceptance)
            if ledger.session != nil, !late.isEmpty {
                self.logger.warning(
                    "a satellite did not acknowledge leases in time; they are revoked",
                    metadata: ["satellite": "\(self.name(of: ledger.id))", "leases": "\(late.count)"]
                )
                try await self.revoke(late, because: .reassigned)
                // One that was revoked before it was handed over is not named again by the store.
                for serial in late { self.ledgers.bySatellite[ledger.id]?.revoked(serial) }
            }
            guard let since = ledger.absentSince else { continue }
            if !ledger.isRevoked, now - since >= self.configuration.lifetime {
                let open = try await self.store.leases(of: ledger.id).filter { !$0.isRevoked && $0.open > 0 }
                try await self.revoke(open.map(\.serial), because: .reassigned)
                guard self.ledgers.bySatellite[ledger.id]?.absentSince == since else { continue }
                self.ledgers.bySatellite[ledger.id]?.isRevoked = true
                if !open.isEmpty {
                    self.logger.warning(
                        "a satellite has been away for longer than lease.lifetime; its never-started recipients go to other satellites",
                        metadata: ["satellite": "\(self.name(of: ledger.id))", "leases": "\(open.count)"]
                    )
                }
            }
            guard now - since >= self.configuration.quarantine else { continue }
            try await self.resolve(
                ledger.id,
                because:
                    "a satellite has been away for longer than lease.quarantine; its started recipients become uncertain"
            )
            guard self.ledgers.bySatellite[ledger.id]?.absentSince == since else { continue }
            self.ledgers.bySatellite[ledger.id] = nil
        }
    }

    /// When the next lease is overdue, or `nil`.
    var deadline: Duration? {
        var deadlines: [Duration] = []
        for ledger in self.ledgers.bySatellite.values {
            if let sent = ledger.oldestUnaccepted { deadlines.append(sent + self.configuration.acceptance) }
            if let since = ledger.absentSince {
                deadlines.append(
                    since + (ledger.isRevoked ? self.configuration.quarantine : self.configuration.lifetime)
                )
            }
        }
        return deadlines.min()
    }

    // MARK: Steps

    /// Revokes leases and notifies their satellites.
    private func revoke(_ serials: [LeaseSerial], because reason: RevocationReason) async throws {
        guard !serials.isEmpty else { return }
        CrashPoint.reached(.masterBeforeRevoke)
        let revoked = try await self.store.revoke(serials, at: self.time.now())
        CrashPoint.reached(.masterAfterRevoke)
        await self.revoked(revoked, because: reason)
    }

    /// Leases were revoked: notifies their satellites.
    func revoked(_ leases: [RevokedLease], because reason: RevocationReason) async {
        var messages: [(SatelliteSession, LeaseSerial)] = []
        for lease in leases {
            self.ledgers.bySatellite[lease.satellite]?.revoked(lease.serial)
            if let session = self.ledgers.bySatellite[lease.satellite]?.session {
                messages.append((session, lease.serial))
            }
        }
        self.granting.workChanged()
        for (session, serial) in messages { _ = await self.channel.send(.revoke(serial, reason), to: session) }
    }

    /// Ends the leases that a satellite should hold and does not: what was never started waits again, what was started may
    /// have been sent by a process that left no trace.
    ///
    /// - Returns: How many recipients are uncertain by that.
    func revokeMissing(_ missing: [LeaseSummary]) async throws -> Int {
        CrashPoint.reached(.masterBeforeRevoke)
        _ = try await self.store.revoke(missing.filter { !$0.isRevoked }.map(\.serial), at: self.time.now())
        let started = missing.filter { $0.started > 0 }.map(\.serial)
        let uncertain = started.isEmpty ? 0 : try await self.store.resolveStarted(of: started, at: self.time.now())
        CrashPoint.reached(.masterAfterRevoke)
        self.resolvedMailings.formUnion(missing.map(\.mailing))
        return uncertain
    }

    /// Makes the started recipients of a satellite uncertain.
    func resolve(_ id: SatelliteID, because reason: Logger.Message) async throws {
        let open = try await self.store.leases(of: id).filter { $0.open > 0 && $0.started > 0 }
        guard !open.isEmpty else { return }
        let count = try await self.store.resolveStarted(of: open.map(\.serial), at: self.time.now())
        self.logger.error(
            reason,
            metadata: ["satellite": "\(self.name(of: id))", "uncertain": "\(count)"]
        )
        self.ledgers.bySatellite[id]?.needsRecount = true
        self.resolved(open.map(\.mailing))
    }

    /// Recipients of these mailings were resolved.
    func resolved(_ mailings: [MailingID]) {
        self.resolvedMailings.formUnion(mailings)
        self.granting.workChanged()
    }

    /// Takes the mailings that may be complete because recipients of theirs were resolved.
    func takeResolved() -> Set<MailingID> {
        defer { self.resolvedMailings = [] }
        return self.resolvedMailings
    }

    /// Removes a satellite; see ``Master/removeSatellite(_:force:)``.
    func remove(_ id: SatelliteID, force: Bool) async throws {
        self.directory.insert(try await self.store.updateSatellite(id) { $0.enabled = false })
        self.granting.workChanged()
        let open = try await self.store.leases(of: id).filter { $0.open > 0 }
        try await self.revoke(open.filter { !$0.isRevoked }.map(\.serial), because: .removed)
        if force { try await self.resolve(id, because: "a satellite is removed before it has reported everything") }
        let started = try await self.store.leases(of: id).reduce(0) { $0 + $1.open }
        guard started == 0 else {
            throw MasterError(
                .satelliteBusy(started: started),
                "satellite \(self.name(of: id)) has \(started) started recipients; it takes no new ones: remove it again "
                    + "when they are reported, or force"
            )
        }
        let session = self.ledgers.bySatellite[id]?.session
        try await self.store.removeSatellite(id)
        self.logger.info("satellite removed", metadata: ["satellite": "\(self.name(of: id))"])
        self.directory.remove(id)
        self.ledgers.bySatellite[id] = nil
        self.granting.workChanged()
        if let session { await self.channel.drop(session) }
    }

    private func name(of id: SatelliteID) -> String { self.directory[id]?.serial ?? "\(id.rawValue)" }
}
