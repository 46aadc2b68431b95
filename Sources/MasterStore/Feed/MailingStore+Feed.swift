// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension MailingStore {
    /// Events after a position, ascending; an empty page means the head is reached.
    public func feed(
        after position: Int64,
        filter: RecipientFilter,
        in scope: AccountScope,
        limit: Int
    ) async throws -> FeedPage {
        var page = try await self.read {
            try Reporting.page(after: position, filter: filter, in: scope, limit: limit, $0)
        }
        while page.entries.isEmpty, page.next < page.head, limit > 0 {
            try Task.checkCancellation()
            let next = page.next
            page = try await self.read { try Reporting.page(after: next, filter: filter, in: scope, limit: limit, $0) }
        }
        return page
    }

    /// The position of the newest event, 0 if there is none.
    public func feedHead() async throws -> Int64 { try await self.read { try $0.stored(.feed) } }

    /// Removes the oldest events as long as they are older than `timestamp`: one step, so that other operations get their turn.
    ///
    /// The horizon moves up with them, in the same transaction. An event's age is that of the change that it describes.
    ///
    /// - Returns: How many were removed, and whether to call again.
    public func purgeEvents(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool) {
        try await self.write { try EventPurge.step(before: timestamp, $0) }
    }
}

/// Reads what is known of recipients: the feed, single reports, counts.
enum Reporting {
    /// How many events one step of a page looks at; between steps the reader lets go, so that it never holds an old
    /// snapshot for long.
    static let scanStep = 20_000

    // MARK: Ids

    /// The recipients of ids, generated or the clients' own, in the order asked; `nil` where this account has none.
    static func recipients(
        _ trackingIDs: [String],
        account: AccountID,
        _ transaction: StoreTransaction
    ) throws -> [RecipientID?] {
        let generated = trackingIDs.map(transaction.context.secrets.recipientIDs.decode)
        // Nobody has another id; one would match what Unicode holds to be the same.
        let isChosen = zip(trackingIDs, generated).map { $1 == nil && RecipientDraft.isVisible($0) }
        let owners = try transaction.owners(of: zip(trackingIDs, isChosen).filter(\.1).map(\.0), account: account)
        return try trackingIDs.indices.map { index in
            guard let id = generated[index] ?? (isChosen[index] ? owners[trackingIDs[index]] : nil),
                let mailing = try transaction.mailing(id.mailing), mailing.mailing.account == account
            else { return nil }
            return id
        }
    }

    // MARK: Reports

    /// The current reports of the recipients found, in the order asked.
    static func reports(
        of trackingIDs: [String],
        account: AccountID,
        _ transaction: StoreTransaction
    ) throws -> [RecipientReport] {
        let ids = try Self.recipients(trackingIDs, account: account, transaction)
        try transaction.readAhead(ids.compactMap(\.self))
        var found: [RecipientReport] = []
        var leases: [Int64: [LeaseRow]] = [:]
        for (trackingID, id) in zip(trackingIDs, ids) {
            guard let id, let recipient = try transaction.recipient(id),
                recipient.trackingID(transaction.context.secrets.recipientIDs) == trackingID.lowercased()
                    || recipient.ownTrackingID == trackingID
            else { continue }
            let delivery = try transaction.delivery(id)
            var lease: LeaseRow?
            // Only the lease says whether a recipient without a row is held.
            if delivery == nil {
                let bucket = id.packed >> 22
                let near = try leases[bucket] ?? transaction.leases(of: id.mailing, bucket: id.bucket)
                leases[bucket] = near
                lease = near.first { lease in lease.index(of: id).map { !lease.closed.contains($0) } ?? false }
            }
            found.append(try recipient.report(delivery, heldBy: lease, transaction))
        }
        return found
    }

    /// How many recipients match; computed from the counters, never by looking at recipients.
    static func count(_ filter: RecipientFilter, in scope: AccountScope, _ transaction: StoreTransaction) throws -> Int
    {
        let states = Set(filter.states ?? RecipientState.allCases)
        return try MailingRow.fetch(filter, in: scope, transaction).reduce(0) { sum, mailing in
            states.reduce(sum) { $0 + mailing.count(of: $1) }
        }
    }

