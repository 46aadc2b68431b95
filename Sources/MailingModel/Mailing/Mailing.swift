// SPDX-License-Identifier: Apache-2.0

/// The state of a mailing in its life cycle.
public enum MailingStatus: UInt8, Sendable, Codable, CaseIterable {
    /// Recipients and content may still come; nothing but test sends goes out.
    case filling = 0
    /// Started, nothing leased yet.
    case ready = 1
    /// Recipients are being delivered.
    case running = 2
    /// Stopped by the caller; may be started again.
    case paused = 3
    /// Ended; only bounces and tracking still come in.
    case finished = 4
}

/// Whether a mailing closes by itself.
public enum MailingType: UInt8, Sendable, Codable {
    /// Closes once every recipient is terminal.
    case regular = 0
    /// Stays open for recipients until it is closed or its time ends.
    case opened = 1
}

/// One content sent to many recipients.
public struct Mailing: Sendable, Hashable {
    /// Its number.
    public var id: MailingID
    /// Whose it is.
    public var account: AccountID
    /// Where it stands.
    public var status: MailingStatus
    /// What its owner may set.
    public var properties: MailingProperties
    /// The hash of the newest content revision (a blob holding a ``MailingContent``).
    public var content: BlobHash
    /// The subject as last set, a template.
    public var subject: String
    /// How many recipients stand where.
    public var counters: MailingCounters
    /// When it was created.
    public var created: Timestamp
    /// When start was last asked for; the grace of closing counts from here.
    public var submitted: Timestamp?
    /// When the first recipients were leased.
    public var started: Timestamp?
    /// When it finished.
    public var ended: Timestamp?
    /// When recipients were last accepted; kept by the store.
    public var lastAdded: Timestamp?
    /// When its remaining recipients began to expire; from then on nothing is leased or started.
    public var ending: Timestamp?
    /// Close as soon as every recipient is terminal, without grace: set when its owner has just allowed it to close.
    public var closesWithoutGrace: Bool = false

    /// Composes a mailing.
    public init(
        id: MailingID,
        account: AccountID,
        status: MailingStatus,
        properties: MailingProperties,
        content: BlobHash,
        subject: String,
        counters: MailingCounters,
        created: Timestamp,
        submitted: Timestamp?,
        started: Timestamp?,
        ended: Timestamp?
    ) {
        self.id = id
        self.account = account
        self.status = status
        self.properties = properties
        self.content = content
        self.subject = subject
        self.counters = counters
        self.created = created
        self.submitted = submitted
        self.started = started
        self.ended = ended
    }
}

/// How many recipients of a mailing stand where; equal at all times to a count over the rows.
public struct MailingCounters: Sendable, Hashable, Codable {
    /// All recipients ever accepted.
    public var total: Int = 0
    /// In state ``RecipientState/delivered``.
    public var delivered: Int = 0
    /// In states `failed`, `unrenderable` and `uncertain`.
    public var failed: Int = 0
    /// In state `expired`.
    public var expired: Int = 0
    /// In state `deferred`; a part of ``pending``.
    public var deferred: Int = 0
    /// In state `uncertain`; a part of ``failed``.
    public var uncertain: Int = 0

    /// All zero.
    public init() {}

    /// Those that are not terminal: total less delivered, failed and expired.
    public var pending: Int { self.total - self.delivered - self.failed - self.expired }
}
