// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// Gives recipients their position: a bucket by domain and the next ordinal in it, both for good.
///
/// A domain's bucket is a stable hash of its name, unless it has one of its own: because a satellite's affinity names it,
/// or because more than ``ownBucketThreshold`` of the mailing's recipients are there. What was placed before stays.
/// Express recipients have buckets of their own, so that a test send never moves the watermarks of the rest.
///
/// Once a mailing is large, it gets a ``Partition`` of its own: the buckets of everybody further, laid out as the shared
/// ones are, begin there.
struct Admission {
    /// How many recipients of one domain a mailing may place by hash before the domain gets a bucket of its own.
    static let ownBucketThreshold = 20_000

    private struct Fill {
        var next: UInt32
        var domain: String?
        var deliveryClass: DeliveryClass
        var isChanged = false
    }

    private let transaction: StoreTransaction
    private let mailing: MailingRow
    private let deliveryClass: DeliveryClass
    private let cohort: Int64
    private var fills: [Bucket: Fill] = [:]
    private var bucketOfDomain: [String: Bucket] = [:]
    private var placedByHash: [String: Int] = [:]
    /// The first bucket of the mailing's own partition, once it has one.
    private var partitionStart: UInt16?
    private var isPartitionTracked: Bool
    /// The mailing's recipients, those of this call included.
    private var total: Int
    /// The next bucket of a single domain.
    private var nextOwnBucket: UInt16
    private var ownBucketOfDomain: [String: Bucket] = [:]
    /// Domains that an affinity names.
    private var namedDomains: Set<String> = []
    private var storedCounts: [String: Int] = [:]
    /// The recipients that already have the ids that these want.
    private var owners: [String: RecipientID] = [:]
    /// What these recipients alone are sent.
    private var attachments: Set<BlobHash> = []
    /// What an import that may be repeated has brought before.
    private var imported: ImportedLines?

