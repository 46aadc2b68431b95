// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore

/// The ledgers of all satellites: which are connected, welcomed or absent, and what each holds.
///
/// They lie in one place because every decision about leases reads and changes them: a handshake welcomes a session with
/// the leases that the store lists for it, a grant counts against the credit of that session, a revocation is sent to it.
/// What is decided between two waits for the store sees all of that or nothing, so the parts of the ``Dispatcher`` share
/// the ledgers and its isolation. This type is not `Sendable`, and so never leaves the dispatcher.
final class SatelliteLedgers {
    private let time: MasterTime
    private var hasFoundAbsent = false
    /// A satellite without a ledger is neither connected nor known to hold leases.
    var bySatellite: [SatelliteID: SatelliteLedger] = [:]

    init(time: MasterTime) { self.time = time }

    // MARK: Sessions

    /// The sessions that count.
    var sessions: [SatelliteSession] { self.bySatellite.values.compactMap(\.session) }

    /// Whether a session is the one that counts of its satellite.
    func isCurrent(_ session: SatelliteSession) -> Bool {
        self.bySatellite[session.satellite]?.session == session
    }

    /// A handshake arrived: this session counts from now on.
    func connected(_ session: SatelliteSession) {
        var ledger =
            self.bySatellite[session.satellite]
            ?? SatelliteLedger(id: session.satellite, absentSince: self.time.elapsed())
        ledger.connected(session)
        ledger.lastSeen = self.time.now()
        self.bySatellite[session.satellite] = ledger
    }

    /// A message arrived: changes the ledger, unless another session counts by now.
    func heard(from session: SatelliteSession, _ change: (inout SatelliteLedger) -> Void) {
        guard var ledger = self.bySatellite[session.satellite], ledger.session == session else { return }
        ledger.lastSeen = self.time.now()
        change(&ledger)
        self.bySatellite[session.satellite] = ledger
    }

    // MARK: What the store lists

    /// Opens a ledger for every satellite that holds leases and has not come back since the master started; once.
    func findAbsent(in store: MailingStore) async throws {
        guard !self.hasFoundAbsent else { return }
        // A satellite that holds leases and does not come back is away since the master started, and no sooner.
        let now = self.time.elapsed()
        for satellite in Set(try await store.leases(of: nil).map(\.satellite))
        where self.bySatellite[satellite] == nil {
            self.bySatellite[satellite] = SatelliteLedger(id: satellite, absentSince: now)
        }
        self.hasFoundAbsent = true
    }

    /// Recounts from the store what the ledgers that are uncertain of it hold.
    ///
    /// - Returns: Whether all of them are counted; if not, it is to be done again.
    func recount(from store: MailingStore) async throws -> Bool {
        let due = self.bySatellite.filter { $0.value.needsRecount && $0.value.isWelcomed }
        guard !due.isEmpty else { return true }
        // One reading for all: while one after the other was read, the first would change again.
        let only = due.count == 1 ? due.first?.key : nil
        let summaries = Dictionary(grouping: try await store.leases(of: only), by: \.satellite)
        var isComplete = true
        for (id, old) in due {
            // What was read may be older than what was counted meanwhile; then it is asked again in the next turn.
            guard let ledger = self.bySatellite[id], ledger.changes == old.changes else {
                isComplete = false
                continue
            }
            self.bySatellite[id]?.recount(summaries[id] ?? [], now: self.time.elapsed())
        }
        return isComplete
    }

    // MARK: What others ask

    /// The welcomed satellites that may be given leases, in order of number.
    func candidates(among directory: SatelliteDirectory) -> [LeasePlanner.Candidate] {
        self.bySatellite.values.filter(\.isWelcomed).sorted { $0.id < $1.id }.compactMap { ledger in
            guard let record = directory[ledger.id], record.enabled else { return nil }
            return LeasePlanner.Candidate(
                id: record.id,
                group: record.group,
                weight: record.weight,
                affinity: record.affinity
            )
        }
    }

    /// The room for further leases of each satellite.
    func rooms(_ leasing: MasterConfiguration.Leasing) -> [SatelliteID: LeasePlanner.Room] {
        self.bySatellite.mapValues { ledger in
            ledger.room(
                maximumLease: leasing.maximumRecipients,
                maximumUnaccepted: leasing.maximumUnaccepted,
                maximumUnacceptedBytes: leasing.maximumUnacceptedBytes
            )
        }
    }

    /// The satellites of the directory as the status shows them.
    func satellites(of directory: SatelliteDirectory) -> [MasterStatus.Satellite] {
        directory.records.map { record in
            let ledger = self.bySatellite[record.id]
            let load = ledger?.load ?? SatelliteLoad()
            return MasterStatus.Satellite(
                id: record.id.rawValue,
                serial: record.serial,
                group: record.group,
                enabled: record.enabled,
                connected: ledger?.isWelcomed ?? false,
                draining: load.draining,
                version: record.version,
                lastSeenAt: ledger?.lastSeen?.rfc3339,
                outstanding: ledger?.outstanding ?? 0,
                credit: ledger?.limit ?? 0,
                waiting: load.waiting,
                started: load.started,
                connections: load.connections,
                unacknowledgedReports: load.unacknowledgedReports,
                attemptsLastMinute: load.attemptsLastMinute
            )
        }
    }
}
