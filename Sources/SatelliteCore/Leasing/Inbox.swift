// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// What waits for the journal; taken out as a whole, so that one sync serves all of it.
struct Inbox: Sendable {
    /// Grants to be accepted.
    var grants: [LeaseGrant] = []
    /// Decisions of the master on start requests.
    var started: [(lease: LeaseSerial, started: EntryBitmap, refused: EntryBitmap)] = []
    /// Reports that the master has acknowledged.
    var acknowledged: [DeliveryReport] = []
    /// Recipients to be returned.
    var returned: [(lease: LeaseSerial, entries: EntryBitmap)] = []
    /// Recipients that the master refused.
    var refused: [(lease: LeaseSerial, entries: EntryBitmap)] = []

    /// Whether what was taken out before is still being written and reported.
    var isInHand = false

    /// Takes out what waits, and marks it as in hand.
    mutating func take() -> Inbox {
        defer {
            self = Inbox()
            self.isInHand = true
        }
        return self
    }

    /// Whether nothing waits; something may be in hand.
    var isEmpty: Bool {
        self.grants.isEmpty && self.started.isEmpty && self.acknowledged.isEmpty && self.returned.isEmpty
            && self.refused.isEmpty
    }
}

/// A lease whose recipients are to be prepared.
struct Preparation: Sendable {
    var lease: HeldLease
    var indices: [Int]
}
