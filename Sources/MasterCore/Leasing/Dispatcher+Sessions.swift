// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore

extension Dispatcher {
    /// A satellite has sent a handshake; it is answered in the next turn.
    func connected(_ session: SatelliteSession, _ handshake: Handshake) {
        var ledger =
            self.ledgers[session.satellite]
            ?? SatelliteLedger(id: session.satellite, absentSince: self.time.elapsed())
        ledger.connected(session)
        ledger.lastSeen = self.time.now()
        self.ledgers[session.satellite] = ledger
        self.pendingHandshakes.append((session, handshake))
        self.backlogIsStale = true
        self.signal.notify()
    }

    /// A session has ended.
    func ended(_ session: SatelliteSession, _ end: SessionEnd) {
        guard self.ledgers[session.satellite]?.session == session else { return }
        self.ledgers[session.satellite]?.ended(session, now: self.time.elapsed())
        self.logger.log(
            level: end.isOrderly ? .info : .warning,
            "a satellite is away; its leases wait for it",
            metadata: ["satellite": "\(session.serial)", "end": "\(end)"]
        )
        self.backlogIsStale = true
        self.signal.notify()
    }

    /// Answers the handshakes that have arrived.
    func answerHandshakes() async throws {
        while let (session, handshake) = self.pendingHandshakes.first {
            if self.ledgers[session.satellite]?.session == session { try await self.answer(session, handshake) }
            self.pendingHandshakes.removeFirst()
        }
    }

    private func answer(_ session: SatelliteSession, _ handshake: Handshake) async throws {
        let satellite: Logger.Metadata = ["satellite": "\(session.serial)"]
        guard let record = self.directory[session.satellite], record.enabled else {
            _ = await self.channel.send(
                .rejected(Rejection(code: .disabled, text: "satellite \(session.serial) is disabled")),
                to: session
            )
            return
        }
        let isAhead = try await self.compare(handshake, of: session)
        if let reason = self.safeMode.reason {
            let text = "the master is in safe mode until its operator confirms the store: \(reason)"
            _ = await self.channel.send(.rejected(Rejection(code: .safeMode, text: text)), to: session)
            return
        }
        if isAhead, self.reconciled[session.satellite] != handshake.incarnation {
            try await self.resolveFinished(by: session, handshake)
            self.reconciled[session.satellite] = handshake.incarnation
        }
        let isDistrusted = try await self.examineJournal(handshake, of: session)
        let changes = self.ledgers[session.satellite]?.changes
        let stored = try await self.store.leases(of: session.satellite)
        let held = Set(handshake.heldLeases)
        let missing = stored.filter { !held.contains($0.serial) && $0.open > 0 }
        if !missing.isEmpty {
            // What it does not hold it cannot send any more: what was never started waits again, what was started may
            // have been sent by a process that left no trace.
            CrashPoint.reached(.masterBeforeRevoke)
            _ = try await self.store.revoke(missing.filter { !$0.isRevoked }.map(\.serial), at: self.time.now())
            let started = missing.filter { $0.started > 0 }.map(\.serial)
            let uncertain =
                started.isEmpty ? 0 : try await self.store.resolveStarted(of: started, at: self.time.now())
            CrashPoint.reached(.masterAfterRevoke)
            if uncertain > 0 {
                self.logger.error(
                    "a satellite came back without leases that it had started; their recipients are uncertain",
                    metadata: satellite.merging(["recipients": "\(uncertain)", "journal": "\(handshake.journalID)"]) {
                        $1
                    }
                )
            }
            self.resolvedMailings.formUnion(missing.map(\.mailing))
        }
        let remaining = missing.isEmpty ? stored : try await self.store.leases(of: session.satellite)
        if record.version != handshake.softwareVersion {
            let stored = try await self.store.updateSatellite(record.id) { $0.version = handshake.softwareVersion }
            self.directory.insert(stored)
        }
        guard let ledger = self.ledgers[session.satellite], ledger.session == session else { return }
        self.ledgers[session.satellite]?.welcomed(holding: remaining, now: self.time.elapsed())
        // Reports of an earlier session may have been applied while the store was read.
        if ledger.changes != changes { self.ledgers[session.satellite]?.needsRecount = true }
        self.backlogIsStale = true
        let known = remaining.filter { $0.open > 0 && held.contains($0.serial) }
        let identity = self.store.identity
        var welcome = Welcome(
            storeID: identity.storeID,
            term: identity.term,
            knownLeases: known.map(\.serial).sorted(),
            group: record.group
        )
        welcome.journalIsDistrusted = isDistrusted
        _ = await self.channel.send(.welcome(welcome), to: session)
        let names = Set(known.map(\.serial))
        for serial in handshake.heldLeases where !names.contains(serial) {
            _ = await self.channel.send(.revoke(serial, .unknown), to: session)
        }
        for lease in known where lease.isRevoked {
            _ = await self.channel.send(.revoke(lease.serial, .reassigned), to: session)
        }
        self.logger.info(
            "satellite welcomed",
            metadata: satellite.merging(["leases": "\(known.count)", "version": "\(handshake.softwareVersion)"]) { $1 }
        )
    }

