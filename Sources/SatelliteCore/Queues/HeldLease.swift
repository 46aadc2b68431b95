// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel
import Synchronization

/// A lease as it is worked on: what was granted, and the compiled content once it is there.
final class HeldLease: Sendable {
    let grant: LeaseGrant
    /// When it was taken on by this process.
    let since: ContinuousClock.Instant
    private let revocation = Atomic(false)

    init(_ grant: LeaseGrant, since: ContinuousClock.Instant) {
        self.grant = grant
        self.since = since
    }

    var serial: LeaseSerial { self.grant.serial }

    /// Whether the master has revoked the lease, so that no message of it may be completed any more.
    ///
    /// Connections ask for each message, without the scheduler's lock.
    var isRevoked: Bool { self.revocation.load(ordering: .acquiring) }

    /// Lets no further message of the lease be completed; one whose final dot is on its way goes on.
    func revoke() { self.revocation.store(true, ordering: .releasing) }
}

/// One recipient of a lease on its way to a connection.
struct QueuedRecipient: Sendable {
    /// Its lease.
    let lease: HeldLease
    /// Which entry of the lease.
    let index: Int
    /// Content and signatures, `nil` if the verdict needs none.
    var revision: Revision?
    /// The parsed address, `nil` if the verdict needs none.
    var address: EmailAddress?
    /// An outcome known before any connection.
    var verdict: DeliveryOutcome?
    /// How often it came back from a connection that had not begun with it.
    var requeues = 0
    /// When it entered its present queue.
    var since: ContinuousClock.Instant

    init(lease: HeldLease, index: Int, since: ContinuousClock.Instant) {
        self.lease = lease
        self.index = index
        self.since = since
    }

    var entry: LeaseEntry { self.lease.grant.entries[self.index] }
    var deliveryClass: DeliveryClass { self.lease.grant.deliveryClass }
}

/// The state of a lease's recipients, as long as one of them is not reported or returned.
struct LeaseState {
    let lease: HeldLease
    /// Never started and not requested: in preparation, or in a site's queue.
    private(set) var waiting: [Bool]
    private(set) var waitingCount = 0
    /// Requested and not answered, with their site; `nil` for one whose outcome is known.
    var requested: [Int: (recipient: QueuedRecipient, site: String?)] = [:]
    /// Started, in preparation: requested by a process before this one.
    var startedUnprepared: Set<Int> = []
    /// Started and not reported, those in preparation too.
    var started = 0
    /// Asked for or waiting again although the master has committed them as started, or may have: they were not tried.
    ///
    /// Without a master they are not returned: a return is not acknowledged, and what a master that does not hear of it holds
    /// for started would become uncertain.
    var committed: Set<Int> = []
    /// What becomes of its started recipients once the master has disowned the lease: they must not go out any more.
    var disowned: DeliveryOutcome?
    /// Revoked by the master, or ended by a shutdown: nothing more is requested.
    var isWithdrawn = false

    init(_ lease: HeldLease, waiting indices: [Int], started: [Int]) {
        self.lease = lease
        self.waiting = [Bool](repeating: false, count: lease.grant.entries.count)
        for index in indices { self.insertWaiting(index) }
        self.startedUnprepared = Set(started)
        self.started = started.count
    }

    var isClosed: Bool { self.waitingCount == 0 && self.requested.isEmpty && self.started == 0 }

    /// The outcome of a started recipient that has no connection: it may have been sent, or is known without one.
    func outcome(of recipient: QueuedRecipient) -> DeliveryOutcome? {
        if case .uncertain = self.disowned { self.disowned } else { recipient.verdict ?? self.disowned }
    }

    func isWaiting(_ index: Int) -> Bool { self.waiting.indices.contains(index) && self.waiting[index] }

    mutating func insertWaiting(_ index: Int) {
        guard !self.waiting[index] else { return }
        self.waiting[index] = true
        self.waitingCount += 1
    }

    /// - Returns: Whether it was waiting.
    @discardableResult
    mutating func removeWaiting(_ index: Int) -> Bool {
        guard self.isWaiting(index) else { return false }
        self.waiting[index] = false
        self.waitingCount -= 1
        return true
    }

    /// Takes out every recipient that was never started and is not requested; those that the master holds for started only
    /// while it hears of it.
    mutating func removeAllWaiting(isConnected: Bool) -> EntryBitmap {
        let indices = self.waiting.indices.filter {
            self.waiting[$0] && (isConnected || !self.committed.contains($0))
        }
        for index in indices { self.removeWaiting(index) }
        self.committed.subtract(indices)
        return EntryBitmap(indices)
    }
}
