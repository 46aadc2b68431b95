// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// A lease and how far each of its places has come.
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
    /// Reports of places finished and not forgotten.
    var reports: [Int: DeliveryReport] = [:]

    init(grant: LeaseGrant) { self.grant = grant }

    /// Places that still need bookkeeping.
    var openCount: Int { self.grant.entries.count - self.forgotten.union(self.returned).count }

    /// Ends a place's attempt; the first outcome stands.
    mutating func finish(_ place: Int, _ outcome: DeliveryOutcome, endedAt: Timestamp) {
        guard !self.finished.contains(place), !self.returned.contains(place), !self.forgotten.contains(place),
            let report = self.report(of: place, outcome, endedAt: endedAt)
        else { return }
        self.finished.insert(place)
        self.reports[place] = report
    }

    /// The report of a place.
    func report(of place: Int, _ outcome: DeliveryOutcome, endedAt: Timestamp) -> DeliveryReport? {
        guard self.grant.entries.indices.contains(place) else { return nil }
        let entry = self.grant.entries[place]
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
        for places in [self.started, self.dotted, self.finished, self.forgotten, self.returned] {
            encoder.places(places)
        }
        encoder.count(self.reports.count)
        for (place, report) in self.reports.sorted(by: { $0.key < $1.key }) {
            encoder.count(place)
            encoder.signed(report.endedAt.milliseconds)
            report.outcome.encode(into: &encoder, textLimit: textLimit)
        }
    }

    init(from decoder: inout ByteDecoder) throws(DecodingFailure) {
        self.grant = try LeaseGrant(from: &decoder)
        self.started = try decoder.places()
        self.dotted = try decoder.places()
        self.finished = try decoder.places()
        self.forgotten = try decoder.places()
        self.returned = try decoder.places()
        for _ in 0..<(try decoder.count(ofAtLeast: 7)) {
            let place = try decoder.place()
            let endedAt = Timestamp(milliseconds: try decoder.signed())
            let outcome = try DeliveryOutcome(from: &decoder)
            guard let report = self.report(of: place, outcome, endedAt: endedAt) else {
                throw DecodingFailure(reason: "a report of no recipient")
            }
            self.reports[place] = report
        }
    }
}

extension EntryBitmap {
    /// This set without the places of another.
    func removing(_ other: EntryBitmap) -> EntryBitmap {
        var bytes = self.bytes
        for (index, byte) in other.bytes.enumerated() where index < bytes.count { bytes[index] &= ~byte }
        return EntryBitmap(bytes: bytes)
    }

    /// The places in both sets.
    func intersecting(_ other: EntryBitmap) -> EntryBitmap {
        EntryBitmap(bytes: zip(self.bytes, other.bytes).map { $0 & $1 })
    }
}
