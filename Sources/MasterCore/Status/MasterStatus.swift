// SPDX-License-Identifier: Apache-2.0

/// What the master knows of itself and its cluster at one instant; the source of the status page and the metrics.
public struct MasterStatus: Sendable, Hashable, Codable {
    /// A satellite as the master sees it.
    public struct Satellite: Sendable, Hashable, Codable {
        /// Its number.
        public var id: Int32
        /// Its name.
        public var serial: String
        /// Its group.
        public var group: String?
        /// Whether it may connect.
        public var enabled: Bool
        /// Whether it is connected and welcomed.
        public var connected: Bool
        /// Whether it takes no new work.
        public var draining: Bool
        /// The version in its handshake.
        public var version: String?
        /// When something was last heard of it, RFC 3339; `nil` if never since the master started.
        public var lastSeenAt: String?
        /// Recipients that it holds under leases, by the master's count.
        public var outstanding: Int
        /// Recipients that it is willing to hold.
        public var credit: Int
        /// Recipients accepted and not yet started, as it reports.
        public var waiting: Int
        /// Recipients started and not yet reported, as it reports.
        public var started: Int
        /// SMTP connections that it has open, as it reports.
        public var connections: Int
        /// Reports that it holds and that are not acknowledged, as it reports.
        public var unacknowledgedReports: Int
        /// Attempts that ended there within the last minute, as it reports.
        public var attemptsLastMinute: Int
    }

    /// The program's version.
    public var version: String = ""
    /// Names the store.
    public var storeID: String = ""
    /// The master's term.
    public var term: Int64 = 0
    /// When the master started, RFC 3339.
    public var startedAt: String = ""
    /// Whether it does its work: the store answers, no safe mode, not stopping.
    public var ready: Bool = false
    /// Why it is not ready, or what an operator should look at; one sentence each.
    public var problems: [String] = []
    /// Warnings about started mailings: no signature, no way to unsubscribe.
    public var warnings: [String] = []
    /// Why nothing is sent until the operator confirms, or `nil`.
    public var safeMode: String?
    /// Mailings by state: `filling`, `ready`, `running`, `paused`, `finished`.
    public var mailings: [String: Int] = [:]
    /// Recipients that wait or are deferred.
    public var pending: Int = 0
    /// Recipients that could be leased now.
    public var backlog: Int = 0
    /// Recipients that no known satellite may take.
    public var unroutable: Int = 0
    /// Recipients held as uncertain.
    public var uncertain: Int = 0
    /// Recipients under a lease.
    public var leased: Int = 0
    /// Age of the oldest open lease in seconds; 0 if there is none.
    public var oldestLeaseSeconds: Int64 = 0
    /// Reports that wait for the store.
    public var queuedReports: Int = 0
    /// How long the oldest of them has waited, in seconds and thousandths; 0 if there is none.
    public var reportLagSeconds: Double = 0
    /// The newest position of the feed.
    public var feedHead: Int64 = 0
    /// Attempts reported within the last minute.
    public var attemptsLastMinute: Int = 0
    /// Deliveries reported within the last minute.
    public var deliveredLastMinute: Int = 0
    /// Deferrals reported within the last minute.
    public var deferredLastMinute: Int = 0
    /// Failures reported within the last minute.
    public var failedLastMinute: Int = 0
    /// Recipients leased within the last minute.
    public var leasedLastMinute: Int = 0
    /// Reports that were for deleted mailings or unknown recipients, since the master started.
    public var droppedReports: Int = 0
    /// Reports of attempts that satellites made without permission to start, since the master started; 0 in health.
    public var unstartedReports: Int = 0
    /// Counters that a recount found wrong and repaired, since the master started; 0 in health.
    public var counterDrift: Int = 0
    /// The satellites in order of number.
    public var satellites: [Satellite] = []

    /// All zero.
    public init() {}
}
