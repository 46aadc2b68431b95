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
    /// Whether it was copied here (by a backup, or a dump) and ``DatabaseStore/adopt()`` was not called since.
    public var isCopy: Bool

    /// Composes an identity.
    public init(storeID: String, term: Term, schemaVersion: Int, isCopy: Bool = false) {
        self.storeID = storeID
        self.term = term
        self.schemaVersion = schemaVersion
        self.isCopy = isCopy
    }
}

/// Which mailings to list; an absent criterion matches all, several are combined by AND.
public struct MailingFilter: Sendable, Hashable {
    /// Any of these numbers.
    public var ids: [MailingID]?
    /// Any of these states.
    public var statuses: [MailingStatus]?
    /// Any of these header From domains.
    public var domains: [String]?
    /// Any of these owners.
    public var owners: [String]?
    /// Any of these satellite groups.
    public var satelliteGroups: [String]?
    /// Of this account only.
    public var account: AccountID?
    /// Only those that ended before this timestamp.
    public var endedBefore: Timestamp?
    /// Only numbers above this.
    public var after: MailingID?
    /// At most so many; `nil` is all.
    public var limit: Int?

    /// Matches everything.
    public init() {}
}

/// Which recipients to report or count; several criteria are combined by AND.
public struct RecipientFilter: Sendable, Hashable {
    /// Of any of these mailings.
    public var mailings: [MailingID]?
    /// In any of these states.
    public var states: [RecipientState]?
    /// Of this account only.
    public var account: AccountID?

    /// Matches everything.
    public init() {}
}

/// What is known of one recipient: the record behind every API's report, and the snapshot in every event.
public struct RecipientReport: Sendable, Hashable {
    /// The recipient.
    public var recipient: RecipientID
    /// The id that API callers see.
    public var trackingID: String
    /// The address as submitted.
    public var address: String
    /// The recipient domain.
    public var domain: String
    /// Its state.
    public var state: RecipientState
    /// Whether an attempt's outcome was ever unknown.
    public var uncertain: Bool
    /// The last attempt's trace, if there was one.
    public var trace: AttemptTrace?
    /// The serial of the satellite that last took it.
    public var satellite: String?
    /// Whether it is leased now.
    public var inProgress: Bool
    /// Whether it was added by a test send.
    public var isTest: Bool
    /// Attempts made.
    public var tryCount: Int
    /// When the first attempt was granted.
    public var firstTry: Timestamp?
    /// When the next attempt is due.
    public var nextTry: Timestamp?
    /// When it was added.
    public var created: Timestamp
    /// When its state last changed.
    public var modified: Timestamp
    /// When it was last leased.
    public var leasedAt: Timestamp?

    /// Composes a report.
    public init(
        recipient: RecipientID,
        trackingID: String,
        address: String,
        domain: String,
        state: RecipientState,
        uncertain: Bool = false,
        trace: AttemptTrace? = nil,
        satellite: String? = nil,
        inProgress: Bool = false,
        isTest: Bool = false,
        tryCount: Int = 0,
        firstTry: Timestamp? = nil,
        nextTry: Timestamp? = nil,
        created: Timestamp,
        modified: Timestamp,
        leasedAt: Timestamp? = nil
    ) {
        self.recipient = recipient
        self.trackingID = trackingID
        self.address = address
        self.domain = domain
        self.state = state
        self.uncertain = uncertain
        self.trace = trace
        self.satellite = satellite
        self.inProgress = inProgress
        self.isTest = isTest
        self.tryCount = tryCount
        self.firstTry = firstTry
        self.nextTry = nextTry
        self.created = created
        self.modified = modified
        self.leasedAt = leasedAt
    }
}

/// One event of the feed.
public struct FeedEntry: Sendable, Hashable {
    /// Its position, ascending, never reused.
    public var position: Int64
    /// The recipient as it stood when the event was committed.
    public var report: RecipientReport

    /// Composes an entry.
    public init(position: Int64, report: RecipientReport) {
        self.position = position
        self.report = report
    }
}

/// A page of the feed.
public struct FeedPage: Sendable, Hashable {
    /// Events in ascending order of position.
    public var entries: [FeedEntry]
    /// The position to continue after: past every event that was looked at, filtered ones included.
    public var next: Int64
    /// The newest position at the time of reading.
    public var head: Int64
    /// The oldest position that may be asked for; events below were purged.
    public var horizon: Int64

    /// Composes a page.
    public init(entries: [FeedEntry], next: Int64, head: Int64, horizon: Int64) {
        self.entries = entries
        self.next = next
        self.head = head
        self.horizon = horizon
    }
}

/// How a held recipient is resolved.
public enum UncertainResolution: String, Sendable, CaseIterable {
    /// Counts as delivered.
    case delivered
    /// Counts as failed, and is not tried again.
    case failed
    /// Is sent again.
    case resend
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
    /// How many changed something.
    public var applied: Int = 0
    /// How many had been applied before.
    public var repeated: Int = 0
    /// How many were for deleted mailings or unknown recipients.
    public var dropped: Int = 0
    /// How many of the applied ones were for recipients that the satellite had not been allowed to start.
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

/// An API key as stored.
public struct APIKeyRecord: Sendable, Hashable {
    /// Names the key, in lists and in logs.
    public var publicID: String
    /// SHA-256 of the secret.
    public var secretHash: [UInt8]
    /// A name for people.
    public var name: String
    /// The account it acts for.
    public var account: AccountID
    /// Overrides `cloudmailing.autoescape` for mailings created with it.
    public var autoescape: Bool?
    /// When it was made.
    public var created: Timestamp
    /// When it was revoked.
    public var revoked: Timestamp?

    /// Composes a record.
    public init(
        publicID: String,
        secretHash: [UInt8],
        name: String,
        account: AccountID,
        autoescape: Bool? = nil,
        created: Timestamp,
        revoked: Timestamp? = nil
    ) {
        self.publicID = publicID
        self.secretHash = secretHash
        self.name = name
        self.account = account
        self.autoescape = autoescape
        self.created = created
        self.revoked = revoked
    }
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

    /// Composes an error.
    public init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    /// The message, then the database's.
    public var description: String {
        guard let underlying = self.underlying else { return self.message }
        return "\(self.message): \(underlying)"
    }
}
