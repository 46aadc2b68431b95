// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// A recipient that is to be stored, with its bucket and ordinal.
struct NewRecipient {
    var id: RecipientID
    var cohort: Int64
    var draft: RecipientDraft
    var account: AccountID
    var isExpress: Bool
    var created: Timestamp

    /// Stores recipients, and the ids that clients gave them.
    static func write(
        _ recipients: [NewRecipient],
        to partition: Partition,
        _ connection: any StoreConnection
    ) throws {
        var batch = RowBatch(partition.recipients, count: recipients.count)
        batch.add("id", numbers: recipients.map(\.id.packed))
        batch.add("cohort", numbers: recipients.map(\.cohort))
        batch.add("address", texts: recipients.map(\.draft.address))
        batch.add("domain", texts: recipients.map(\.draft.domain))
        batch.add("tracking", texts: recipients.map(\.draft.trackingID))
        batch.add("flags", numbers: recipients.map { $0.isExpress ? 1 : 0 }, .two)
        batch.add("created", numbers: recipients.map(\.created.milliseconds))
        batch.add(
            "attachments",
            bytes: recipients.map { $0.draft.attachments.isEmpty ? nil : $0.draft.attachments.flatMap(\.bytes) }
        )
        batch.add("merge", bytes: recipients.map(\.draft.mergeFields))
        try connection.write(batch)

        let own = recipients.filter { $0.draft.trackingID != nil }
        guard !own.isEmpty else { return }
        var names = RowBatch("tracking", replacingBy: "account, tracking", count: own.count)
        names.add("account", numbers: own.map { Int64($0.account.rawValue) })
        names.add("tracking", texts: own.map(\.draft.trackingID))
        names.add("recipient", numbers: own.map(\.id.packed))
        try connection.write(names)
    }
}

/// A row of `recipient` without its merge fields; it never changes.
struct RecipientRow {
    var id: RecipientID
    var address: String
    var domain: String
    /// The client's own id; `nil` if it is generated.
    var ownTrackingID: String?
    var isTest: Bool
    var created: Timestamp

    /// Those of these recipients that exist, in no order.
    static func fetch(_ ids: [RecipientID], _ transaction: StoreTransaction) throws -> [RecipientRow] {
        guard !ids.isEmpty else { return [] }
        var found: [RecipientRow] = []
        found.reserveCapacity(ids.count)
        for part in try transaction.byPartition(ids, { $0 }) {
            try transaction.prepare(
                """
                SELECT id, address, domain, tracking, flags, created FROM \(part.partition.recipients)
                WHERE id IN (SELECT value FROM json_each(?))
                """
            ).bind(1, list: part.items.map(\.packed)).rows { row in
                found.append(
                    RecipientRow(
                        id: RecipientID(packed: try row.int64(0)),
                        address: try row.text(1),
                        domain: try row.text(2),
                        ownTrackingID: try row.optionalText(3),
                        isTest: try row.int(4) & 1 != 0,
                        created: try row.timestamp(5)
                    )
                )
            }
        }
        return found
    }

    func trackingID(_ ids: RecipientIDCodec) -> String { self.ownTrackingID ?? ids.encode(self.id) }

    /// The report of this recipient as its delivery stands.
    ///
    /// For a recipient without a delivery row `lease` is the one that holds it now.
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
            state: delivery?.deliveryState.state ?? .waiting,
            uncertain: delivery?.deliveryState.uncertain ?? false,
            trace: delivery?.trace,
            satellite: try satellite.flatMap { try transaction.satelliteName($0) },
            inProgress: delivery.map { $0.lease != nil } ?? (lease != nil),
            isTest: self.isTest,
            tryCount: delivery?.deliveryState.tryCount ?? 0,
            firstTry: delivery?.deliveryState.firstTry,
            nextTry: delivery?.deliveryState.state == .deferred ? delivery?.due : nil,
            created: self.created,
            modified: delivery?.modified ?? self.created,
            leasedAt: delivery?.leasedAt ?? lease?.granted
        )
    }

    /// Appends an event with this recipient's current report.
    func appendEvent(_ delivery: DeliveryRow, account: AccountID, _ transaction: StoreTransaction) throws {
        // A snapshot carries a generated id only as the number from which it is computed.
        let report = RecipientReport(
            recipient: self.id,
            trackingID: self.ownTrackingID ?? "",
            address: self.address,
            domain: self.domain,
            state: delivery.deliveryState.state,
            uncertain: delivery.deliveryState.uncertain,
            trace: delivery.trace,
            satellite: try delivery.satellite.flatMap { try transaction.satelliteName($0) },
            inProgress: delivery.lease != nil,
            isTest: self.isTest,
            tryCount: delivery.deliveryState.tryCount,
            firstTry: delivery.deliveryState.firstTry,
            nextTry: delivery.deliveryState.state == .deferred ? delivery.due : nil,
            created: self.created,
            modified: delivery.modified,
            leasedAt: delivery.leasedAt
        )
        try transaction.appendEvent(report, generatedID: self.ownTrackingID == nil, account: account)
    }
}
