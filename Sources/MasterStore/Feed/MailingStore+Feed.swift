// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension MailingStore {
    /// Events after a position, ascending; an empty page means the head is reached.
    public func feed(after position: Int64, filter: RecipientFilter, limit: Int) async throws -> FeedPage {
        var page = try await self.read { try Reporting.page(after: position, filter: filter, limit: limit, $0) }
        while page.entries.isEmpty, page.next < page.head, limit > 0 {
            let next = page.next
            page = try await self.read { try Reporting.page(after: next, filter: filter, limit: limit, $0) }
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
