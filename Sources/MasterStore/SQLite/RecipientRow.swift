// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A row of `recipient` without its merge fields; it never changes.
struct RecipientRow {
    var id: RecipientID
    var address: String
    var domain: String
    /// The client's own id; `nil` if it is generated.
    var ownTrackingID: String?
    var isTest: Bool
    var created: Timestamp

    static func fetch(_ id: RecipientID, _ transaction: StoreTransaction) throws -> RecipientRow? {
        try transaction.prepare("SELECT address, domain, tracking, flags, created FROM recipient WHERE id = ?")
            .bind(1, id.packed).first { row in
                RecipientRow(
                    id: id,
                    address: row.text(0),
                    domain: row.text(1),
                    ownTrackingID: row.optionalText(2),
                    isTest: row.int(3) & 1 != 0,
                    created: row.timestamp(4)
                )
            }
    }

    func trackingID(_ ids: RecipientIDCodec) -> String { self.ownTrackingID ?? ids.encode(self.id) }

    /// The report of this recipient as its delivery stands.
    ///
    /// For an untouched recipient `lease` is the one that holds it now.
    func report(
        _ delivery: DeliveryRow?,
        heldBy lease: LeaseRow? = nil,
        _ transaction: StoreTransaction
    ) throws -> RecipientReport {
        let satellite = delivery?.satellite ?? lease?.satellite
        return RecipientReport(
            recipient: self.id,
            trackingID: self.trackingID(transaction.context.secrets.recipientIDs),
            address: self.address,
            domain: self.domain,
            state: delivery?.standing.state ?? .waiting,
            uncertain: delivery?.standing.uncertain ?? false,
            trace: delivery?.trace,
            satellite: try satellite.flatMap { try transaction.satelliteName($0) },
            inProgress: delivery.map { $0.lease != nil } ?? (lease != nil),
            isTest: self.isTest,
            tryCount: delivery?.standing.tryCount ?? 0,
            firstTry: delivery?.standing.firstTry,
            nextTry: delivery?.standing.state == .deferred ? delivery?.due : nil,
            created: self.created,
            modified: delivery?.modified ?? self.created,
            leasedAt: delivery?.leasedAt ?? lease?.granted
        )
    }

    /// Appends the event that says where this recipient now stands.
    func appendEvent(_ delivery: DeliveryRow, account: AccountID, _ transaction: StoreTransaction) throws {
        // A snapshot carries a generated id only as the number from which it is computed.
        let report = RecipientReport(
            recipient: self.id,
            trackingID: self.ownTrackingID ?? "",
            address: self.address,
            domain: self.domain,
            state: delivery.standing.state,
            uncertain: delivery.standing.uncertain,
            trace: delivery.trace,
            satellite: try delivery.satellite.flatMap { try transaction.satelliteName($0) },
            inProgress: delivery.lease != nil,
            isTest: self.isTest,
            tryCount: delivery.standing.tryCount,
            firstTry: delivery.standing.firstTry,
            nextTry: delivery.standing.state == .deferred ? delivery.due : nil,
            created: self.created,
            modified: delivery.modified,
            leasedAt: delivery.leasedAt
        )
        try transaction.appendEvent(report, generatedID: self.ownTrackingID == nil, account: account)
    }
}
