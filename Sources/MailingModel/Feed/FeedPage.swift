// SPDX-License-Identifier: Apache-2.0

/// One event of the feed.
public struct FeedEntry: Sendable, Hashable {
    /// Its position, ascending, never reused.
    public var position: Int64
    /// The recipient as it stood when the event was committed.
    public var report: RecipientReport

    /// Composes an entry.
    public init(position: Int64, report: RecipientReport) {
        self.position = position
        self.report = report
    }
}

/// A page of the feed.
public struct FeedPage: Sendable, Hashable {
    /// Events in ascending order of position.
    public var entries: [FeedEntry]
    /// The position to continue after: past every event that was looked at, filtered ones included.
    public var next: Int64
    /// The newest position at the time of reading.
    public var head: Int64
    /// The oldest position that may be asked for; events below were purged.
    public var horizon: Int64

    /// Composes a page.
    public init(entries: [FeedEntry], next: Int64, head: Int64, horizon: Int64) {
        self.entries = entries
        self.next = next
        self.head = head
        self.horizon = horizon
    }
}
