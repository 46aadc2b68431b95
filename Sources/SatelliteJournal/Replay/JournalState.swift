// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// What the journal's records add up to; the same rules for a record just written and for one read back.
///
/// Records of leases that are not held are ignored: their segment outlived the one with the lease. Pure.
struct JournalState: Hashable, Sendable {
    /// The newest session, `nil` before the first record.
    private(set) var session: JournalSession?
    /// Leases with at least one entry not yet forgotten or returned.
    private(set) var leases: [LeaseSerial: LeaseProgress] = [:]
    /// The highest term seen.
    private(set) var highestTerm = Term(rawValue: 0)
    /// The highest lease serial seen.
    private(set) var highestLease = LeaseSerial(rawValue: 0)
    /// Entries that a process left between dot and reply, or that a power cut made doubtful.
    private(set) var doubtful: [LeaseSerial: EntryBitmap] = [:]
    /// The newest commit of its store that the master has reported.
    var store: StorePosition?

    /// What a record did to the set of leases held.
    enum Effect: Equatable {
        case none
        /// The lease's records begin with this one.
        case held(LeaseSerial)
        /// The lease's last entry is closed.
        case released(LeaseSerial)
    }

    /// Takes a record into account.
    mutating func apply(_ record: JournalRecord) -> Effect {
        switch record {
        case .session(let session): return self.begin(session)
        case .lease(let grant): return self.hold(LeaseProgress(grant: grant))
        case .checkpoint(let progress): return self.hold(progress)
        case .started(let lease, let entries):
            self.leases[lease]?.started.formUnion(entries)
        case .dot(let lease, let index):
            self.leases[lease]?.dotted.insert(index)
        case .done(let lease, let index, let outcome, let endedAt):
            self.leases[lease]?.finish(index, outcome, endedAt: endedAt)
        case .forget(let lease, let entries):
            return self.close(lease, entries, \.forgotten)
        case .returned(let lease, let entries):
            return self.close(lease, entries, \.returned)
        case .store(let position):
            self.store = position
        }
        return .none
    }

    /// Marks what the end of the process that wrote the last session leaves in doubt.
    ///
    /// A dot without a reply always. Every started entry without an outcome if the dots cannot be trusted: the machine has
    /// been started anew, and a dot's record is not synced; or the journal is a copy, and dots were written behind it.
    mutating func endSession(dotsAreKnown: Bool) {
        for (lease, progress) in self.leases {
            let open = dotsAreKnown ? progress.dotted : progress.started.union(progress.dotted)
            let doubtful = open.removing(progress.finished).removing(progress.forgotten).removing(progress.returned)
            if doubtful.count > 0 { self.doubtful[lease, default: EntryBitmap()].formUnion(doubtful) }
        }
    }

    private mutating func begin(_ session: JournalSession) -> Effect {
        if let previous = self.session, previous.incarnation != session.incarnation {
            self.endSession(dotsAreKnown: previous.bootID == session.bootID)
        }
        self.session = session
        self.highestTerm = max(self.highestTerm, session.highestTerm)
        self.highestLease = max(self.highestLease, session.highestLease)
        return .none
    }

    private mutating func hold(_ progress: LeaseProgress) -> Effect {
        let serial = progress.grant.serial
        self.highestTerm = max(self.highestTerm, progress.grant.term)
        self.highestLease = max(self.highestLease, serial)
        guard progress.openCount > 0 else { return .none }
        self.leases[serial] = progress
        return .held(serial)
    }

    private mutating func close(
        _ lease: LeaseSerial,
        _ entries: EntryBitmap,
        _ set: WritableKeyPath<LeaseProgress, EntryBitmap>
    ) -> Effect {
        guard var progress = self.leases.removeValue(forKey: lease) else { return .none }
        progress[keyPath: set].formUnion(entries.clipped(to: progress.grant.entries.count))
        for index in entries.indices { progress.reports[index] = nil }
        guard progress.openCount > 0 else {
            self.doubtful[lease] = nil
            return .released(lease)
        }
        self.leases[lease] = progress
        return .none
    }
}

extension EntryBitmap {
    func union(_ other: EntryBitmap) -> EntryBitmap {
        var union = self
        union.formUnion(other)
        return union
    }

    /// The entries below `count`.
    fileprivate func clipped(to count: Int) -> EntryBitmap {
        self.bytes.count * 8 <= count ? self : EntryBitmap(self.indices.filter { $0 < count })
    }
}

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
