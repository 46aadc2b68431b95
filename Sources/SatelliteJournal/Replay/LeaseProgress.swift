// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// A lease and how far each of its entries has come.
struct LeaseProgress: Hashable, Sendable {
    /// What was granted.
    var grant: LeaseGrant
    /// Committed by the master.
    var started = EntryBitmap()
    /// Their final dot may have been written.
    var dotted = EntryBitmap()
    /// Their attempt has ended.
    var finished = EntryBitmap()
    /// Their report has been acknowledged.
    var forgotten = EntryBitmap()
    /// Returned without an attempt.
    var returned = EntryBitmap()
    /// Reports of entries finished and not forgotten.
    var reports: [Int: DeliveryReport] = [:]

    init(grant: LeaseGrant) { self.grant = grant }

    /// Entries that still need bookkeeping.
    var openCount: Int { self.grant.entries.count - self.forgotten.union(self.returned).count }

    /// Ends an entry's attempt; the first outcome stands.
    mutating func finish(_ index: Int, _ outcome: DeliveryOutcome, endedAt: Timestamp) {
        guard !self.finished.contains(index), !self.returned.contains(index), !self.forgotten.contains(index),
            let report = self.report(of: index, outcome, endedAt: endedAt)
        else { return }
        self.finished.insert(index)
        self.reports[index] = report
    }

    /// The report of an entry.
    func report(of index: Int, _ outcome: DeliveryOutcome, endedAt: Timestamp) -> DeliveryReport? {
        guard self.grant.entries.indices.contains(index) else { return nil }
        let entry = self.grant.entries[index]
        return DeliveryReport(
            recipient: entry.recipient,
            attempt: entry.attempt,
            lease: self.grant.serial,
            outcome: outcome,
            endedAt: endedAt
        )
    }

    func encode(into encoder: inout ByteEncoder, textLimit: Int) {
        self.grant.encode(into: &encoder)
        for entries in [self.started, self.dotted, self.finished, self.forgotten, self.returned] {
            encoder.entries(entries)
        }
        encoder.count(self.reports.count)
        for (index, report) in self.reports.sorted(by: { $0.key < $1.key }) {
            encoder.count(index)
            encoder.signed(report.endedAt.milliseconds)
            report.outcome.encode(into: &encoder, textLimit: textLimit)
        }
    }

    init(from decoder: inout ByteDecoder) throws(DecodingFailure) {
        self.grant = try LeaseGrant(from: &decoder)
        self.started = try decoder.entries()
        self.dotted = try decoder.entries()
        self.finished = try decoder.entries()
        self.forgotten = try decoder.entries()
        self.returned = try decoder.entries()
        for _ in 0..<(try decoder.count(ofAtLeast: 7)) {
            let index = try decoder.entryIndex()
            let endedAt = Timestamp(milliseconds: try decoder.signed())
            let outcome = try DeliveryOutcome(from: &decoder)
            guard let report = self.report(of: index, outcome, endedAt: endedAt) else {
                throw DecodingFailure(reason: "a report of no recipient")
            }
            self.reports[index] = report
        }
    }
}

extension EntryBitmap {
    /// This set without the entries of another.
    func removing(_ other: EntryBitmap) -> EntryBitmap {
        var bytes = self.bytes
        for (index, byte) in other.bytes.enumerated() where index < bytes.count { bytes[index] &= ~byte }
        return EntryBitmap(bytes: bytes)
    }

    /// The entries in both sets.
    func intersecting(_ other: EntryBitmap) -> EntryBitmap {
        EntryBitmap(bytes: zip(self.bytes, other.bytes).map { $0 & $1 })
    }
}
