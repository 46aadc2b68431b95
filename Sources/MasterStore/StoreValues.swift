// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// A store's identity in cursors and handshakes.
public struct StoreIdentity: Sendable, Hashable {
    /// Random, made when the store was created.
    public var storeID: String
    /// Raised each time a master opens the store.
    public var term: Term
    /// The version of the tables.
    public var schemaVersion: Int
    /// Whether it was copied here (by a backup, or a dump) and ``MailingStore/adopt()`` was not called since.
    public var isCopy: Bool

    /// Composes an identity.
    public init(storeID: String, term: Term, schemaVersion: Int, isCopy: Bool = false) {
        self.storeID = storeID
        self.term = term
        self.schemaVersion = schemaVersion
        self.isCopy = isCopy
    }
}

/// Claimable recipients of one bucket.
public struct Backlog: Sendable, Hashable {
    /// The mailing.
    public var mailing: MailingID
    /// Its bucket.
    public var bucket: Bucket
    /// The bucket whose owner this one shall have: the same domains lie in both, in different partitions; else ``bucket``.
    public var home: Bucket
    /// What the recipients count against.
    public var deliveryClass: DeliveryClass
    /// Whether these are retry entries (retries, requeued, skipped) rather than unleased recipients.
    public var isRetry: Bool
    /// How many could be claimed now.
    public var count: Int
    /// Which satellites may take them.
    public var satelliteGroup: String?
    /// The single domain of a bucket of its own, else `nil`.
    public var domain: String?
    /// When the mailing's first recipients were leased, for fairness; `nil` if never.
    public var started: Timestamp?

    /// Composes a row; without `home`, the bucket is at home in itself.
    public init(
        mailing: MailingID,
        bucket: Bucket,
        home: Bucket? = nil,
        deliveryClass: DeliveryClass,
        isRetry: Bool,
        count: Int,
        satelliteGroup: String?,
        domain: String?,
        started: Timestamp?
    ) {
        self.mailing = mailing
        self.bucket = bucket
        self.home = home ?? bucket
        self.deliveryClass = deliveryClass
        self.isRetry = isRetry
        self.count = count
        self.satelliteGroup = satelliteGroup
        self.domain = domain
        self.started = started
    }
}

/// A request for a lease, made by the dispatcher for a satellite.
public struct ClaimRequest: Sendable, Hashable {
    /// The mailing to take from.
    public var mailing: MailingID
    /// Its bucket.
    public var bucket: Bucket
    /// Their class.
    public var deliveryClass: DeliveryClass
    /// Whether the bucket's retry entries are wanted, or its unleased recipients.
    public var isRetry: Bool
    /// The satellite that they are for.
    public var satellite: SatelliteID
    /// Which domains that satellite may take.
    public var affinity: DomainAffinity
    /// The maximum number of recipients.
    public var limit: Int
    /// About how many bytes they may take on their way; at least one recipient is granted however long it is.
    public var maximumBytes: Int

    /// Composes a request.
    public init(
        mailing: MailingID,
        bucket: Bucket,
        deliveryClass: DeliveryClass,
        isRetry: Bool,
        satellite: SatelliteID,
        affinity: DomainAffinity,
        limit: Int,
        maximumBytes: Int = 4 << 20
    ) {
        self.maximumBytes = maximumBytes
        self.mailing = mailing
        self.bucket = bucket
        self.deliveryClass = deliveryClass
        self.isRetry = isRetry
        self.satellite = satellite
        self.affinity = affinity
        self.limit = limit
    }
}

/// A satellite's request to start recipients of a lease.
public struct StartRequest: Sendable, Hashable {
    /// The lease.
    public var lease: LeaseSerial
    /// The entries to start.
    public var entries: EntryBitmap

    /// Composes a request.
    public init(lease: LeaseSerial, entries: EntryBitmap) {
        self.lease = lease
        self.entries = entries
    }
}

/// The answer to a ``StartRequest``.
public struct StartDecision: Sendable, Hashable {
    /// The lease.
    public var lease: LeaseSerial
    /// These may be sent; an entry that was started before is granted again to the same satellite.
    public var granted: EntryBitmap
    /// These may not, and are no longer the satellite's.
    public var refused: EntryBitmap

    /// Composes an answer.
    public init(lease: LeaseSerial, granted: EntryBitmap, refused: EntryBitmap) {
        self.lease = lease
        self.granted = granted
        self.refused = refused
    }
}