    // MARK: Feed

    /// One step of a page: at most `limit` matching events among the next ``scanStep``.
    static func page(
        after position: Int64,
        filter: RecipientFilter,
        in scope: AccountScope,
        limit: Int,
        _ transaction: StoreTransaction
    ) throws -> FeedPage {
        let head = try transaction.stored(.feed)
        let horizon = try transaction.stored(.horizon)
        let mailings = filter.mailings.map(Set.init)
        let states = filter.states.map(Set.init)
        let owner: Int64? = if case .account(let account) = scope { Int64(account.rawValue) } else { nil }
        var page = FeedPage(entries: [], next: position, head: head, horizon: horizon)
        guard position < head, limit > 0 else { return page }

        let ids = transaction.context.secrets.recipientIDs
        var scanned = 0
        // Where every event matches, one reading of a page's length is enough; where few do, readings grow.
        var length = min(limit, Self.scanStep)
        while scanned < Self.scanStep, page.entries.count < limit {
            let statement: any StoreStatement
            if let mailings, mailings.count == 1, let only = mailings.first {
                statement = try transaction.prepare(
                    """
                    SELECT seq, state, mailing, account, snapshot FROM event WHERE mailing = ? AND seq > ?
                    ORDER BY seq LIMIT ?
                    """
                ).bind(1, Int(only.rawValue)).bind(2, page.next).bind(3, length)
            } else {
                statement = try transaction.prepare(
                    "SELECT seq, state, mailing, account, snapshot FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
                ).bind(1, page.next).bind(2, length)
            }
            var read = 0
            try statement.rowsWhile { row in
                read += 1
                page.next = try row.int64(0)
                let (state, mailing, account) = (try row.int64(1), try row.int64(2), try row.int64(3))
                // As numbers: an event that cannot be read is no matter of those who have not asked for it.
                let matches =
                    (states?.contains { Int64($0.rawValue) == state } ?? true)
                    && (mailings?.contains { Int64($0.rawValue) == mailing } ?? true)
                    && (owner.map { $0 == account } ?? true)
                if matches {
                    page.entries.append(
                        FeedEntry(position: page.next, report: try ReportSnapshot.decode(try row.blob(4), ids: ids))
                    )
                }
                return page.entries.count < limit
            }
            scanned += read
            guard read == length else { break }
            length = min(length * 4, Self.scanStep - scanned)
        }
        // Fewer than were asked for: everything up to the head was looked at, events of other mailings included.
        if scanned < Self.scanStep, page.entries.count < limit { page.next = head }
        return page
    }
}

/// Removes the oldest events of the feed, and moves its horizon up to them.
///
/// Events carry no time of their own, but their snapshot does, and what is to go lies at the horizon: so a step reads the
/// next few snapshots from there, which it has to touch anyway, and stops at the first that is young enough. That needs
/// neither an index by time, nor a table of days that every transaction would have to keep, nor a search that a clock set
/// back could mislead: no event younger than the limit is ever removed. The price: an event from a time when the clock was
/// ahead keeps all that follow it until it is old enough itself.
enum EventPurge {
    /// How many events one step removes at most.
    static let length = 2_000

    /// One step.
    ///
    /// - Returns: How many events it removed, and whether more may be old enough.
    static func step(
        before timestamp: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> (purged: Int, isMoreLeft: Bool) {
        let horizon = try transaction.stored(.horizon)
        var last = horizon
        var purged = 0
        try transaction.prepare("SELECT seq, snapshot FROM event WHERE seq > ? ORDER BY seq LIMIT ?")
            .bind(1, horizon).bind(2, Self.length).rowsWhile { row in
                guard try ReportSnapshot.modified(try row.blob(1)) < timestamp else { return false }
                last = try row.int64(0)
                purged += 1
                return true
            }
        guard purged > 0 else { return (0, false) }
        try transaction.prepare("DELETE FROM event WHERE seq > ? AND seq <= ?").bind(1, horizon).bind(2, last).run()
        try transaction.raise(.horizon, to: last)
        return (purged, purged == Self.length)
    }
}
