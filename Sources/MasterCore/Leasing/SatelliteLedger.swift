// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore

/// One satellite as the master sees it now: its session, its credit and what it holds; pure.
struct SatelliteLedger: Sendable {
    let id: SatelliteID
    /// The session that counts, or `nil` while the satellite is away.
    private(set) var session: SatelliteSession?
    /// Whether the session was welcomed, so that it may be given leases.
    private(set) var isWelcomed = false
    /// Since when it is away, on the measuring clock.
    private(set) var absentSince: Duration?
    /// Whether its never-started recipients were requeued during this absence.
    var isRevoked = false
    /// Whether its leases must be recounted from the store.
    var needsRecount = false
    /// Counts the recounts, so that what was decided before one is not counted again after it.
    private(set) var generation = 0
    /// Counts what changed the counts, so that a reading of the store that is older than that is not taken over.
    private(set) var changes = 0
    /// The load that it last reported.
    var load = SatelliteLoad()
    /// When the last message from it arrived.
    var lastSeen: Timestamp?
    /// How many recipients it will hold in all.
    private(set) var limits: [DeliveryClass: Int] = [:]
    private(set) var leases: [LeaseSerial: HeldLease] = [:]
    private var held: [DeliveryClass: Int] = [:]
    private var unaccepted = 0

    /// A satellite that is away.
    init(id: SatelliteID, absentSince: Duration) {
        self.id = id
        self.absentSince = absentSince
    }

    // MARK: Sessions

    /// A handshake arrived: this session counts from now on.
    mutating func connected(_ session: SatelliteSession) {
        self.session = session
        self.isWelcomed = false
        self.limits = [:]
        self.load = SatelliteLoad()
    }

    /// The satellite was welcomed and holds these leases.
    mutating func welcomed(holding summaries: [LeaseSummary], now: Duration) {
        self.isWelcomed = true
        self.absentSince = nil
        self.isRevoked = false
        self.recount(summaries, now: now)
        for serial in self.leases.keys { self.leases[serial]?.isAccepted = true }
        self.unaccepted = 0
    }

    /// A session ended; nothing happens if another one counts.
    mutating func ended(_ session: SatelliteSession, now: Duration) {
        guard self.session == session else { return }
        self.session = nil
        self.isWelcomed = false
        self.limits = [:]
        self.load = SatelliteLoad()
        self.absentSince = self.absentSince ?? now
    }

    // MARK: Credit

    /// The satellite says how much it will hold.
    mutating func credit(_ limits: [DeliveryClass: Int]) { self.limits = limits.mapValues { max($0, 0) } }

    /// How many recipients it holds of a class.
    func outstanding(_ deliveryClass: DeliveryClass) -> Int { max(self.held[deliveryClass] ?? 0, 0) }

    /// How many recipients it holds.
    var outstanding: Int { DeliveryClass.allCases.reduce(0) { $0 + self.outstanding($1) } }

    /// How many recipients it is willing to hold.
    var limit: Int { self.limits.values.reduce(0, +) }

    /// The room for further leases.
    ///
    /// Bulk room is given out once it is worth a lease: a satellite that finishes one recipient after the other would
    /// otherwise get as many leases of one.
    func room(
        maximumLease: Int,
        maximumUnaccepted: Int,
        maximumUnacceptedBytes: Int = .max
    ) -> LeasePlanner.Room {
        guard self.isWelcomed, !self.needsRecount, !self.load.draining, self.unaccepted < maximumUnaccepted,
            self.unacceptedBytes < maximumUnacceptedBytes
        else {
            return LeasePlanner.Room(recipients: [:], leases: 0)
        }
        var recipients: [DeliveryClass: Int] = [:]
        for (deliveryClass, limit) in self.limits {
            let room = max(0, limit - self.outstanding(deliveryClass))
            let worth = deliveryClass == .bulk ? max(1, min(maximumLease / 4, limit / 8)) : 1
            recipients[deliveryClass] = room >= worth ? room : 0
        }
        return LeasePlanner.Room(recipients: recipients, leases: maximumUnaccepted - self.unaccepted)
    }

    /// About how many bytes of grants are on their way to it or not acknowledged.
    var unacceptedBytes: Int {
        guard self.unaccepted > 0 else { return 0 }
        return self.leases.values.reduce(0) { $0 + ($1.isAccepted ? 0 : $1.bytes) }
    }

    // MARK: Leases

    /// A grant is about to be sent.
    mutating func granted(_ grant: LeaseGrant, now: Duration) {
        self.changes += 1
        self.leases[grant.serial] = HeldLease(grant, sent: now)
        self.held[grant.deliveryClass, default: 0] += grant.entries.count
        self.unaccepted += 1
    }

    /// The satellite has a lease in its journal.
    mutating func accepted(_ serial: LeaseSerial) {
        guard let lease = self.leases[serial], !lease.isAccepted else { return }
        self.leases[serial]?.isAccepted = true
        self.unaccepted -= 1
    }

    /// The store decided on a start request.
    mutating func decided(_ decision: StartDecision) {
        guard decision.refused.count > 0 else { return }
        // Whether they are closed, and were counted so by a recount since, only the store knows.
        self.changes += 1
        self.needsRecount = true
    }

    /// Reports were applied.
    ///
    /// - Parameters:
    ///   - reports: All of the batch, repeated ones included.
    ///   - closed: Leases of which nothing is left open.
    ///   - generation: As it was before the store was asked to apply them.
    mutating func reported(_ reports: [DeliveryReport], closed: [LeaseSerial], generation: Int) {
        self.changes += 1
        guard generation == self.generation else {
            self.needsRecount = true
            return
        }
        for report in reports {
            if let lease = self.leases[report.lease], !lease.isExact { self.needsRecount = true }
            self.change(report.lease) { $0.close(report.recipient) ? 1 : 0 }
        }
        for serial in closed { self.remove(serial) }
    }

