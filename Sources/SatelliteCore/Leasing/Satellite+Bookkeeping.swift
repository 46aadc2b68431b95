// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import NIOPosix
import SatelliteJournal
import Synchronization

extension Satellite {
    /// Journals what comes in, then acts on it; one batch after the other.
    func keepBooks() async throws {
        for await _ in self.bookkeeping.stream {
            while true {
                let work = self.inbox.withLock { $0.take() }
                guard !work.isEmpty else { break }
                let journal = self.journal
                let acceptance: Journal.Acceptance
                do {
                    acceptance = try await self.blocking.runIfActive { try Self.write(work, to: journal) }
                } catch let error as JournalError {
                    return self.fail(error)
                }
                await self.act(on: work, acceptance)
            }
            self.inbox.withLock { $0.isInHand = false }
        }
    }

    /// Blocks for as long as the disk takes.
    private static func write(_ work: Inbox, to journal: Journal) throws(JournalError) -> Journal.Acceptance {
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

    private func act(on work: Inbox, _ acceptance: Journal.Acceptance) async {
        let accepted = Set(acceptance.accepted)
        let now = ContinuousClock.now
        for grant in work.grants {
            guard accepted.contains(grant.serial) else {
                let all = EntryBitmap(grant.entries.indices)
                await self.uplink.transmit(.returned(grant.serial, neverStarted: all))
                continue
            }
            await self.uplink.transmit(.leaseAccepted(grant.serial))
            let lease = HeldLease(grant, since: now)
            let isNew = self.scheduler.withLock { scheduler in
                guard scheduler.leases[grant.serial] == nil else { return false }
                scheduler.hold(lease, waiting: Array(grant.entries.indices), started: [])
                return true
            }
            guard isNew else { continue }
            if self.condition.withLock({ $0.isStopping }) {
                self.change { scheduler, _ in scheduler.withdraw(grant.serial) }
            } else {
                self.prepare.yield(Preparation(lease: lease, indices: Array(grant.entries.indices)))
            }
        }
        if let reason = acceptance.reason { await self.diskFull(reason) }
        for decision in work.started {
            self.change { scheduler, now in
                scheduler.decideStart(decision.lease, started: decision.started, refused: decision.refused, now: now)
            }
        }
        for (lease, entries) in work.returned { await self.uplink.transmit(.returned(lease, neverStarted: entries)) }
    }

    private func diskFull(_ reason: JournalError) async {
        let isFirst = self.condition.withLock { condition in
            defer {
                condition.isDiskFull = true
                condition.diskFullSince = .now
            }
            return !condition.isDiskFull
        }
        if isFirst {
            self.logger.error(
                "no room for leases in the journal; work in hand goes on, new work is refused until there is room",
                metadata: ["reason": "\(reason.description)"]
            )
        }
        await self.sendCredit()
    }
}