/// A lease as the store sees it.
public struct LeaseSummary: Sendable, Hashable {
    /// Its number.
    public var serial: LeaseSerial
    /// The satellite that holds it.
    public var satellite: SatelliteID
    /// The mailing.
    public var mailing: MailingID
    /// What it counts against.
    public var deliveryClass: DeliveryClass
    /// When it was granted.
    public var granted: Timestamp
    /// How many recipients it has.
    public var size: Int
    /// How many of them were started.
    public var started: Int
    /// How many are neither reported nor requeued.
    public var open: Int
    /// Whether it was revoked; its started recipients may still be reported.
    public var isRevoked: Bool

    /// Composes a summary.
    public init(
        serial: LeaseSerial,
        satellite: SatelliteID,
        mailing: MailingID,
        deliveryClass: DeliveryClass,
        granted: Timestamp,
        size: Int,
        started: Int,
        open: Int,
        isRevoked: Bool
    ) {
        self.serial = serial
        self.satellite = satellite
        self.mailing = mailing
        self.deliveryClass = deliveryClass
        self.granted = granted
        self.size = size
        self.started = started
        self.open = open
        self.isRevoked = isRevoked
    }
}

/// A lease whose never-started recipients were requeued.
public struct RevokedLease: Sendable, Hashable {
    /// Its number.
    public var serial: LeaseSerial
    /// The satellite that held it.
    public var satellite: SatelliteID

    /// Composes a value.
    public init(serial: LeaseSerial, satellite: SatelliteID) {
        self.serial = serial
        self.satellite = satellite
    }
}

/// The result of applying a batch of reports.
public struct IntakeResult: Sendable, Hashable {
    /// The outcomes of those that changed something.
    public var outcomes: [DeliveryOutcome] = []
    /// How many changed something.
    public var applied: Int { self.outcomes.count }
    /// How many had been applied before.
    public var repeated: Int = 0
    /// How many were for deleted mailings or unknown recipients.
    public var dropped: Int = 0
    /// How many said only that nobody was tried, of recipients that nobody holds for started: they wait again.
    public var requeued: Int = 0
    /// How many of the applied ones were of attempts on which a server was talked to without permission to start; 0 in health.
    public var unstarted: Int = 0
    /// Mailings that may now be complete.
    public var mailings: Set<MailingID> = []
    /// Leases of which nothing is left open.
    public var closedLeases: [LeaseSerial] = []
    /// The earliest retry that the batch scheduled.
    public var earliestRetry: Timestamp?

    /// An empty result.
    public init() {}
}

/// Counts for the status page and the metrics.
public struct StoreSummary: Sendable, Hashable {
    /// Mailings by state.
    public var mailings: [MailingStatus: Int] = [:]
    /// Recipients that could be leased now or later.
    public var pending: Int = 0
    /// Recipients held as uncertain.
    public var uncertain: Int = 0
    /// Recipients under a lease.
    public var leased: Int = 0
    /// When the oldest open lease was granted.
    public var oldestLease: Timestamp?
    /// The newest position of the feed.
    public var feedHead: Int64 = 0

    /// All zero.
    public init() {}
}

/// Why an operation could not be carried out.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The kind of error.
    public enum Code: Sendable, Hashable {
        /// No such mailing, or it was deleted.
        case unknownMailing
        /// The mailing takes no more recipients.
        case mailingFinished
        /// No such satellite, lease or key.
        case unknownRecord
        /// A unique value is in use.
        case conflict
        /// The store was written by a newer version.
        case newerSchema
        /// Another master holds the store.
        case locked
        /// Another master has taken over; this one must stop.
        case fenced
        /// The database refuses this user's login, or the user lacks a privilege.
        case refused
        /// No space is left.
        case full
        /// The database failed.
        case database
        /// Stored data is damaged.
        case corrupt
    }

    /// The kind of error.
    public var code: Code
    /// What was being done, on what, in a sentence for an operator.
    public var message: String
    /// The database's own message.
    public var underlying: (any Error)?
    /// The operation of the store in which it arose.
    var operation: String?

    /// Composes an error.
    public init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    /// The message, then the database's, and for what is a fault of the database or of its data the operation in which it arose.
    public var description: String {
        guard let underlying = self.underlying else { return self.message + self.operationNote }
        return "\(self.message): \(underlying)\(self.operationNote)"
    }

    private var operationNote: String {
        guard let operation = self.operation, self.code == .database || self.code == .corrupt else { return "" }
        return " (in the store's \(operation))"
    }
}
