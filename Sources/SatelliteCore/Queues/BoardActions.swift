// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// What is to be done after a change of the board; carried out without its lock.
struct BoardActions: Sendable {
    /// Connections that have something to pull.
    var wake: [ConnectionID] = []
    /// Connections to open.
    var open: [OpenRequest] = []
    /// Attempts that ended without a connection.
    var finished: [(place: Place, outcome: DeliveryOutcome)] = []
    /// Places given back to the master.
    var returned: [(lease: LeaseSerial, places: EntryBitmap)] = []
    /// Places that the master refused: the journal closes them, nobody needs to be told.
    var refused: [(lease: LeaseSerial, places: EntryBitmap)] = []
    /// Whether there may be something to ask leave for.
    var mayStart = false
    /// Whether connections may hold places of revoked leases.
    var recall = false

    var isEmpty: Bool {
        self.wake.isEmpty && self.open.isEmpty && self.finished.isEmpty && self.returned.isEmpty && self.refused.isEmpty
            && !self.mayStart && !self.recall
    }
}

/// A connection to be opened.
struct OpenRequest: Sendable {
    var id: ConnectionID
    var site: String
    var candidates: [Site.Candidate]
}