    /// Adds recipients to a mailing; one answer per draft, in order.
    static func add(
        _ drafts: [RecipientDraft],
        to id: MailingID,
        in scope: AccountScope,
        _ deliveryClass: DeliveryClass,
        from source: ImportSource? = nil,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> [ImportAdmission] {
        let mailing = try transaction.requireMailing(id, in: scope)
        guard mailing.mailing.status != .finished, mailing.mailing.ending == nil else {
            throw StoreError(.mailingFinished, "mailing \(id) takes no more recipients")
        }
        var admission = try Admission(mailing, deliveryClass, transaction)
        try admission.readAhead(drafts)
        if let source {
            precondition(source.lines.count == drafts.count, "a line for each draft")
            admission.imported = try ImportedLines(source.lines, of: source.key, in: id, transaction)
        }
        var answers: [ImportAdmission] = []
        answers.reserveCapacity(drafts.count)
        for (index, draft) in drafts.enumerated() {
            answers.append(try admission.add(draft, line: source?.lines[index], at: now))
        }
        try admission.writeBuckets()
        try admission.imported?.write(transaction.connection)
        try BlobUse.note(admission.attachments, of: id, at: now, transaction)
        if admission.total > mailing.mailing.counters.total {
            try transaction.update(id) {
                $0.mailing.counters.total = admission.total
                $0.mailing.lastAdded = now
            }
        }
        return answers
    }

    private init(_ mailing: MailingRow, _ deliveryClass: DeliveryClass, _ transaction: StoreTransaction) throws {
        self.mailing = mailing
        self.deliveryClass = deliveryClass
        self.transaction = transaction
        self.partitionStart = mailing.partitionStart
        self.isPartitionTracked = mailing.isPartitionTracked
        self.total = mailing.mailing.counters.total
        self.nextOwnBucket = (mailing.partitionStart ?? 0) + Bucket.hashedCount
        let cohort = try transaction.prepare("SELECT id FROM cohort WHERE mailing = ?")
            .bind(1, Int(mailing.mailing.id.rawValue)).first { try $0.int64(0) }
        guard let cohort else { throw StoreError(.corrupt, "mailing \(mailing.mailing.id) has no cohort") }
        self.cohort = cohort
    }

    // MARK: Reading ahead

    /// Reads all that placing these recipients will ask for.
    private mutating func readAhead(_ drafts: [RecipientDraft]) throws {
        self.owners = try self.transaction.owners(
            of: drafts.compactMap(\.trackingID),
            account: self.mailing.mailing.account
        )
        let isExpress = self.deliveryClass == .express
        let domains = isExpress ? [""] : Set(drafts.map(\.domain)).sorted()
        let hashed = isExpress ? [] : Set(domains.map { self.hashedBucket(of: $0) })
        let firstOwn = self.firstOwnBucket
        for row in try BucketRow.fetch(of: self.mailing.mailing.id, from: firstOwn, and: hashed, self.transaction) {
            self.fills[row.bucket] = Fill(next: row.fill, domain: row.domain, deliveryClass: row.deliveryClass)
            guard row.bucket >= firstOwn else { continue }
            self.nextOwnBucket = max(self.nextOwnBucket, row.bucket.rawValue + 1)
            if let domain = row.domain, row.deliveryClass == self.deliveryClass,
                row.fill <= RecipientID.maximumOrdinal
            {
                self.ownBucketOfDomain[domain] = row.bucket
            }
        }
        guard !isExpress else { return }
        try self.transaction
            .prepare("SELECT domain FROM affinity_domain WHERE domain IN (SELECT value FROM json_each(?))")
            .bind(1, list: domains).rows { self.namedDomains.insert(try $0.text(0)) }
        try self.transaction.prepare(
            "SELECT domain, count FROM domain_count WHERE mailing = ? AND domain IN (SELECT value FROM json_each(?))"
        ).bind(1, Int(self.mailing.mailing.id.rawValue)).bind(2, list: domains)
            .rows { self.storedCounts[try $0.text(0)] = try $0.int(1) }
    }

    private mutating func add(_ draft: RecipientDraft, line: Int?, at now: Timestamp) throws -> ImportAdmission {
        if let wanted = draft.trackingID, try !self.isFree(wanted) { return .trackingIDTaken }
        // A recipient with an id of its own is recognised by that, wherever it stands.
        let line = draft.trackingID == nil ? line : nil
        if let line, let isSame = self.imported?.holds(draft.address, at: line) {
            return isSame ? .repeated : .lineTaken
        }
        try self.openPartitionIfLarge()
        let bucket = try self.bucket(of: draft.domain)
        let ordinal = self.nextOrdinal(in: bucket)
        let id = RecipientID(mailing: self.mailing.mailing.id, bucket: bucket, ordinal: ordinal)
        self.transaction.add(
            NewRecipient(
                id: id,
                cohort: self.cohort,
                draft: draft,
                account: self.mailing.mailing.account,
                isExpress: self.deliveryClass == .express,
                created: now
            )
        )
        self.total += 1
        self.attachments.formUnion(draft.attachments)
        if let wanted = draft.trackingID { try self.noteOwner(id, of: wanted) }
        if let line { self.imported?.add(draft.address, at: line) }
        return .accepted(id)
    }

    private mutating func noteOwner(_ id: RecipientID, of trackingID: String) throws {
        self.owners[trackingID] = id
        guard self.partitionStart != nil, !self.isPartitionTracked else { return }
        try self.transaction.noteTrackedPartition(of: self.mailing.mailing.id)
        self.isPartitionTracked = true
    }

    /// Whether a client may give this id: nobody has it, or only a recipient of a deleted mailing, and it is not of
    /// the form that we generate.
    private func isFree(_ trackingID: String) throws -> Bool {
        guard self.transaction.context.secrets.recipientIDs.decode(trackingID) == nil else { return false }
        guard let owner = self.owners[trackingID] else { return true }
        return try self.transaction.mailing(owner.mailing) == nil
    }

    // MARK: The partition

    /// Gives the mailing a partition of its own once it is large, unless single domains have taken up the numbers for it.
    private mutating func openPartitionIfLarge() throws {
        let start = self.nextOwnBucket
        guard self.partitionStart == nil, self.total >= self.transaction.context.partitionThreshold,
            start + 2 * Bucket.hashedCount <= Bucket.maximum + 1
        else { return }
        try self.transaction.openPartition(of: self.mailing.mailing.id, from: start)
        self.partitionStart = start
        self.nextOwnBucket = start + Bucket.hashedCount
        self.bucketOfDomain = [:]
        self.ownBucketOfDomain = [:]
    }

    /// From here on buckets are of single domains.
    private var firstOwnBucket: Bucket { Bucket(rawValue: (self.partitionStart ?? 0) + Bucket.hashedCount) }

    private func hashedBucket(of domain: String) -> Bucket {
        Bucket(rawValue: (self.partitionStart ?? 0) + Self.hashedBucket(of: domain).rawValue)
    }

    // MARK: Buckets

    private mutating func bucket(of domain: String) throws -> Bucket {
        let key = self.deliveryClass == .express ? "" : domain
        if let known = self.bucketOfDomain[key],
            self.fills[known].map({ $0.next <= RecipientID.maximumOrdinal }) ?? true
        {
            return self.leavingHash(domain: key, of: known)
        }
        let bucket = try self.storedBucket(of: key)
        self.bucketOfDomain[key] = bucket
        return self.leavingHash(domain: key, of: bucket)
    }

    /// Counts a recipient that a hashed bucket takes, and moves its domain to a bucket of its own at the threshold.
    private mutating func leavingHash(domain: String, of bucket: Bucket) -> Bucket {
        guard self.deliveryClass == .bulk, bucket < self.firstOwnBucket else { return bucket }
        let placed = self.placedByHash[domain] ?? self.storedCounts[domain] ?? 0
        if placed >= Self.ownBucketThreshold, let own = self.makeOwnBucket(for: domain) {
            self.bucketOfDomain[domain] = own
            return own
        }
        self.placedByHash[domain] = placed + 1
        return bucket
    }

    private mutating func storedBucket(of key: String) throws -> Bucket {
        if let own = self.ownBucketOfDomain[key], self.fill(of: own).next <= RecipientID.maximumOrdinal { return own }
        if self.deliveryClass == .express || self.namedDomains.contains(key), let own = self.makeOwnBucket(for: key) {
            return own
        }
        let hashed = self.hashedBucket(of: key)
        guard self.deliveryClass == .bulk, self.fill(of: hashed).next <= RecipientID.maximumOrdinal else {
            guard let own = self.makeOwnBucket(for: key) else {
                throw StoreError(.full, "mailing \(self.mailing.mailing.id) has no bucket left for \(key)")
            }
            return own
        }
        return hashed
    }

    /// A new bucket of a single domain (or of all express recipients); `nil` if all numbers are used.
    private mutating func makeOwnBucket(for domain: String) -> Bucket? {
        guard self.nextOwnBucket <= Bucket.maximum else { return nil }
        let bucket = Bucket(rawValue: self.nextOwnBucket)
        self.nextOwnBucket += 1
        self.fills[bucket] = Fill(next: 0, domain: domain, deliveryClass: self.deliveryClass)
        self.ownBucketOfDomain[domain] = bucket
        return bucket
    }

    private func fill(of bucket: Bucket) -> Fill {
        self.fills[bucket] ?? Fill(next: 0, domain: nil, deliveryClass: self.deliveryClass)
    }

    private mutating func nextOrdinal(in bucket: Bucket) -> UInt32 {
        var fill = self.fill(of: bucket)
        defer { self.fills[bucket] = fill }
        let ordinal = fill.next
        fill.next += 1
        fill.isChanged = true
        return ordinal
    }

    private func writeBuckets() throws {
        let mailing = Int(self.mailing.mailing.id.rawValue)
        let fills = self.fills.filter(\.value.isChanged).sorted { $0.key < $1.key }
        var buckets = RowBatch("bucket", replacingBy: "mailing, bucket", count: fills.count)
        buckets.add("mailing", numbers: fills.map { _ in Int64(mailing) })
        buckets.add("bucket", numbers: fills.map { Int64($0.key.rawValue) })
        buckets.add("class", numbers: fills.map { Int64($0.value.deliveryClass.rawValue) })
        buckets.add("domain", texts: fills.map(\.value.domain))
        buckets.add("fill", numbers: fills.map { Int64($0.value.next) })
        if buckets.count > 0 { try self.transaction.connection.write(buckets) }
        var counts = RowBatch("domain_count", replacingBy: "mailing, domain", count: self.placedByHash.count)
        let placed = self.placedByHash.sorted { $0.key < $1.key }
        counts.add("mailing", numbers: placed.map { _ in Int64(mailing) })
        counts.add("domain", texts: placed.map(\.key))
        counts.add("count", numbers: placed.map { Int64($0.value) })
        if counts.count > 0 { try self.transaction.connection.write(counts) }
    }

    /// The bucket of a domain that has none of its own: FNV-1a (64 bits), folded, modulo 256; never change it.
    static func hashedBucket(of domain: String) -> Bucket {
        let hash = StableHash.fnv1a(domain.utf8)
        let folded = hash ^ hash >> 32
        return Bucket(rawValue: UInt16(truncatingIfNeeded: (folded ^ folded >> 16) % UInt64(Bucket.hashedCount)))
    }
}
