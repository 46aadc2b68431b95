// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Leases recipients at a cost that depends on the size of the lease, never on the size of the mailing.
///
/// Unleased recipients are a range scan from the bucket's watermark; watermark and lease are written together, and no
/// recipient's row changes. Retry entries (retries, requeued, skipped) are found by the time they are due.
struct Claiming {
    /// The most recipients in one lease.
    static let largestLease = 4096
    /// How many retry entries are looked at before the rest is left for the next claim: most that a claim skips
    /// are of domains that the affinity came to name only after they were placed.
    private static let mostSkipped = 100_000

    private struct Candidate {
        var entry: LeaseRow.Entry
        var delivery: DeliveryRow?
        var trackingID: String
        var address: String
        var mergeFields: [UInt8]
        var attachments: [BlobHash]

        /// About how many bytes it takes in a grant.
        var bytes: Int {
            64 + self.trackingID.utf8.count + self.address.utf8.count + self.mergeFields.count
                + self.attachments.count * 32
        }
    }

    private let transaction: StoreTransaction
    private let request: ClaimRequest
    private let mailing: MailingRow
    private let now: Timestamp

    /// Serves one claim request; `nil` if there is nothing to lease.
    static func claim(
        _ request: ClaimRequest,
        at now: Timestamp,
        lifetime: Duration,
        _ transaction: StoreTransaction
    ) throws -> LeaseGrant? {
        guard let mailing = try transaction.mailing(request.mailing), request.limit > 0,
            MailingLifecycle.mayLease(mailing.mailing, request.deliveryClass, at: now)
        else { return nil }
        let claiming = Claiming(transaction: transaction, request: request, mailing: mailing, now: now)
        let bucket =
            try transaction
            .prepare("SELECT class, domain, fill, watermark FROM bucket WHERE mailing = ? AND bucket = ?")
            .bind(1, Int(request.mailing.rawValue)).bind(2, Int(request.bucket.rawValue))
            .first { row in
                let (fill, watermark): (UInt32, UInt32) = (try row.integer(2), try row.integer(3))
                return (class: try row.int(0), domain: try row.optionalText(1), fill: fill, watermark: watermark)
            }
        guard let bucket, bucket.class == Int(request.deliveryClass.rawValue) else { return nil }
        if let domain = bucket.domain, !domain.isEmpty, !request.affinity.allows(domain) { return nil }
        let revision: Int64
        let candidates: [Candidate]
        if request.isRetry {
            (candidates, revision) = try claiming.retries()
        } else {
            candidates = try claiming.unleased(
                from: bucket.watermark,
                before: bucket.fill
            )
            revision = mailing.revision
        }
        guard !candidates.isEmpty else { return nil }
        return try claiming.grant(candidates, revision: revision, lifetime: lifetime)
    }

    private var partition: Partition { self.mailing.partition(of: self.request.bucket) }
    private var limit: Int { min(self.request.limit, Self.largestLease) }

    // MARK: Unleased recipients

    private func unleased(from watermark: UInt32, before fill: UInt32) throws -> [Candidate] {
        guard watermark < fill else { return [] }
        let mailing = self.request.mailing
        let bucket = self.request.bucket
        let start = RecipientID(mailing: mailing, bucket: bucket, ordinal: watermark)
        let count = min(fill - watermark, UInt32(self.limit))
        let end = start.packed + Int64(count)
        // Normally there are none: a row past the watermark is a retry entry that was made out of turn.
        let touched = Set(try DeliveryRow.fetch(from: start, before: end, self.transaction).map(\.id))
        var candidates: [Candidate] = []
        var forbidden: [RecipientID] = []
        candidates.reserveCapacity(Int(count))
        let ids = self.transaction.context.secrets.recipientIDs
        var bytes = 0
        /// The first ordinal that is left because the lease is long enough.
        var left = watermark + count
        try self.transaction.prepare(
            """
            SELECT id, address, domain, tracking, attachments, merge FROM \(self.partition.recipients)
            WHERE id >= ? AND id < ? ORDER BY id
            """
        ).bind(1, start.packed).bind(2, end).rowsWhile { row in
            let id = RecipientID(packed: try row.int64(0))
            if !touched.isEmpty, touched.contains(id) { return true }
            guard self.request.affinity.allows(try row.text(2)) else {
                forbidden.append(id)
                return true
            }
            let candidate = Candidate(
                entry: LeaseRow.Entry(ordinal: id.ordinal, attempt: 1),
                delivery: nil,
                trackingID: try row.optionalText(3) ?? ids.encode(id),
                address: try row.text(1),
                mergeFields: try row.blob(5),
                attachments: try row.optionalBlob(4).map(Self.hashes) ?? []
            )
            bytes += candidate.bytes
            guard candidates.isEmpty || bytes <= self.request.maximumBytes else {
                left = id.ordinal
                return false
            }
            candidates.append(candidate)
            return true
        }
        for id in forbidden {
            var delivery = DeliveryRow(id: id, modified: self.now)
            delivery.due = self.now
            try self.transaction.save(delivery, replacing: nil)
        }
        try self.transaction.prepare("UPDATE bucket SET watermark = ? WHERE mailing = ? AND bucket = ?")
            .bind(1, Int(left)).bind(2, Int(mailing.rawValue)).bind(3, Int(bucket.rawValue)).run()
        return candidates
    }

