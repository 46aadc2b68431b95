// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Applies reports: state, counters, event and feed position in one transaction, once per (recipient, attempt).
enum Intake {
    static func apply(
        _ reports: [DeliveryReport],
        from satellite: SatelliteID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> IntakeResult {
        var result = IntakeResult()
        try transaction.readAhead(reports.map(\.recipient))
        for report in reports { try Self.apply(report, from: satellite, at: now, &result, transaction) }
        result.mailings = try result.mailings.filter { id in
            try transaction.mailing(id).map { $0.mailing.status != .finished && $0.mailing.counters.pending == 0 }
                ?? false
        }
        result.closedLeases = transaction.closedLeases
        return result
    }

    private static func apply(
        _ report: DeliveryReport,
        from satellite: SatelliteID,
        at now: Timestamp,
        _ result: inout IntakeResult,
        _ transaction: StoreTransaction
    ) throws {
        let id = report.recipient
        guard let mailing = try transaction.mailing(id.mailing)?.mailing else {
            try Self.noteLateReport(of: id.mailing, transaction)
            result.dropped += 1
            return
        }
        guard let recipient = try transaction.recipient(id) else {
            result.dropped += 1
            return
        }
        let old = try transaction.delivery(id)
        let entry = try Self.entry(of: report, old, transaction)
        if let entry, entry.lease.satellite != satellite {
            result.dropped += 1
            return
        }
        guard var new = old ?? entry.map({ DeliveryRow(id: id, firstAttemptOf: $0.lease) }),
            report.attempt.rawValue >= 1, report.attempt.rawValue <= new.attempt
        else {
            // Nobody was granted this attempt.
            result.dropped += 1
            return
        }
        if report.isOfNobodyTried, new.resolved != report.attempt.rawValue {
            // As good as a return, which would not have been heard; what was resolved as uncertain is known now.
            if let entry { try Revoking.requeue([entry.index], of: entry.lease.serial, at: now, transaction) }
            result.earliestRetry = min(result.earliestRetry ?? now, now)
            result.requeued += 1
            return
        }
        let wasReported = !new.noteReport(of: report.attempt.rawValue)
        if let entry {
            if !wasReported, !entry.lease.started.contains(entry.index), report.outcome.trace.stage.hasReachedServer {
                result.unstarted += 1
            }
            var lease = entry.lease
            lease.close(entry.index)
            transaction.update(lease)
        }
        guard !wasReported else {
            result.repeated += 1
            return
        }
        let isLatest = report.attempt.rawValue == new.attempt
        let merge = RecipientStateMerge(
            schedule: transaction.context.retry,
            policy: mailing.properties.uncertainPolicy,
            mayRetry: mailing.ending == nil && mailing.status != .finished
        )
        let before = new
        new.deliveryState = merge.applying(
            report.outcome,
            to: new.deliveryState,
            isLatest: isLatest,
            isCounted: new.resolved == report.attempt.rawValue,
            granted: entry?.lease.granted ?? new.leasedAt ?? now,
            at: now
        )
        new.revision = new.revision ?? entry?.lease.revision
        let isDecisive = isLatest || (new.deliveryState.accepted && !before.deliveryState.accepted)
        if isDecisive { try Self.conclude(&new, report, at: now, transaction) }
        try transaction.save(new, replacing: old)
        if isDecisive { try recipient.appendEvent(new, account: mailing.account, transaction) }
        result.outcomes.append(report.outcome)
        result.mailings.insert(id.mailing)
        if let due = new.due, new.deliveryState.state == .deferred {
            result.earliestRetry = min(result.earliestRetry ?? due, due)
        }
    }

    /// Takes the report's trace over and frees the recipient: from its lease, or from waiting if it is finished.
    private static func conclude(
        _ row: inout DeliveryRow,
        _ report: DeliveryReport,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws {
        row.trace = Self.bounded(report.outcome.trace)
        row.modified = now
        if let serial = row.lease, var lease = try transaction.lease(serial), let index = lease.index(of: row.id) {
            // A later attempt is under way. Not started, it is called off; started, its own report will come.
            if lease.entry(at: index).attempt == report.attempt.rawValue || !lease.started.contains(index) {
                lease.close(index)
                transaction.update(lease)
                row.lease = nil
            }
        } else {
            row.lease = nil
        }
        row.due = row.lease == nil && row.deliveryState.state == .deferred ? row.deliveryState.nextTry : nil
    }

    /// The open or closed entry under which the attempt was granted, if its lease still has a row.
    private static func entry(
        of report: DeliveryReport,
        _ delivery: DeliveryRow?,
        _ transaction: StoreTransaction
    ) throws -> (lease: LeaseRow, index: Int)? {
        func entry(in lease: LeaseRow?) -> (lease: LeaseRow, index: Int)? {
            guard let lease, let index = lease.index(of: report.recipient),
                lease.entry(at: index).attempt == report.attempt.rawValue
            else { return nil }
            return (lease, index)
        }
        if let found = entry(in: try transaction.lease(report.lease)) { return found }
        if let delivery { return entry(in: try delivery.lease.flatMap { try transaction.lease($0) }) }
        for lease in try transaction.leases(of: report.recipient.mailing, bucket: report.recipient.bucket) {
            if let found = entry(in: lease) { return found }
        }
        return nil
    }

    /// A report's trace with its text within bounds, whatever the satellite sent.
    private static func bounded(_ trace: AttemptTrace) -> AttemptTrace {
        var trace = trace
        trace.text = Self.bounded(trace.text)
        trace.mxHost = trace.mxHost.map(Self.bounded)
        trace.enhancedStatus = trace.enhancedStatus.map(Self.bounded)
        return trace
    }

    private static let longestText = 2048

    private static func bounded(_ text: String) -> String {
        guard text.utf8.count > Self.longestText || text.utf8.contains(0) else { return text }
        var bytes = text.utf8.filter { $0 != 0 }
        if bytes.count > Self.longestText {
            bytes.removeSubrange(Self.longestText...)
            // Not in the middle of a character.
            while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
            if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func noteLateReport(of mailing: MailingID, _ transaction: StoreTransaction) throws {
        try transaction.prepare("UPDATE tombstone SET late_reports = late_reports + 1 WHERE mailing = ?")
            .bind(1, Int(mailing.rawValue)).run()
    }
}

extension DeliveryReport {
    /// Whether a satellite says that it did not try, because its master had disowned the lease or was away.
    fileprivate var isOfNobodyTried: Bool {
        if case .deferred(let trace) = self.outcome { trace.stage == .master } else { false }
    }
}
