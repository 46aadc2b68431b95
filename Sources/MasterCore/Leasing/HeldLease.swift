// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore

/// A lease in the master's memory, with what it uses of its satellite's credit.
///
/// The store is authoritative.
struct HeldLease: Sendable {
    let serial: LeaseSerial
    let mailing: MailingID
    let deliveryClass: DeliveryClass
    /// In ascending order; empty if the lease was found in the store, and then only counts are known.
    let recipients: [RecipientID]
    /// Recipients neither reported nor requeued.
    private(set) var open: Int
    /// Whether the satellite has acknowledged it.
    var isAccepted: Bool
    /// About how many bytes it took on its way; 0 if it was found in the store.
    let bytes: Int
    /// When it was sent, on the measuring clock.
    var sent: Duration
    private var closed = EntryBitmap()

    /// A lease that was just granted.
    init(_ grant: LeaseGrant, sent: Duration) {
        self.serial = grant.serial
        self.mailing = grant.mailing
        self.deliveryClass = grant.deliveryClass
        self.recipients = grant.entries.map(\.recipient)
        self.open = grant.entries.count
        self.bytes = grant.bytes
        self.isAccepted = false
        self.sent = sent
    }

    /// A lease that the store lists.
    init(_ summary: LeaseSummary, now: Duration) {
        self.serial = summary.serial
        self.mailing = summary.mailing
        self.deliveryClass = summary.deliveryClass
        self.recipients = []
        self.open = summary.open
        self.bytes = 0
        self.isAccepted = true
        self.sent = now
    }

    /// Whether every recipient of it is known.
    var isExact: Bool { !self.recipients.isEmpty }

    /// Takes over the store's count.
    mutating func recount(_ open: Int) { self.open = open }

    /// Closes one recipient; returns whether it was open.
    mutating func close(_ recipient: RecipientID) -> Bool {
        guard let index = self.index(of: recipient) else { return false }
        return self.close(index)
    }

    /// Closes entries; returns how many were open.
    mutating func close(_ entries: EntryBitmap) -> Int {
        var count = 0
        for index in entries.indices where index < self.recipients.count && self.close(index) { count += 1 }
        return count
    }

    private mutating func close(_ index: Int) -> Bool {
        guard !self.closed.contains(index) else { return false }
        self.closed.insert(index)
        self.open -= 1
        return true
    }

    private func index(of recipient: RecipientID) -> Int? {
        var low = 0
        var high = self.recipients.count
        while low < high {
            let middle = (low + high) / 2
            if self.recipients[middle] < recipient { low = middle + 1 } else { high = middle }
        }
        return low < self.recipients.count && self.recipients[low] == recipient ? low : nil
    }
}

extension LeaseGrant {
    /// About how many bytes it takes on its way.
    var bytes: Int {
        self.entries.reduce(0) { sum, entry in
            sum + 64 + entry.trackingID.utf8.count + entry.address.utf8.count + entry.mergeFields.count
                + entry.attachments.count * 32
        }
    }
}
