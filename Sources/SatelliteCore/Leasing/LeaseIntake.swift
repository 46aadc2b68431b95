// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import NIOPosix
import SatelliteJournal
import Synchronization

/// What waits for the journal; taken out as a whole, so that one sync serves all of it.
final class LeaseInbox: Sendable {
    /// What one turn of the intake journals and acts on.
    struct Work: Sendable {
        /// Grants to be accepted.
        var grants: [LeaseGrant] = []
        /// Decisions of the master on start requests.
        var started: [(lease: LeaseSerial, started: EntryBitmap, refused: EntryBitmap)] = []
        /// Reports that the master has acknowledged.
        var acknowledged: [DeliveryReport] = []
        /// Recipients to be returned.
        var returned: [(lease: LeaseSerial, entries: EntryBitmap)] = []
        /// Recipients that the master refused.
        var refused: [(lease: LeaseSerial, entries: EntryBitmap)] = []

        var isEmpty: Bool {
            self.grants.isEmpty && self.started.isEmpty && self.acknowledged.isEmpty && self.returned.isEmpty
                && self.refused.isEmpty
        }
    }

    private struct State {
        var waiting = Work()
        /// Whether what was taken out before is still being written and reported.
        var isInHand = false
    }

    private let state = Mutex(State())
    private let filled = Signal()

    // MARK: Adding

    /// Adds a lease that the master has granted.
    func add(_ grant: LeaseGrant) { self.add { $0.grants.append(grant) } }

    /// Adds the master's answer to a start request.
    func add(_ lease: LeaseSerial, started: EntryBitmap, refused: EntryBitmap) {
        self.add { $0.started.append((lease, started, refused)) }
    }

    /// Adds reports that the master has acknowledged.
    func add(acknowledged reports: [DeliveryReport]) { self.add { $0.acknowledged += reports } }

    /// Adds recipients to be returned to the master, and those that it refused to start.
    func add(
        returned: [(lease: LeaseSerial, entries: EntryBitmap)],
        refused: [(lease: LeaseSerial, entries: EntryBitmap)]
    ) {
        self.add { work in
            work.returned += returned
            work.refused += refused
        }
    }

    private func add(_ body: (inout Work) -> Void) {
        self.state.withLock { body(&$0.waiting) }
        self.filled.notify()
    }

    /// Whether nothing waits and nothing is in hand: all that was brought is journalled and reported.
    var isDone: Bool { self.state.withLock { $0.waiting.isEmpty && !$0.isInHand } }

    // MARK: Taking out

    /// Yields whenever something may have been added.
    fileprivate var arrivals: AsyncStream<Void> { self.filled.stream }

    /// Takes out what waits, as the work in hand; empty if nothing does.
    fileprivate func take() -> Work {
        self.state.withLock { state in
            defer { state = State(isInHand: true) }
            return state.waiting
        }
    }

    /// What was taken out is written and reported.
    fileprivate func finished() { self.state.withLock { $0.isInHand = false } }
}

/// Takes leases on: journals what comes in, then acts on it, one batch after the other.
///
/// What the journal has no room for goes back to the master at once. Nothing is acknowledged, started or said to be returned
/// before the journal holds it.
final class LeaseIntake: Sendable {
    private let inbox: LeaseInbox
    private let journal: Journal
    private let uplink: any MasterUplink
    private let credit: Credit
    private let scheduler: SharedScheduler
    private let preparer: Preparer
    private let condition: Condition
    /// The thread that waits for the disk.
    private let blocking = NIOThreadPool(numberOfThreads: 1)

    init(
        _ inbox: LeaseInbox,
        journal: Journal,
        uplink: any MasterUplink,
        credit: Credit,
        scheduler: SharedScheduler,
        preparer: Preparer,
        condition: Condition
    ) {
        self.inbox = inbox
        self.journal = journal
        self.uplink = uplink
        self.credit = credit
        self.scheduler = scheduler
        self.preparer = preparer
        self.condition = condition
    }

    /// Works until the task is cancelled or the journal fails; runs once.
    func run() async throws {
        self.blocking.start()
        let result: Result<Void, any Error>
        do {
            try await self.work()
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try? await self.blocking.shutdownGracefully()  // Nothing is left to wait for it.
        try result.get()
    }

    private func work() async throws {
        for await _ in self.inbox.arrivals {
            while true {
                let work = self.inbox.take()
                guard !work.isEmpty else { break }
                let journal = self.journal
                let acceptance: Journal.Acceptance
                do {
                    acceptance = try await self.blocking.runIfActive { try Self.write(work, to: journal) }
                } catch let error as JournalError {
                    return self.condition.fail(error)
                }
                await self.act(on: work, acceptance)
            }
            self.inbox.finished()
        }
    }

    /// Blocks for as long as the disk takes.
    private static func write(_ work: LeaseInbox.Work, to journal: Journal) throws(JournalError) -> Journal.Acceptance {
        var acceptance = Journal.Acceptance()
        if !work.grants.isEmpty {
            CrashPoint.reached(.satelliteBeforeAccept)
            acceptance = try journal.accept(work.grants)
            CrashPoint.reached(.satelliteAfterAccept)
        }
        var started: [LeaseSerial: EntryBitmap] = [:]
        for decision in work.started where decision.started.count > 0 {
            started[decision.lease, default: EntryBitmap()].formUnion(decision.started)
        }
        if !started.isEmpty { try journal.recordStarted(started) }
        for (lease, entries) in work.returned + work.refused { try journal.recordReturned(lease, entries) }
        if !work.acknowledged.isEmpty {
            CrashPoint.reached(.satelliteBeforeForget)
            try journal.forget(work.acknowledged)
            CrashPoint.reached(.satelliteAfterForget)
        }
        return acceptance
    }

    private func act(on work: LeaseInbox.Work, _ acceptance: Journal.Acceptance) async {
        let accepted = Set(acceptance.accepted)
        let now = ContinuousClock.now
        for grant in work.grants {
            if accepted.contains(grant.serial) {
                await self.uplink.transmit(.leaseAccepted(grant.serial))
                self.takeOn(HeldLease(grant, since: now))
            } else {
                let all = EntryBitmap(grant.entries.indices)
                await self.uplink.transmit(.returned(grant.serial, neverStarted: all))
            }
        }
        if let reason = acceptance.reason {
            self.condition.diskFull(reason, now: .now)
            await self.credit.send()
        }
        for decision in work.started {
            self.scheduler.change { scheduler, now in
                scheduler.decideStart(decision.lease, started: decision.started, refused: decision.refused, now: now)
            }
        }
        for (lease, entries) in work.returned { await self.uplink.transmit(.returned(lease, neverStarted: entries)) }
    }

    private func takeOn(_ lease: HeldLease) {
        let indices = Array(lease.grant.entries.indices)
        let isNew = self.scheduler.withLock { scheduler in
            guard scheduler.leases[lease.serial] == nil else { return false }
            scheduler.hold(lease, waiting: indices, started: [])
            return true
        }
        guard isNew else { return }
        if self.condition.isStopping {
            self.scheduler.change { scheduler, _ in scheduler.withdraw(lease.serial) }
        } else {
            self.preparer.prepare(lease, indices)
        }
    }
}
