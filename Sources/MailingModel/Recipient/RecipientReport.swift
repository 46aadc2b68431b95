// SPDX-License-Identifier: Apache-2.0

/// Which recipients to report or count; several criteria are combined by AND.
public struct RecipientFilter: Sendable, Hashable {
    /// Of any of these mailings.
    public var mailings: [MailingID]?
    /// In any of these states.
    public var states: [RecipientState]?

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
