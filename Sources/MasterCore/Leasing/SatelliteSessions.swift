// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore

/// The dispatcher's part that opens and ends sessions: answers handshakes with a welcome or a rejection, and drops those
/// who may not be connected any more.
///
/// Lives in the isolation of the ``Dispatcher``: nothing is granted to a satellite while its handshake is being answered,
/// and what it is welcomed with is in its ledger before it can be granted more.
final class SatelliteSessions {
    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let directory: SatelliteDirectory
    private let ledgers: SatelliteLedgers
    private let granting: Granting
    private let revoking: Revoking
    private let memories: MemoryComparison
    private let safeMode: SafeMode
    private let time: MasterTime
    private let logger: Logger
    private var pendingHandshakes: [(session: SatelliteSession, handshake: Handshake)] = []

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        ledgers: SatelliteLedgers,
        granting: Granting,
        revoking: Revoking,
        safeMode: SafeMode,
        time: MasterTime,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.directory = directory
        self.ledgers = ledgers
        self.granting = granting
        self.revoking = revoking
        self.memories = MemoryComparison(
            store: store,
            directory: directory,
            revoking: revoking,
            time: time,
            logger: logger
        )
        self.safeMode = safeMode
        self.time = time
        self.logger = logger
    }

    // MARK: What happens elsewhere

    /// A satellite has sent a handshake; it is answered in the next turn.
    func connected(_ session: SatelliteSession, _ handshake: Handshake) {
        self.ledgers.connected(session)
        self.pendingHandshakes.append((session, handshake))
        self.granting.workChanged()
    }

    /// A session has ended.
    func ended(_ session: SatelliteSession, _ end: SessionEnd) {
        guard self.ledgers.isCurrent(session) else { return }
        self.ledgers.bySatellite[session.satellite]?.ended(session, now: self.time.elapsed())
        self.logger.log(
            level: end.isOrderly ? .info : .warning,
            "a satellite is away; its leases wait for it",
            metadata: ["satellite": "\(session.serial)", "end": "\(end)"]
        )
        self.granting.workChanged()
    }

    /// Drops the sessions whose keys are no longer their satellites'.
    func dropDisallowed() async {
        for (id, ledger) in self.ledgers.bySatellite {
            guard let session = ledger.session, self.directory.record(publicKey: session.publicKey)?.id != id else {
                continue
            }
            await self.channel.drop(session)
        }
    }

    /// Every session must repeat the handshake, and is then rejected or welcomed by what is true now.
    ///
    /// - Parameter excepted: A session that is being answered already.
    func dropAll(except excepted: SatelliteSession? = nil) async {
        for session in self.ledgers.sessions where session != excepted { await self.channel.drop(session) }
    }

    // MARK: Handshakes

    /// Answers the handshakes that have arrived.
    func answerHandshakes() async throws {
        while let (session, handshake) = self.pendingHandshakes.first {
            if self.ledgers.isCurrent(session) { try await self.answer(session, handshake) }
            self.pendingHandshakes.removeFirst()
        }
    }

    private func answer(_ session: SatelliteSession, _ handshake: Handshake) async throws {
        guard let record = self.directory[session.satellite], record.enabled else {
            await self.reject(session, .disabled, "satellite \(session.serial) is disabled")
            return
        }
        self.safeMode.saw(handshake.highestLeaseSerial)
        let evidence = try await self.memories.reasonToDistrustStore(handshake, of: session)
        if let evidence, self.safeMode.enter("satellite \(session.serial) \(evidence)") {
            // Whoever was welcomed before would wait for start permission that it is not given.
            await self.dropAll(except: session)
        }
        if let reason = self.safeMode.reason {
            let text = "the master is in safe mode until its operator confirms the store: \(reason)"
            await self.reject(session, .safeMode, text)
            return
        }
        if evidence != nil { try await self.memories.reconcile(handshake, of: session) }
        let isDistrusted = try await self.memories.examineJournal(handshake, of: session)
        let changes = self.ledgers.bySatellite[session.satellite]?.changes
        let remaining = try await self.revokeMissing(handshake, of: session)
        if record.version != handshake.softwareVersion {
            let stored = try await self.store.updateSatellite(record.id) { $0.version = handshake.softwareVersion }
            self.directory.insert(stored)
        }
        guard self.ledgers.isCurrent(session) else { return }
        // Reports of an earlier session may have been applied while the store was read.
        let isOutdated = self.ledgers.bySatellite[session.satellite]?.changes != changes
        self.ledgers.bySatellite[session.satellite]?.welcomed(holding: remaining, now: self.time.elapsed())
        if isOutdated { self.ledgers.bySatellite[session.satellite]?.needsRecount = true }
        self.granting.backlogChanged()
        await self.welcome(session, handshake, remaining, group: record.group, isDistrusted: isDistrusted)
    }

    private func reject(_ session: SatelliteSession, _ code: Rejection.Code, _ text: String) async {
        _ = await self.channel.send(.rejected(Rejection(code: code, text: text)), to: session)
    }

    /// Revokes the leases that a satellite should hold and does not; returns those that are left.
    private func revokeMissing(_ handshake: Handshake, of session: SatelliteSession) async throws -> [LeaseSummary] {
        let stored = try await self.store.leases(of: session.satellite)
        let held = Set(handshake.heldLeases)
        let missing = stored.filter { !held.contains($0.serial) && $0.open > 0 }
        guard !missing.isEmpty else { return stored }
        let uncertain = try await self.revoking.revokeMissing(missing)
        if uncertain > 0 {
            self.logger.error(
                "a satellite came back without leases that it had started; their recipients are uncertain",
                metadata: [
                    "satellite": "\(session.serial)", "recipients": "\(uncertain)", "journal": "\(handshake.journalID)",
                ]
            )
        }
        return try await self.store.leases(of: session.satellite)
    }

    /// Sends the welcome, and then revokes what the satellite holds and should not.
    private func welcome(
        _ session: SatelliteSession,
        _ handshake: Handshake,
        _ leases: [LeaseSummary],
        group: String?,
        isDistrusted: Bool
    ) async {
        let held = Set(handshake.heldLeases)
        let known = leases.filter { $0.open > 0 && held.contains($0.serial) }
        let identity = self.store.identity
        var welcome = Welcome(
            storeID: identity.storeID,
            term: identity.term,
            knownLeases: known.map(\.serial).sorted(),
            group: group
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
            metadata: [
                "satellite": "\(session.serial)", "leases": "\(known.count)", "version": "\(handshake.softwareVersion)",
            ]
        )
    }
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
