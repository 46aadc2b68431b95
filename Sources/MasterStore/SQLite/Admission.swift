// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Gives recipients their place: a bucket by domain and the next ordinal in it, both for good.
///
/// A domain's bucket is a stable hash of its name, unless it has one of its own: because a satellite's affinity names it,
/// or because more than ``ownBucketThreshold`` of the mailing's recipients are there. What was placed before stays.
/// Express recipients have buckets of their own, so that a test send never moves the watermarks of the rest.
struct Admission {
    /// How many recipients of one domain a mailing may place by hash before the domain gets a bucket of its own.
    static let ownBucketThreshold = 20_000

    private struct Fill {
        var next: UInt32
        var isNew: Bool
    }

    private let transaction: StoreTransaction
    private let mailing: MailingRow
    private let deliveryClass: DeliveryClass
    private let cohort: Int64
    private var fills: [Bucket: Fill] = [:]
    private var bucketOfDomain: [String: Bucket] = [:]
    private var domainOfBucket: [Bucket: String] = [:]
    private var placedByHash: [String: Int] = [:]
    private var nextOwnBucket: UInt16?

    /// Adds recipients to a mailing; one answer per draft, in order.
    static func add(
        _ drafts: [RecipientDraft],
        to id: MailingID,
        _ deliveryClass: DeliveryClass,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> [RecipientAdmission] {
        let mailing = try transaction.requireMailing(id)
        guard mailing.mailing.status != .finished, mailing.mailing.ending == nil else {
            throw StoreError(.mailingFinished, "mailing \(id) takes no more recipients")
        }
        var admission = try Admission(mailing, deliveryClass, transaction)
        var answers: [RecipientAdmission] = []
        answers.reserveCapacity(drafts.count)
        var accepted = 0
        for draft in drafts {
            let answer = try admission.add(draft, at: now)
            if case .accepted = answer { accepted += 1 }
            answers.append(answer)
        }
        try admission.writeBuckets()
        if accepted > 0 {
            try transaction.update(id) {
                $0.mailing.counters.total += accepted
                $0.mailing.lastAdded = now
            }
        }
        return answers
    }

    private init(_ mailing: MailingRow, _ deliveryClass: DeliveryClass, _ transaction: StoreTransaction) throws {
        self.mailing = mailing
        self.deliveryClass = deliveryClass
        self.transaction = transaction
        self.cohort =
            try transaction.prepare("SELECT id FROM cohort WHERE mailing = ?").bind(1, Int(mailing.mailing.id.rawValue))
            .first { $0.int64(0) } ?? 0
    }

    private mutating func add(_ draft: RecipientDraft, at now: Timestamp) throws -> RecipientAdmission {
        let ids = self.transaction.context.secrets.recipientIDs
        if let wanted = draft.trackingID, try !self.isFree(wanted, ids) { return .trackingIDTaken }
        let bucket = try self.bucket(of: draft.domain)
        let ordinal = try self.nextOrdinal(in: bucket)
        let id = RecipientID(mailing: self.mailing.mailing.id, bucket: bucket, ordinal: ordinal)
        try self.transaction.prepare(
            """
            INSERT INTO recipient(id, cohort, address, domain, tracking, flags, created, attachments, merge)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        ).bind(1, id.packed).bind(2, self.cohort).bind(3, draft.address).bind(4, draft.domain)
            .bind(5, draft.trackingID).bind(6, self.deliveryClass == .express ? 1 : 0).bind(7, now)
            .bind(8, draft.attachments.isEmpty ? nil : draft.attachments.flatMap(\.bytes))
            .bind(9, draft.mergeFields).run()
        guard let wanted = draft.trackingID else { return .accepted(id, trackingID: ids.encode(id)) }
        try self.transaction.prepare("INSERT OR REPLACE INTO tracking(account, tracking, recipient) VALUES (?, ?, ?)")
            .bind(1, Int(self.mailing.mailing.account.rawValue)).bind(2, wanted).bind(3, id.packed).run()
        return .accepted(id, trackingID: wanted)
    }

    /// Whether a client may give this id: nobody has it, or only a recipient of a deleted mailing, and it is not of
    /// the form that we generate.
    private func isFree(_ trackingID: String, _ ids: RecipientIDCodec) throws -> Bool {
        guard ids.decode(trackingID) == nil else { return false }
        let owner = try self.transaction
            .prepare("SELECT recipient FROM tracking WHERE account = ? AND tracking = ?")
            .bind(1, Int(self.mailing.mailing.account.rawValue)).bind(2, trackingID)
            .first { RecipientID(packed: $0.int64(0)) }
        guard let owner else { return true }
        return try self.transaction.mailing(owner.mailing) == nil
    }

    // MARK: Buckets

    private mutating func bucket(of domain: String) throws -> Bucket {
        let key = self.deliveryClass == .express ? "" : domain
        if let known = self.bucketOfDomain[key],
            self.fills[known].map({ $0.next <= RecipientID.maximumOrdinal }) ?? true
        {
            return try self.leavingHash(domain: key, of: known)
        }
        let bucket = try self.storedBucket(of: key)
        self.bucketOfDomain[key] = bucket
        return try self.leavingHash(domain: key, of: bucket)
    }

    /// Counts a recipient that a hashed bucket takes, and moves its domain to a bucket of its own at the threshold.
    private mutating func leavingHash(domain: String, of bucket: Bucket) throws -> Bucket {
        guard self.deliveryClass == .bulk, bucket.rawValue < Bucket.hashedCount else { return bucket }
        let placed: Int
        if let known = self.placedByHash[domain] {
            placed = known
        } else {
            placed =
                try self.transaction.prepare("SELECT count FROM domain_count WHERE mailing = ? AND domain = ?")
                .bind(1, Int(self.mailing.mailing.id.rawValue)).bind(2, domain).first { $0.int(0) } ?? 0
        }
        if placed >= Self.ownBucketThreshold, let own = try self.makeOwnBucket(for: domain) {
            self.bucketOfDomain[domain] = own
            return own
        }
        self.placedByHash[domain] = placed + 1
        return bucket
    }

    private mutating func storedBucket(of key: String) throws -> Bucket {
        let found = try self.transaction.prepare(
            """
            SELECT bucket FROM bucket WHERE mailing = ? AND class = ? AND bucket >= 256 AND domain = ? AND fill <= ?
            ORDER BY bucket DESC LIMIT 1
            """
        ).bind(1, Int(self.mailing.mailing.id.rawValue)).bind(2, Int(self.deliveryClass.rawValue)).bind(3, key)
            .bind(4, Int(RecipientID.maximumOrdinal)).first { Bucket(rawValue: UInt16(truncatingIfNeeded: $0.int(0))) }
        if let found { return found }
        let isNamed =
            try self.deliveryClass == .express
            || self.transaction.prepare("SELECT 1 FROM affinity_domain WHERE domain = ?").bind(1, key)
                .first { _ in true } == true
        if isNamed, let own = try self.makeOwnBucket(for: key) { return own }
        let hashed = Self.hashedBucket(of: key)
        guard self.deliveryClass == .bulk, try self.fill(of: hashed).next <= RecipientID.maximumOrdinal else {
            guard let own = try self.makeOwnBucket(for: key) else {
                throw StoreError(.full, "mailing \(self.mailing.mailing.id) has no bucket left for \(key)")
            }
            return own
        }
        return hashed
    }

    /// A new bucket of a single domain (or of all express recipients); `nil` if all numbers are used.
    private mutating func makeOwnBucket(for domain: String) throws -> Bucket? {
        let next: UInt16
        if let known = self.nextOwnBucket {
            next = known
        } else {
            let highest =
                try self.transaction.prepare("SELECT max(bucket) FROM bucket WHERE mailing = ?")
                .bind(1, Int(self.mailing.mailing.id.rawValue)).first { $0.int(0) } ?? 0
            next = max(Bucket.hashedCount, UInt16(truncatingIfNeeded: highest) + 1)
        }
        guard next <= Bucket.maximum else { return nil }
        self.nextOwnBucket = next + 1
        let bucket = Bucket(rawValue: next)
        self.fills[bucket] = Fill(next: 0, isNew: true)
        self.domainOfBucket[bucket] = domain
        return bucket
    }

    private mutating func fill(of bucket: Bucket) throws -> Fill {
        if let known = self.fills[bucket] { return known }
        let stored = try self.transaction.prepare("SELECT fill FROM bucket WHERE mailing = ? AND bucket = ?")
            .bind(1, Int(self.mailing.mailing.id.rawValue)).bind(2, Int(bucket.rawValue)).first { $0.int64(0) }
        let fill = Fill(next: UInt32(truncatingIfNeeded: stored ?? 0), isNew: stored == nil)
        self.fills[bucket] = fill
        return fill
    }

    private mutating func nextOrdinal(in bucket: Bucket) throws -> UInt32 {
        var fill = try self.fill(of: bucket)
        defer { self.fills[bucket] = fill }
        let ordinal = fill.next
        fill.next += 1
        return ordinal
    }

    private func writeBuckets() throws {
        let mailing = Int(self.mailing.mailing.id.rawValue)
        for (bucket, fill) in self.fills {
            if fill.isNew, fill.next > 0 {
                try self.transaction.prepare(
                    "INSERT INTO bucket(mailing, bucket, class, domain, fill) VALUES (?, ?, ?, ?, ?)"
                ).bind(1, mailing).bind(2, Int(bucket.rawValue)).bind(3, Int(self.deliveryClass.rawValue))
                    .bind(4, self.domainOfBucket[bucket]).bind(5, Int(fill.next)).run()
            } else if !fill.isNew {
                try self.transaction.prepare("UPDATE bucket SET fill = ? WHERE mailing = ? AND bucket = ?")
                    .bind(1, Int(fill.next)).bind(2, mailing).bind(3, Int(bucket.rawValue)).run()
            }
        }
        for (domain, count) in self.placedByHash {
            try self.transaction.prepare("INSERT OR REPLACE INTO domain_count(mailing, domain, count) VALUES (?, ?, ?)")
                .bind(1, mailing).bind(2, domain).bind(3, count).run()
        }
    }

    /// The bucket of a domain that has none of its own: FNV-1a (64 bits), folded, modulo 256; never change it.
    static func hashedBucket(of domain: String) -> Bucket {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in domain.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let folded = hash ^ hash >> 32
        return Bucket(rawValue: UInt16(truncatingIfNeeded: (folded ^ folded >> 16) % UInt64(Bucket.hashedCount)))
    }
}
