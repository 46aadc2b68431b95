// SPDX-License-Identifier: Apache-2.0

/// The master's configuration; immutable, replaced as a whole.
public struct MasterConfiguration: Sendable, Hashable {
    /// How leases are made and ended.
    public struct Leasing: Sendable, Hashable {
        /// Recipients in one lease at most.
        public var maximumRecipients: Int = 1_000
        /// About how many bytes one lease takes on its way at most; the link carries 16 MiB at once.
        public var maximumBytes: Int = 4 << 20
        /// Grants of so many bytes in all are claimed in one transaction and made ready for the link at a time.
        public var claimedBytes: Int = 8 << 20
        /// A satellite that has not acknowledged grants of so many bytes in all gets no more.
        public var maximumUnacceptedBytes: Int = 16 << 20
        /// How long a satellite may be silent before its never-started recipients are leased again.
        public var lifetime: Duration = .seconds(120)
        /// How long a satellite may be silent before its started recipients become uncertain.
        public var quarantine: Duration = .seconds(24 * 3_600)
        /// How long a satellite may take to acknowledge a grant before it is revoked.
        public var acceptance: Duration = .seconds(60)
        /// Grants that a satellite may leave unacknowledged before it gets more.
        public var maximumUnaccepted: Int = 64
        /// Leases asked for in one transaction of the store.
        public var maximumRequests: Int = 128
        /// How many recipients a mailing gets at least in its turn, so that a small one is never starved by a large one.
        public var minimumShare: Int = 100

        /// The defaults.
        public init() {}
    }

    /// What is kept in memory between satellites and store.
    public struct Intake: Sendable, Hashable {
        /// Reports that wait for the store at most; what comes above is dropped and repeated by its satellite.
        public var maximumQueued: Int = 50_000
        /// Reports applied in one transaction at most.
        public var maximumBatch: Int = 2_000
        /// The first wait after the store failed; doubled each time.
        public var firstRetry: Duration = .milliseconds(200)
        /// The longest wait between two tries of the store.
        public var longestRetry: Duration = .seconds(15)

        /// The defaults.
        public init() {}
    }

    /// What the master does in the background for its store.
    public struct Upkeep: Sendable, Hashable {
        /// How long after its end a finished mailing is deleted with all that belongs to it; `nil` keeps it.
        public var keepMailings: Duration?
        /// The age above which events of the feed are purged; `nil` keeps them.
        public var keepEvents: Duration?
        /// The time from one round of deleting and purging to the next.
        public var purgeEvery: Duration = .seconds(15 * 60)
        /// The time from one recount of all counters to the next; `nil` never recounts.
        public var recountEvery: Duration? = .seconds(86_400)
        /// When the first recount begins at the latest, and when one that failed is repeated.
        public var firstRecountAfter: Duration = .seconds(10 * 60)
        /// The rest between two steps.
        public var rest: Duration = .milliseconds(20)

        /// The defaults.
        public init() {}
    }

    /// Leases.
    public var leasing = Leasing()
    /// Reports and starts.
    public var intake = Intake()
    /// Retention and recounts.
    public var upkeep = Upkeep()
    /// How long after its start and its last accepted recipients a complete mailing is closed.
    public var finishGrace: Duration = .seconds(30)
    /// How long started recipients may still be reported after their mailing's end, before they become uncertain.
    public var resolveAfterEnd: Duration = .seconds(15 * 60)
    /// A running mailing with due recipients and no progress for so long, while a satellite has credit, is an alarm.
    public var stallAlarm: Duration = .seconds(60)
    /// No timer sleeps longer, so that a civil clock set forward is noticed.
    public var longestSleep: Duration = .seconds(60)
    /// Recipients in one call at most.
    public var maximumRecipientsPerCall: Int = 1_000
    /// Recipients in one step of an import at most: one transaction, for which other operations wait.
    public var maximumRecipientsPerImportStep: Int = 2_000
    /// A recipient's merge fields, encoded, at most; bytes.
    ///
    /// Far below what the link carries, so that a lease of one recipient can always be sent.
    public var maximumMergeBytes: Int = 64 * 1_024
    /// A recipient's attachments, together, at most; bytes.
    public var maximumAttachmentBytes: Int = 10 * 1_024 * 1_024
    /// A content revision at most; bytes.
    public var maximumContentBytes: Int = 8 * 1_024 * 1_024
    /// Events in one page of the feed at most.
    public var maximumFeedPage: Int = 1_000
    /// Escape merge fields in HTML parts of mailings created with a key that does not say.
    public var autoescape: Bool = true
    /// The domain of VERP reverse paths; empty means that the header From's address is the reverse path.
    public var returnPathDomain: String = ""
    /// The program's version, shown in the status.
    public var version: String = "development"

    /// The defaults.
    public init() {}
}
