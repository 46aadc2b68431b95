// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// What is to be done after a change of the scheduler; carried out without its lock.
struct SchedulerActions: Sendable {
    /// Connections that have something to pull.
    var wake: [ConnectionID] = []
    /// Connections to open.
    var open: [OpenRequest] = []
    /// Attempts that ended without a connection.
    var finished: [(recipient: QueuedRecipient, outcome: DeliveryOutcome)] = []
    /// Recipients returned to the master.
    var returned: [(lease: LeaseSerial, entries: EntryBitmap)] = []
    /// Connections that take nothing more and leave when what they have begun is over.
    var drain: [ConnectionID] = []
    /// Sites that were paused.
    var pauses: [SitePause] = []
    /// Recipients that the master refused: the journal closes them, nobody needs to be notified.
    var refused: [(lease: LeaseSerial, entries: EntryBitmap)] = []
    /// Whether there may be something to request permission for.
    var mayStart = false
    /// Whether connections may hold recipients of revoked leases.
    var recall = false

    var isEmpty: Bool {
        self.wake.isEmpty && self.open.isEmpty && self.drain.isEmpty && self.pauses.isEmpty && self.finished.isEmpty
            && self.returned.isEmpty && self.refused.isEmpty
            && !self.mayStart && !self.recall
    }

    /// Adds what another change asks for.
    mutating func append(_ other: SchedulerActions) {
        self.wake += other.wake
        self.open += other.open
        self.drain += other.drain
        self.pauses += other.pauses
        self.finished += other.finished
        self.returned += other.returned
        self.refused += other.refused
        self.mayStart = self.mayStart || other.mayStart
        self.recall = self.recall || other.recall
    }
}

/// A site is left alone for a while.
struct SitePause: Sendable {
    /// The site's name.
    var site: String
    /// What was met.
    var trace: AttemptTrace
    /// Whom it is about.
    var subject: OutcomePolicy.Subject
    /// For how long.
    var duration: Duration
    /// Started recipients that nobody had tried: they go back to the site's queue.
    var held: Int
    /// Recipients whose attempt is deferred, because the site has been failing for long.
    var deferred: Int
}

/// A connection to be opened.
struct OpenRequest: Sendable {
    var id: ConnectionID
    var site: String
    var candidates: [Site.Candidate]
}

/// Identifies a connection within the process.
struct ConnectionID: Hashable, Sendable {
    let number: UInt64
}