    /// Entries were returned.
    mutating func returned(_ serial: LeaseSerial, _ entries: EntryBitmap) {
        self.changes += 1
        // A revocation may have requeued the same entries already.
        self.needsRecount = true
        self.accepted(serial)
        self.change(serial) { $0.close(entries) }
    }

    /// A lease was revoked: what was never started is no longer held, and what was, the store knows.
    mutating func revoked(_ serial: LeaseSerial) {
        guard self.leases[serial] != nil else { return }
        self.changes += 1
        self.needsRecount = true
        self.accepted(serial)
    }

    /// Takes over what the store says is held.
    mutating func recount(_ summaries: [LeaseSummary], now: Duration) {
        let known = self.leases
        self.leases = [:]
        self.held = [:]
        self.needsRecount = false
        self.generation += 1
        for summary in summaries where summary.open > 0 {
            var lease = known[summary.serial] ?? HeldLease(summary, now: now)
            lease.recount(summary.open)
            self.leases[summary.serial] = lease
            self.held[summary.deliveryClass, default: 0] += summary.open
        }
        self.unaccepted = self.leases.values.reduce(0) { $0 + ($1.isAccepted ? 0 : 1) }
    }

    /// Grants that were sent at or before a time and are not acknowledged.
    func unaccepted(sentBy time: Duration) -> [LeaseSerial] {
        guard self.unaccepted > 0 else { return [] }
        return self.leases.values.filter { !$0.isAccepted && $0.sent <= time }.map(\.serial).sorted()
    }

    /// When the oldest unacknowledged grant was sent.
    var oldestUnaccepted: Duration? {
        guard self.unaccepted > 0 else { return nil }
        return self.leases.values.lazy.filter { !$0.isAccepted }.map(\.sent).min()
    }

    private mutating func change(_ serial: LeaseSerial, _ close: (inout HeldLease) -> Int) {
        guard var lease = self.leases[serial] else { return }
        let closed = close(&lease)
        self.leases[serial] = lease
        guard closed > 0 else { return }
        self.held[lease.deliveryClass, default: 0] -= closed
        if lease.isExact, lease.open <= 0 { self.remove(serial) }
    }

    private mutating func remove(_ serial: LeaseSerial) {
        guard let lease = self.leases.removeValue(forKey: serial) else { return }
        self.held[lease.deliveryClass, default: 0] -= max(lease.open, 0)
        if !lease.isAccepted { self.unaccepted -= 1 }
    }
}

/// A lease in the master's memory, with what it uses of its satellite's credit.
///
/// The store is authoritative.
struct HeldLease: Sendable {
    let serial: LeaseSerial
    let mailing: MailingID
    let deliveryClass: DeliveryClass
    /// In ascending order; empty if the lease was found in the store, and then only counts are known.
    let recipients: [RecipientID]
    /// Recipients neither reported nor requeued.
    private(set) var open: Int
    /// Whether the satellite has acknowledged it.
    var isAccepted: Bool
    /// About how many bytes it took on its way; 0 if it was found in the store.
    let bytes: Int
    /// When it was sent, on the measuring clock.
    var sent: Duration
    private var closed = EntryBitmap()

    /// A lease that was just granted.
    init(_ grant: LeaseGrant, sent: Duration) {
        self.serial = grant.serial
        self.mailing = grant.mailing
        self.deliveryClass = grant.deliveryClass
        self.recipients = grant.entries.map(\.recipient)
        self.open = grant.entries.count
        self.bytes = grant.bytes
        self.isAccepted = false
        self.sent = sent
    }

    /// A lease that the store lists.
    init(_ summary: LeaseSummary, now: Duration) {
        self.serial = summary.serial
        self.mailing = summary.mailing
        self.deliveryClass = summary.deliveryClass
        self.recipients = []
        self.open = summary.open
        self.bytes = 0
        self.isAccepted = true
        self.sent = now
    }

    /// Whether every recipient of it is known.
    var isExact: Bool { !self.recipients.isEmpty }

    /// Takes over the store's count.
    mutating func recount(_ open: Int) { self.open = open }

    /// Closes one recipient; returns whether it was open.
    mutating func close(_ recipient: RecipientID) -> Bool {
        guard let index = self.index(of: recipient) else { return false }
        return self.close(index)
    }

    /// Closes entries; returns how many were open.
    mutating func close(_ entries: EntryBitmap) -> Int {
        var count = 0
        for index in entries.indices where index < self.recipients.count && self.close(index) { count += 1 }
        return count
    }

    private mutating func close(_ index: Int) -> Bool {
        guard !self.closed.contains(index) else { return false }
        self.closed.insert(index)
        self.open -= 1
        return true
    }

    private func index(of recipient: RecipientID) -> Int? {
        var low = 0
        var high = self.recipients.count
        while low < high {
            let middle = (low + high) / 2
            if self.recipients[middle] < recipient { low = middle + 1 } else { high = middle }
        }
        return low < self.recipients.count && self.recipients[low] == recipient ? low : nil
    }
}

extension LeaseGrant {
    /// About how many bytes it takes on its way.
    var bytes: Int {
        self.entries.reduce(0) { sum, entry in
            sum + 64 + entry.trackingID.utf8.count + entry.address.utf8.count + entry.mergeFields.count
                + entry.attachments.count * 32
        }
    }
}
