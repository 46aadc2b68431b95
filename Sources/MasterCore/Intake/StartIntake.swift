// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore
import Synchronization

/// Commits start requests, many leases at a time, and then sends the decisions.
///
/// While one commit is under way, what arrives is gathered for the next. Requests for one lease are joined, so that what
/// waits is bounded by the leases that are out.
final class StartIntake: Sendable {
    private struct Pending {
        /// By session, then by lease.
        var requests: [SatelliteSession: [LeaseSerial: EntryBitmap]] = [:]
    }

    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let directory: SatelliteDirectory
    private let time: MasterTime
    private let health: StoreHealth
    private let logger: Logger
    private let pending = Mutex(Pending())
    private let signal = Signal()

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        time: MasterTime,
        health: StoreHealth,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.directory = directory
        self.time = time
        self.health = health
        self.logger = logger
    }

    /// Adds a start request.
    func add(_ lease: LeaseSerial, _ entries: EntryBitmap, from session: SatelliteSession) {
        self.pending.withLock { $0.requests[session, default: [:]][lease, default: EntryBitmap()].formUnion(entries) }
        self.signal.notify()
    }

    /// Forgets the start requests of a session that has ended: its satellite repeats them.
    func ended(_ session: SatelliteSession) { self.pending.withLock { $0.requests[session] = nil } }

    /// Decides start requests until cancelled.
    ///
    /// - Parameter decided: Called with each decision after it is committed and sent.
    func run(_ decided: @escaping @Sendable ([StartDecision], SatelliteID) async -> Void) async {
        while !Task.isCancelled {
            let requests = self.pending.withLock { pending in
                defer { pending.requests = [:] }
                return pending.requests
            }
            if requests.isEmpty {
                await self.signal.wait()
                continue
            }
            await withTaskGroup { group in
                for (session, leases) in requests {
                    group.addTask { await self.decide(leases, of: session, decided) }
                }
            }
        }
    }

    private func decide(
        _ leases: [LeaseSerial: EntryBitmap],
        of session: SatelliteSession,
        _ decided: @Sendable ([StartDecision], SatelliteID) async -> Void
    ) async {
        let requests = leases.sorted { $0.key < $1.key }.map { StartRequest(lease: $0.key, entries: $0.value) }
        var groups = [requests[...]]
        while let group = groups.last, !Task.isCancelled {
            do {
                CrashPoint.reached(.masterBeforeStart)
                let decisions = try await self.store.start(
                    Array(group),
                    by: session.satellite,
                    at: self.time.now(),
                    journal: self.directory.sighting(of: session.satellite)
                )
                CrashPoint.reached(.masterAfterStart)
                self.health.succeeded("starting recipients")
                for decision in decisions {
                    _ = await self.channel.send(
                        .started(decision.lease, decision.granted, refused: decision.refused),
                        to: session
                    )
                }
                await decided(decisions, session.satellite)
                groups.removeLast()
            } catch let error as StoreError where !error.isOutage {
                groups.removeLast()
                // One of them cannot be decided at all: it must not hold up the others, nor other satellites.
                if group.count > 1 {
                    groups += group.indices.reversed().map { group[$0...$0] }
                } else {
                    self.logger.critical(
                        "a start cannot be decided and is given up; its satellite returns the recipients in time",
                        metadata: [
                            "lease": "\(group.map(\.lease))", "satellite": "\(session.serial)", "error": "\(error)",
                        ]
                    )
                }
            } catch {
                let wait = self.health.failed(error, while: "starting recipients")
                do {
                    try await self.time.sleep(until: self.time.elapsed() + wait)
                } catch {
                    return  // Cancelled: nothing was promised.
                }
            }
        }
    }
}
