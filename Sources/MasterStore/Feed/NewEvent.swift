// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// An event that is to be appended to the feed.
struct NewEvent {
    var position: Int64
    var account: AccountID
    var mailing: MailingID
    var state: RecipientState
    /// The recipient's report as it stands, see ``ReportSnapshot``.
    var snapshot: [UInt8]

    /// Appends events, in order of position.
    static func write(_ events: [NewEvent], _ connection: any StoreConnection) throws {
        var batch = RowBatch("event", count: events.count)
        batch.add("seq", numbers: events.map(\.position))
        batch.add("account", numbers: events.map { Int64($0.account.rawValue) }, .four)
        batch.add("mailing", numbers: events.map { Int64($0.mailing.rawValue) }, .four)
        batch.add("state", numbers: events.map { Int64($0.state.rawValue) }, .two)
        batch.add("snapshot", bytes: events.map(\.snapshot))
        try connection.write(batch)
    }
}
