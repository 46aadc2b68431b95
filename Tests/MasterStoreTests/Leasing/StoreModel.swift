// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore

/// What a store should hold, kept in plain dictionaries: slow, obvious, and written without looking at any backend.
struct StoreModel {
    struct Recipient {
        var deliveryState = DeliveryState()
        var attempt: Int32 = 0
        var reported: Set<Int32> = []
        var resolved: Int32 = 0
        var lease: LeaseSerial?
        /// When it may be leased; `nil` while it is leased or terminal.
        var due: Timestamp?
    }

    struct Lease {
        var grant: LeaseGrant
        var satellite: SatelliteID
        var granted: Timestamp
        var started: Set<Int> = []
        var closed: Set<Int> = []
        var isRevoked = false

        var open: Int { self.grant.entries.count - self.closed.count }
    }

    struct MailingState {
        var status = MailingStatus.filling
        var hasStarted = false
        var isEnding = false
        var policy: UncertainPolicy

        var mayRetry: Bool { !self.isEnding && self.status != .finished }
    }

    var mailings: [MailingID: MailingState] = [:]
    var recipients: [RecipientID: Recipient] = [:]
    var leases: [LeaseSerial: Lease] = [:]
    let schedule: RetrySchedule

    init(schedule: RetrySchedule) { self.schedule = schedule }

    // MARK: Operations

    mutating func add(_ ids: [RecipientID], at now: Timestamp) {
        for id in ids { self.recipients[id] = Recipient(due: now) }
    }

    /// Takes a grant over; `false` if it holds somebody who could not be leased.
    mutating func claim(_ grant: LeaseGrant, by satellite: SatelliteID, at now: Timestamp) -> Bool {
        for entry in grant.entries {
            guard var recipient = self.recipients[entry.recipient], recipient.lease == nil,
                !recipient.deliveryState.state.isTerminal, recipient.due.map({ $0 <= now }) == true,
                entry.attempt.rawValue == recipient.attempt + 1, entry.recipient.mailing == grant.mailing
            else { return false }
            recipient.attempt += 1
            recipient.lease = grant.serial
            recipient.due = nil
            self.recipients[entry.recipient] = recipient
        }
        self.leases[grant.serial] = Lease(grant: grant, satellite: satellite, granted: now)
        if self.mailings[grant.mailing]?.status == .ready { self.mailings[grant.mailing]?.status = .running }
        self.mailings[grant.mailing]?.hasStarted = true
        return true
    }

    mutating func start(
        _ serial: LeaseSerial,
        _ indices: [Int],
        by satellite: SatelliteID,
        at now: Timestamp
    ) -> (granted: [Int], refused: [Int]) {
        guard let lease = self.leases[serial], lease.satellite == satellite else { return ([], indices) }
        let mailing = self.mailings[lease.grant.mailing]
        let mayStart = !lease.isRevoked && mailing?.status == .running && mailing?.isEnding == false
        var granted: [Int] = []
        var refused: [Int] = []
        for index in indices {
            if index >= lease.grant.entries.count || lease.closed.contains(index) {
                refused.append(index)
            } else if lease.started.contains(index) {
                granted.append(index)
            } else if mayStart {
                self.leases[serial]?.started.insert(index)
                granted.append(index)
            } else {
                refused.append(index)
                self.requeue(serial, [index], at: now)
            }
        }
        return (granted, refused)
    }

    enum Intake { case applied, repeated }

    mutating func apply(
        _ report: DeliveryReport,
        granted: Timestamp,
        at now: Timestamp
    ) -> Intake {
        guard var recipient = self.recipients[report.recipient] else { return .repeated }
        let attempt = report.attempt.rawValue
        let isNew = recipient.reported.insert(attempt).inserted
        self.close(report.lease, report.recipient)
        guard isNew else { return .repeated }
        let isLatest = attempt == recipient.attempt
        let old = recipient.deliveryState
        recipient.deliveryState = self.merge(report.recipient).applying(
            report.outcome,
            to: old,
            isLatest: isLatest,
            isCounted: recipient.resolved == attempt,
            granted: granted,
            at: now
        )
        if isLatest || (recipient.deliveryState.accepted && !old.accepted) {
            if let serial = recipient.lease, let lease = self.leases[serial] {
                let index = lease.grant.entries.firstIndex { $0.recipient == report.recipient } ?? -1
                if serial == report.lease || !lease.started.contains(index) {
                    self.close(serial, report.recipient)
                    recipient.lease = nil
                }
            }
            recipient.due =
                recipient.lease == nil && recipient.deliveryState.state == .deferred
                ? recipient.deliveryState.nextTry : nil
        }
        self.recipients[report.recipient] = recipient
        return .applied
    }

