// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Starts entries of a lease, requeues them, and resolves those that nobody reports.
enum Revoking {
    // MARK: Start

    /// Marks entries as started: nothing may be sent before.
    ///
    /// An entry that the same satellite has started before is granted again, so that a lost answer costs nothing. What is
    /// refused is no longer the satellite's: it waits again at once.
    static func start(
        _ request: StartRequest,
        by satellite: SatelliteID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> StartDecision {
        var decision = StartDecision(lease: request.lease, granted: EntryBitmap(), refused: EntryBitmap())
        guard var lease = try transaction.lease(request.lease), lease.satellite == satellite else {
            decision.refused = request.entries
            return decision
        }
        let mailing = try transaction.mailing(lease.mailing)?.mailing
        let mayStart =
            lease.revoked == nil
            && mailing.map {
                MailingLifecycle.mayStart(status: $0.status, isEnding: $0.ending != nil, lease.deliveryClass)
            } ?? false
        var requeued: [Int] = []
        if mayStart, lease.entries != nil {
            let unstarted = request.entries.indices.filter { $0 < lease.size && !lease.started.contains($0) }
            try transaction.readAhead(unstarted.map { lease.recipient(at: $0) }, withRecipients: false)
        }
        for index in request.entries.indices {
            guard index < lease.size, !lease.closed.contains(index) else {
                decision.refused.insert(index)
                continue
            }
            if lease.started.contains(index) {
                decision.granted.insert(index)
            } else if mayStart, try Self.isStillWanted(index, of: lease, transaction) {
                lease.started.insert(index)
                decision.granted.insert(index)
            } else {
                decision.refused.insert(index)
                requeued.append(index)
            }
        }
        transaction.update(lease)
        try Self.requeue(requeued, of: request.lease, at: now, transaction)
        return decision
    }

    /// Whether an entry of its own kind is still held by the lease and unfinished; a late report may have finished it.
    private static func isStillWanted(
        _ index: Int,
        of lease: LeaseRow,
        _ transaction: StoreTransaction
    ) throws -> Bool {
        guard lease.entries != nil else { return true }
        guard let delivery = try transaction.delivery(lease.recipient(at: index)) else { return true }
        return delivery.lease == lease.serial && !delivery.deliveryState.state.isTerminal
    }

    // MARK: Requeueing and revoking

    /// Closes entries that were not sent; their recipients wait again, due at once, for their next attempt.
    ///
    /// In a mailing that is ending there is no next attempt: they expire.
    static func requeue(
        _ indices: [Int],
        of serial: LeaseSerial,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        guard !indices.isEmpty, var lease = try transaction.lease(serial) else { return }
        let mailing = try transaction.mailing(lease.mailing)?.mailing
        let indices = indices.filter { $0 < lease.size && !lease.closed.contains($0) }
        try transaction.readAhead(indices.map { lease.recipient(at: $0) }, withRecipients: mailing?.ending != nil)
        for index in indices where !lease.closed.contains(index) {
            lease.close(index)
            let id = lease.recipient(at: index)
            let old = try transaction.delivery(id)
            // An earlier attempt's late report may have finished the recipient, or it is with another lease already.
            if let old, old.lease != serial { continue }
            var new = old ?? DeliveryRow(id: id, firstAttemptOf: lease)
            new.lease = nil
            if let mailing, mailing.ending != nil, !new.deliveryState.state.isTerminal {
                try Ending.expire(&new, replacing: old, account: mailing.account, at: now, transaction)
            } else {
                new.due = new.deliveryState.state.isTerminal ? nil : now
                try transaction.save(new, replacing: old)
            }
        }
        transaction.update(lease)
        if let mailing { try Ending.finishEnding(mailing.id, at: now, transaction) }
    }

    /// Requeues entries that the satellite returns because nothing was sent, started or not.
    static func requeue(
        _ serial: LeaseSerial,
        _ entries: EntryBitmap,
        from satellite: SatelliteID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        guard let lease = try transaction.lease(serial), lease.satellite == satellite else { return }
        try Self.requeue(entries.indices, of: serial, at: now, transaction)
    }

    /// Revokes leases: what was never started waits again; what was started stays with the lease.
    static func revoke(
        _ serials: [LeaseSerial],
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> [RevokedLease] {
        var revoked: [RevokedLease] = []
        for serial in serials {
            guard var lease = try transaction.lease(serial), lease.open > 0 else { continue }
            if lease.revoked == nil {
                lease.revoked = now
                transaction.update(lease)
                revoked.append(RevokedLease(serial: serial, satellite: lease.satellite))
            }
            let unstarted = (0..<lease.size).filter { !lease.started.contains($0) }
            try Self.requeue(unstarted, of: serial, at: now, transaction)
        }
        return revoked
    }

    // MARK: Resolving

    /// Counts started, unreported recipients of leases as uncertain; a report may still come and will count.
    ///
    /// - Returns: How many were resolved.
    static func resolve(
        _ serials: [LeaseSerial],
        mailingEnds: Bool,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        var resolved = 0
        for serial in serials {
            guard let lease = try transaction.lease(serial) else { continue }
            let indices = (0..<lease.size).filter { lease.started.contains($0) && !lease.closed.contains($0) }
            guard !indices.isEmpty else { continue }
            let name = try transaction.satelliteName(lease.satellite) ?? "?"
            let text = "satellite \(name) did not report whether the message was sent; it may have arrived"
            resolved += try Self.resolve(indices, of: lease, text, mailingEnds: mailingEnds, at: now, transaction)
        }
        return resolved
    }

    /// Counts open recipients of a satellite's leases as uncertain that its journal has finished, in a store that was
    /// restored from an older copy; what the journal holds as started counts as started.
    ///
    /// - Returns: How many were resolved.
    static func resolveFinished(
        by satellite: SatelliteID,
        holding held: Set<LeaseSerial>,
        _ details: [JournaledLease],
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        let details = Dictionary(details.map { ($0.lease, $0) }) { first, _ in first }
        let name = try transaction.satelliteName(satellite) ?? "?"
        let text =
            "the store was restored from an older copy; satellite \(name) finished this recipient after that copy"
        var resolved = 0
        for var lease in try LeaseRow.fetch(of: satellite, transaction) {
            let open = (0..<lease.size).filter { !lease.closed.contains($0) }
            let finished: [Int]
            if held.contains(lease.serial) {
                guard let detail = details[lease.serial] else { continue }
                for index in open where detail.started.contains(index) { lease.started.insert(index) }
                finished = open.filter { detail.closed.contains($0) }
            } else {
                finished = open
            }
            for index in finished { lease.started.insert(index) }
            // The transaction must have read the lease to see its last entry closed.
            _ = try transaction.lease(lease.serial)
            transaction.update(lease)
            resolved += try Self.resolve(finished, of: lease, text, mailingEnds: false, at: now, transaction)
        }
        return resolved
    }

    private static func resolve(
        _ indices: [Int],
        of lease: LeaseRow,
        _ text: String,
        mailingEnds: Bool,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Int {
        guard !indices.isEmpty else { return 0 }
        var lease = lease
        try transaction.readAhead(indices.map { lease.recipient(at: $0) })
        for index in indices { lease.close(index) }
        transaction.update(lease)
        let trace = AttemptTrace(stage: .master, text: text)
        var resolved = 0
        for index in indices {
            let isResolved = try Self.resolve(index, of: lease, trace, mailingEnds: mailingEnds, at: now, transaction)
            resolved += isResolved ? 1 : 0
        }
        return resolved
    }

    private static func resolve(
        _ index: Int,
        of lease: LeaseRow,
        _ trace: AttemptTrace,
        mailingEnds: Bool,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> Bool {
        let id = lease.recipient(at: index)
        guard let mailing = try transaction.mailing(id.mailing)?.mailing,
            let recipient = try transaction.recipient(id)
        else { return false }
        let old = try transaction.delivery(id)
        if let old, old.lease != lease.serial { return false }
        var new = old ?? DeliveryRow(id: id, firstAttemptOf: lease)
        let merge = RecipientStateMerge(
            schedule: transaction.context.retry,
            policy: mailing.properties.uncertainPolicy,
            mayRetry: !mailingEnds && mailing.ending == nil && mailing.status != .finished
        )
        new.deliveryState = merge.applying(
            .uncertain(trace),
            to: new.deliveryState,
            isLatest: true,
            granted: lease.granted,
            at: now
        )
        new.resolved = lease.entry(at: index).attempt
        new.lease = nil
        new.due = new.deliveryState.nextTry
        new.trace = trace
        new.revision = new.revision ?? lease.revision
        new.modified = now
        try transaction.save(new, replacing: old)
        try recipient.appendEvent(new, account: mailing.account, transaction)
        return true
    }
}
