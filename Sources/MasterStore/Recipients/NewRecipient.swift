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
