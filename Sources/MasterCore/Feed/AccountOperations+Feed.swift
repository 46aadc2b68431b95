// SPDX-License-Identifier: Apache-2.0

public import MailingModel
import MasterStore

/// A page of the report feed and the cursor to continue from.
public struct FeedAnswer: Sendable, Hashable {
    /// Events in ascending order; empty means that the newest event has been seen.
    public var entries: [FeedEntry]
    /// The cursor to continue from; opaque.
    public var cursor: String

    /// Composes a page.
    public init(entries: [FeedEntry], cursor: String) {
        self.entries = entries
        self.cursor = cursor
    }
}

extension AccountOperations {
    /// Events of the feed after a cursor.
    ///
    /// - Parameters:
    ///   - cursor: As a former call gave it; `nil` and the empty string start at the beginning.
    ///   - filter: Which recipients' events; the cursor skips the others.
    ///   - limit: 1 or more; capped at ``MasterConfiguration/maximumFeedPage``.
    /// - Returns: The events and where to continue.
    /// - Throws: ``MasterError/Code/badCursor(_:)``: it never skips silently.
    public func feed(after cursor: String?, filter: RecipientFilter, limit: Int) async throws -> FeedAnswer {
        try await self.call {
            let start = cursor.flatMap { $0.isEmpty ? nil : $0 }
            let position = try start.map { try self.cursors.position(of: $0) } ?? 0
            let page = try await self.store.feed(
                after: position,
                filter: filter,
                in: self.scope,
                limit: min(max(limit, 1), self.configuration.maximumFeedPage)
            )
            if position > page.head {
                if self.engine.safeMode.enter("a validly signed cursor lies ahead of the newest event") {
                    await self.engine.dispatcher.dropAll()
                }
                throw MasterError(
                    .badCursor(.aheadOfHead),
                    "the cursor lies ahead of the newest event: the store was restored from an older copy; "
                        + "start again from the beginning"
                )
            }
            if start != nil, position < page.horizon {
                throw MasterError(
                    .badCursor(.belowHorizon),
                    "the events after this cursor were purged; start again from the beginning"
                )
            }
            return FeedAnswer(entries: page.entries, cursor: self.cursors.cursor(at: page.next))
        }
    }

    /// The cursor of the newest event; reading from it returns only later events.
    public func newestCursor() async throws -> String { try await self.newest().cursor }
}

// MARK: - Following

extension AccountOperations {
    /// The newest event's position, 0 if there is none, and the cursor that continues after it.
    public func newest() async throws -> (position: Int64, cursor: String) {
        try await self.call {
            let position = try await self.store.feedHead()
            return (position, self.cursors.cursor(at: position))
        }
    }

    /// The cursor that continues after an event.
    public func cursor(of entry: FeedEntry) -> String { self.cursors.cursor(at: entry.position) }

    /// The feed's present version, to be taken before the feed is read and waited from after.
    public var feedVersion: FeedVersion { self.engine.feedWatch.version }

    /// Waits until events may have been appended after a version.
    ///
    /// A few rare events (of satellites that are lost or removed) are not noticed at once: read the feed again after a
    /// wait that ran out.
    ///
    /// - Parameters:
    ///   - version: As ``feedVersion`` was before the feed was read.
    ///   - longest: The longest wait.
    /// - Returns: Whether there may be events; `false` if the wait ran out or was cancelled.
    public func waitForEvents(past version: FeedVersion, atMost longest: Duration) async -> Bool {
        let deadline = self.time.elapsed() + longest
        await self.engine.feedWatch.wait(past: version, until: deadline, by: self.time)
        return self.feedVersion != version
    }
}