    // MARK: Revoking

    /// Requeues the entries that satellites have returned.
    func requeueReturned() async throws {
        while let (session, lease, entries) = self.returns.first {
            try await self.store.requeue(lease, entries: entries, from: session.satellite, at: self.time.now())
            self.returns.removeFirst()
            self.ledgers[session.satellite]?.returned(lease, entries)
            self.backlogIsStale = true
        }
    }

    /// Revokes leases of satellites that are away, and grants that were not acknowledged.
    func revokeOverdue() async throws {
        let now = self.time.elapsed()
        let unsendable = self.takeUnsendable()
        do {
            try await self.revoke(unsendable, because: .reassigned)
        } catch {
            self.keepUnsendable(unsendable)
            throw error
        }
        for ledger in self.ledgers.values.sorted(by: { $0.id < $1.id }) {
            let late = ledger.unaccepted(sentBy: now - self.configuration.leasing.acceptance)
            if ledger.session != nil, !late.isEmpty {
                self.logger.warning(
                    "a satellite did not acknowledge leases in time; they are revoked",
                    metadata: ["satellite": "\(self.name(of: ledger.id))", "leases": "\(late.count)"]
                )
                try await self.revoke(late, because: .reassigned)
                // One that was revoked before it was handed over is not named again by the store.
                for serial in late { self.ledgers[ledger.id]?.revoked(serial) }
            }
            guard let since = ledger.absentSince else { continue }
            if !ledger.isRevoked, now - since >= self.configuration.leasing.lifetime {
                let open = try await self.store.leases(of: ledger.id).filter { !$0.isRevoked && $0.open > 0 }
                try await self.revoke(open.map(\.serial), because: .reassigned)
                guard self.ledgers[ledger.id]?.absentSince == since else { continue }
                self.ledgers[ledger.id]?.isRevoked = true
                if !open.isEmpty {
                    self.logger.warning(
                        "a satellite has been away for longer than lease.lifetime; its never-started recipients go to other satellites",
                        metadata: ["satellite": "\(self.name(of: ledger.id))", "leases": "\(open.count)"]
                    )
                }
            }
            guard now - since >= self.configuration.leasing.quarantine else { continue }
            try await self.resolve(
                ledger.id,
                because:
                    "a satellite has been away for longer than lease.quarantine; its started recipients become uncertain"
            )
            guard self.ledgers[ledger.id]?.absentSince == since else { continue }
            self.ledgers[ledger.id] = nil
        }
    }

    /// Revokes leases and notifies their satellites.
    func revoke(_ serials: [LeaseSerial], because reason: RevocationReason) async throws {
        guard !serials.isEmpty else { return }
        CrashPoint.reached(.masterBeforeRevoke)
        let revoked = try await self.store.revoke(serials, at: self.time.now())
        CrashPoint.reached(.masterAfterRevoke)
        await self.revoked(revoked, because: reason)
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
        self.ledgers[id]?.needsRecount = true
        self.resolvedMailings.formUnion(open.map(\.mailing))
        self.workChanged()
    }

    /// Removes a satellite; see ``Master/removeSatellite(_:force:)``.
    func remove(_ id: SatelliteID, force: Bool) async throws {
        self.directory.insert(try await self.store.updateSatellite(id) { $0.enabled = false })
        self.workChanged()
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
        let session = self.ledgers[id]?.session
        try await self.store.removeSatellite(id)
        self.logger.info("satellite removed", metadata: ["satellite": "\(self.name(of: id))"])
        self.directory.remove(id)
        self.ledgers[id] = nil
        self.workChanged()
        if let session { await self.channel.drop(session) }
    }

    func name(of id: SatelliteID) -> String { self.directory[id]?.serial ?? "\(id.rawValue)" }
}

extension SessionEnd {
    /// Whether the session ended without a fault of the satellite.
    fileprivate var isOrderly: Bool {
        switch self {
        case .goodbye, .superseded, .handshakeRepeated: true
        case .silent, .rejected, .connectionLost, .doesNotRead: false
        }
    }
}