    mutating func requeue(_ serial: LeaseSerial, _ indices: [Int], at now: Timestamp) {
        guard let lease = self.leases[serial] else { return }
        for index in indices where index < lease.grant.entries.count && !lease.closed.contains(index) {
            self.leases[serial]?.closed.insert(index)
            let id = lease.grant.entries[index].recipient
            guard self.recipients[id]?.lease == serial else { continue }
            self.recipients[id]?.lease = nil
            let isTerminal = self.recipients[id]?.deliveryState.state.isTerminal ?? true
            self.recipients[id]?.due = isTerminal ? nil : now
            if let recipient = self.recipients[id], self.mailings[id.mailing]?.isEnding == true {
                self.recipients[id]?.deliveryState = RecipientStateMerge.expiring(recipient.deliveryState)
                self.recipients[id]?.due = nil
            }
        }
        let mailing = lease.grant.mailing
        if self.mailings[mailing]?.isEnding == true, self.pending(mailing) == 0 {
            self.mailings[mailing]?.status = .finished
        }
    }

    mutating func revoke(_ serial: LeaseSerial, at now: Timestamp) {
        guard let lease = self.leases[serial], lease.open > 0 else { return }
        self.leases[serial]?.isRevoked = true
        self.requeue(serial, lease.grant.entries.indices.filter { !lease.started.contains($0) }, at: now)
    }

    mutating func resolve(_ serial: LeaseSerial, at now: Timestamp, mailingEnds: Bool = false) -> Int {
        guard let lease = self.leases[serial] else { return 0 }
        var resolved = 0
        for index in lease.started.subtracting(lease.closed) {
            self.leases[serial]?.closed.insert(index)
            let entry = lease.grant.entries[index]
            guard var recipient = self.recipients[entry.recipient], recipient.lease == serial else { continue }
            var merge = self.merge(entry.recipient)
            if mailingEnds { merge.mayRetry = false }
            recipient.deliveryState = merge.applying(
                Outcomes.uncertain,
                to: recipient.deliveryState,
                isLatest: true,
                granted: lease.granted,
                at: now
            )
            recipient.resolved = entry.attempt.rawValue
            recipient.lease = nil
            recipient.due = recipient.deliveryState.nextTry
            self.recipients[entry.recipient] = recipient
            resolved += 1
        }
        return resolved
    }

    mutating func expire(_ id: MailingID, at now: Timestamp) {
        guard self.mailings[id]?.status != .finished else { return }
        self.mailings[id]?.isEnding = true
        for serial in self.leases.values.filter({ $0.grant.mailing == id }).map(\.grant.serial) {
            self.revoke(serial, at: now)
        }
        for (key, recipient) in self.recipients
        where key.mailing == id && recipient.lease == nil && !recipient.deliveryState.state.isTerminal {
            self.recipients[key]?.deliveryState = RecipientStateMerge.expiring(recipient.deliveryState)
            self.recipients[key]?.due = nil
        }
        if self.pending(id) == 0 { self.mailings[id]?.status = .finished }
    }

    mutating func requeue(_ ids: [RecipientID], at now: Timestamp) -> Int {
        var changed = 0
        for id in ids {
            guard var recipient = self.recipients[id], self.mailings[id.mailing]?.mayRetry == true,
                recipient.deliveryState.state.isTerminal, recipient.lease == nil
            else { continue }
            recipient.deliveryState = RecipientStateMerge.reset(recipient.deliveryState)
            recipient.due = now
            self.recipients[id] = recipient
            changed += 1
        }
        return changed
    }

    // MARK: Queries

    func held(_ id: MailingID) -> [RecipientID] {
        self.recipients.filter { $0.key.mailing == id && $0.value.deliveryState.state == .uncertain }.map(\.key)
    }

    func pending(_ id: MailingID) -> Int {
        self.recipients.count { $0.key.mailing == id && !$0.value.deliveryState.state.isTerminal }
    }

    func counters(_ id: MailingID) -> MailingCounters {
        var counters = MailingCounters()
        for (key, recipient) in self.recipients where key.mailing == id {
            counters.total += 1
            switch recipient.deliveryState.state {
            case .waiting: break
            case .deferred: counters.deferred += 1
            case .delivered: counters.delivered += 1
            case .failed, .unrenderable: counters.failed += 1
            case .uncertain:
                counters.failed += 1
                counters.uncertain += 1
            case .expired: counters.expired += 1
            }
        }
        return counters
    }

    private func merge(_ id: RecipientID) -> RecipientStateMerge {
        let mailing = self.mailings[id.mailing]
        return RecipientStateMerge(
            schedule: self.schedule,
            policy: mailing?.policy ?? .hold,
            mayRetry: mailing?.mayRetry ?? false
        )
    }

    private mutating func close(_ serial: LeaseSerial, _ id: RecipientID) {
        guard let index = self.leases[serial]?.grant.entries.firstIndex(where: { $0.recipient == id }) else { return }
        self.leases[serial]?.closed.insert(index)
    }
}
