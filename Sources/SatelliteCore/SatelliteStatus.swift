// SPDX-License-Identifier: Apache-2.0

/// What a satellite is doing, for people and probes.
public struct SatelliteStatus: Codable, Hashable, Sendable {
    /// A site with recipients or connections.
    public struct Site: Codable, Hashable, Sendable {
        /// The name of the set of MX hosts.
        public var name: String
        /// Recipients never started.
        public var waiting: Int
        /// Recipients started and waiting for a connection.
        public var ready: Int
        /// Recipients with a connection.
        public var inFlight: Int
        /// Connections open or being opened.
        public var connections: Int
        /// Attempts per second, in hundredths.
        public var attemptsPerSecond: Double
        /// Whether no connection is opened for a while, because no host could be talked to or because of what one replied.
        public var isPaused: Bool
        /// What was met, while the site is failing; or `nil`.
        public var reason: String?
    }

    /// The satellite's name.
    public var serial: String
    /// The journal's name.
    public var journalID: String
    /// Whether a master has taken it on.
    public var isConnected: Bool
    /// Why the master last refused it, or `nil`.
    public var rejection: String?
    /// Whether it is shutting down.
    public var isDraining: Bool
    /// Whether the journal has no room for leases.
    public var isDiskFull: Bool
    /// Leases with recipients that are not reported.
    public var leases: Int
    /// Recipients never started.
    public var waiting: Int
    /// Recipients started and not reported.
    public var started: Int
    /// Recipients with a start request that is not answered.
    public var asked: Int
    /// Recipients with a connection.
    public var inFlight: Int
    /// Connections open or being opened.
    public var connections: Int
    /// Attempts per second, in hundredths.
    public var attemptsPerSecond: Double
    /// Reports that the master has not acknowledged.
    public var unacknowledgedReports: Int
    /// Attempts since the start of the process, by outcome.
    public var delivered: UInt64
    /// Attempts to be repeated.
    public var deferred: UInt64
    /// Attempts refused for good.
    public var failed: UInt64
    /// Recipients whose message could not be made.
    public var unrenderable: UInt64
    /// Attempts with an unknown outcome.
    public var uncertain: UInt64
    /// Bytes of the journal's files, of what can be written, and of what is promised of it.
    public var journalBytes: Int
    /// Bytes that the journal can still take.
    public var journalAvailableBytes: Int
    /// Bytes of these that are promised to recipients held.
    public var journalReservedBytes: Int
    /// The busiest 50 sites, by recipients.
    public var sites: [Site]
    /// What a human should look at: a lack of resources, sites that object to the configuration; empty if all is well.
    public var problems: [String]
}
