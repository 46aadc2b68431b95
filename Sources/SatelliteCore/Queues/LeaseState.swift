// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// The state of a lease's places, as long as one of them is not reported or returned.
struct LeaseState {
    let lease: HeldLease
    /// Never started and not requested: in preparation, or in a site's queue.
    private(set) var waiting: [Bool]
    private(set) var waitingCount = 0
    /// Requested and not answered, with their site; `nil` for one whose outcome is known.
    var requested: [Int: (place: Place, site: String?)] = [:]
    /// Started, in preparation: requested by a process before this one.
    var startedUnprepared: Set<Int> = []
    /// Started and not reported, those in preparation too.
    var started = 0
    /// Asked for or waiting again although the master has committed them as started, or may have: they were not tried.
    ///
    /// Without a master they are not returned: a return is not acknowledged, and what a master that does not hear of it holds
    /// for started would become uncertain.
    var committed: Set<Int> = []
    /// What becomes of its started places once the master has disowned the lease: they must not go out any more.
    var disowned: DeliveryOutcome?
    /// Revoked by the master, or ended by a shutdown: nothing more is requested.
    var isWithdrawn = false

    init(_ lease: HeldLease, waiting places: [Int], started: [Int]) {
        self.lease = lease
        self.waiting = [Bool](repeating: false, count: lease.grant.entries.count)
        for place in places { self.insertWaiting(place) }
        self.startedUnprepared = Set(started)
        self.started = started.count
    }

    var isClosed: Bool { self.waitingCount == 0 && self.requested.isEmpty && self.started == 0 }

    func isWaiting(_ place: Int) -> Bool { self.waiting.indices.contains(place) && self.waiting[place] }

    mutating func insertWaiting(_ place: Int) {
        guard !self.waiting[place] else { return }
        self.waiting[place] = true
        self.waitingCount += 1
    }

    /// - Returns: Whether it was waiting.
    @discardableResult
    mutating func removeWaiting(_ place: Int) -> Bool {
        guard self.isWaiting(place) else { return false }
        self.waiting[place] = false
        self.waitingCount -= 1
        return true
    }

    /// Takes out every place that was never started and is not requested; those that the master holds for started only
    /// while it hears of it.
    mutating func removeAllWaiting(isConnected: Bool) -> EntryBitmap {
        let places = self.waiting.indices.filter {
            self.waiting[$0] && (isConnected || !self.committed.contains($0))
        }
        for place in places { self.removeWaiting(place) }
        self.committed.subtract(places)
        return EntryBitmap(places)
    }
}
