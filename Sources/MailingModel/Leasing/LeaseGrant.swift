// SPDX-License-Identifier: Apache-2.0

/// What a lease is drawn from: reserved connections for the urgent, the rest for bulk.
public enum DeliveryClass: UInt8, Sendable, Codable, CaseIterable {
    /// Test sends and transactional mail.
    case express = 0
    /// Everything else.
    case bulk = 1
}

/// Recipients entrusted to one satellite, as it receives them.
public struct LeaseGrant: Sendable, Hashable {
    /// Its number, the fence.
    public var serial: LeaseSerial
    /// The leadership term under which it was granted.
    public var term: Term
    /// The mailing of every entry.
    public var mailing: MailingID
    /// The content revision of every entry.
    public var content: BlobHash
    /// What it counts against.
    public var deliveryClass: DeliveryClass
    /// Deliver to the test target instead of the MX.
    public var testing: Bool
    /// How long the satellite may hold it without a heartbeat.
    public var lifetime: Duration
    /// The domain of VERP reverse paths; empty means the header From's address is the reverse path.
    public var returnPathDomain: String
    /// 1 to about 1,000 recipients, in ascending order; an entry's index here is its bit in the started bitmap.
    public var entries: [LeaseEntry]

    /// Composes a grant.
    public init(
        serial: LeaseSerial,
        term: Term,
        mailing: MailingID,
        content: BlobHash,
        deliveryClass: DeliveryClass,
        testing: Bool,
        lifetime: Duration,
        returnPathDomain: String,
        entries: [LeaseEntry]
    ) {
        self.serial = serial
        self.term = term
        self.mailing = mailing
        self.content = content
        self.deliveryClass = deliveryClass
        self.testing = testing
        self.lifetime = lifetime
        self.returnPathDomain = returnPathDomain
        self.entries = entries
    }
}

/// One recipient of a lease.
public struct LeaseEntry: Sendable, Hashable {
    /// The recipient.
    public var recipient: RecipientID
    /// The attempt's number; with the recipient it keys the report.
    public var attempt: AttemptSerial
    /// The id that API callers and tracking links see.
    public var trackingID: String
    /// The address as the caller wrote it.
    public var address: String
    /// ``MergeFields`` as stored, encoded by `MergeFields.encoded()`.
    public var mergeFields: [UInt8]
    /// The message's Date, fixed at the recipient's first grant.
    public var date: Timestamp
    /// Attachments of this recipient alone, in order.
    public var attachments: [BlobHash]

    /// Composes an entry.
    public init(
        recipient: RecipientID,
        attempt: AttemptSerial,
        trackingID: String,
        address: String,
        mergeFields: [UInt8],
        date: Timestamp,
        attachments: [BlobHash] = []
    ) {
        self.recipient = recipient
        self.attempt = attempt
        self.trackingID = trackingID
        self.address = address
        self.mergeFields = mergeFields
        self.date = date
        self.attachments = attachments
    }
}

/// A set of entries of a lease, by index, one bit each.
public struct EntryBitmap: Hashable, Sendable {
    /// Little-endian bits: entry `i` is bit `i % 8` of byte `i / 8`; absent bytes are zero.
    public private(set) var bytes: [UInt8]

    /// An empty set.
    public init() { self.bytes = [] }

    /// Restores a set from its bytes.
    public init(bytes: [UInt8]) { self.bytes = bytes }

    /// A set of the entries with the given indices.
    public init(_ indices: some Sequence<Int>) {
        self.bytes = []
        for index in indices { self.insert(index) }
    }

    /// Whether an entry is in the set.
    public func contains(_ index: Int) -> Bool {
        let byte = index >> 3
        return byte < self.bytes.count && self.bytes[byte] & (1 << UInt8(index & 7)) != 0
    }

    /// Adds an entry.
    public mutating func insert(_ index: Int) {
        precondition(index >= 0, "a lease has no entry before the first")
        let byte = index >> 3
        while self.bytes.count <= byte { self.bytes.append(0) }
        self.bytes[byte] |= 1 << UInt8(index & 7)
    }

    /// Adds every entry of another set.
    public mutating func formUnion(_ other: EntryBitmap) {
        while self.bytes.count < other.bytes.count { self.bytes.append(0) }
        for (index, byte) in other.bytes.enumerated() { self.bytes[index] |= byte }
    }

    /// How many entries are in the set.
    public var count: Int { self.bytes.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// The indices of the entries in the set, in ascending order.
    public var indices: [Int] {
        var indices: [Int] = []
        for (index, byte) in self.bytes.enumerated() where byte != 0 {
            for bit in 0..<8 where byte & (1 << UInt8(bit)) != 0 { indices.append(index * 8 + bit) }
        }
        return indices
    }
}