    // MARK: Retry entries

    /// Waiting recipients that share the content revision of the one that is due longest.
    private func retries() throws -> (candidates: [Candidate], revision: Int64) {
        var chosen: [DeliveryRow] = []
        var revision: Int64?
        let ids = self.transaction.context.secrets.recipientIDs
        var candidates: [Candidate] = []
        var skipped = 0
        try DeliveryRow.fetchDue(
            mailing: self.request.mailing,
            bucket: self.request.bucket,
            at: self.now,
            page: max(self.limit, 256),
            self.transaction
        ) { delivery, domain in
            let wanted = delivery.revision ?? self.mailing.revision
            guard revision == nil || revision == wanted, self.request.affinity.allows(domain) else {
                skipped += 1
                return skipped < Self.mostSkipped
            }
            revision = wanted
            chosen.append(delivery)
            return chosen.count < self.limit
        }
        let deliveries = Dictionary(uniqueKeysWithValues: chosen.map { ($0.id, $0) })
        var bytes = 0
        try self.transaction.prepare(
            """
            SELECT id, address, tracking, attachments, merge FROM \(self.partition.recipients)
            WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id
            """
        ).bind(1, list: chosen.map(\.id.packed)).rowsWhile { row in
            guard let delivery = deliveries[RecipientID(packed: try row.int64(0))] else { return true }
            let candidate = Candidate(
                entry: LeaseRow.Entry(ordinal: delivery.id.ordinal, attempt: delivery.attempt + 1),
                delivery: delivery,
                trackingID: try row.optionalText(2) ?? ids.encode(delivery.id),
                address: try row.text(1),
                mergeFields: try row.blob(4),
                attachments: try row.optionalBlob(3).map(Self.hashes) ?? []
            )
            bytes += candidate.bytes
            // The rest goes on waiting.
            guard candidates.isEmpty || bytes <= self.request.maximumBytes else { return false }
            candidates.append(candidate)
            return true
        }
        return (candidates, revision ?? self.mailing.revision)
    }

    // MARK: The lease

    private func grant(_ candidates: [Candidate], revision: Int64, lifetime: Duration) throws -> LeaseGrant {
        let content = try self.transaction.prepare("SELECT content FROM revision WHERE mailing = ? AND number = ?")
            .bind(1, Int(self.request.mailing.rawValue)).bind(2, revision).first { try $0.hash(0) }
        guard let content else {
            throw StoreError(.corrupt, "mailing \(self.request.mailing) has no content revision \(revision)")
        }
        let lease = try LeaseRow.insert(
            satellite: self.request.satellite,
            mailing: self.request.mailing,
            bucket: self.request.bucket,
            deliveryClass: self.request.deliveryClass,
            revision: revision,
            entries: candidates.map(\.entry),
            granted: self.now,
            self.transaction
        )
        var entries: [LeaseEntry] = []
        entries.reserveCapacity(candidates.count)
        for candidate in candidates {
            if let old = candidate.delivery {
                var new = old
                new.attempt = candidate.entry.attempt
                new.messageDate = old.messageDate ?? self.now
                new.due = nil
                new.lease = lease.serial
                new.satellite = self.request.satellite
                new.leasedAt = self.now
                try self.transaction.save(new, replacing: old)
            }
            entries.append(
                LeaseEntry(
                    recipient: RecipientID(
                        mailing: self.request.mailing,
                        bucket: self.request.bucket,
                        ordinal: candidate.entry.ordinal
                    ),
                    attempt: AttemptSerial(rawValue: candidate.entry.attempt),
                    trackingID: candidate.trackingID,
                    address: candidate.address,
                    mergeFields: candidate.mergeFields,
                    date: candidate.delivery?.messageDate ?? self.now,
                    attachments: candidate.attachments
                )
            )
        }
        try self.transaction.update(self.request.mailing) { MailingLifecycle.noteLease(&$0.mailing, at: self.now) }
        return LeaseGrant(
            serial: lease.serial,
            term: lease.term,
            mailing: lease.mailing,
            content: content,
            deliveryClass: lease.deliveryClass,
            testing: self.mailing.mailing.properties.testing,
            lifetime: lifetime,
            returnPathDomain: "",
            entries: entries
        )
    }

    private static func hashes(_ bytes: [UInt8]) throws -> [BlobHash] {
        try stride(from: 0, to: bytes.count, by: 32).map { start in
            guard let hash = BlobHash(bytes: Array(bytes[start..<min(start + 32, bytes.count)])) else {
                throw StoreError(.corrupt, "a list of attachments is cut off")
            }
            return hash
        }
    }
}
