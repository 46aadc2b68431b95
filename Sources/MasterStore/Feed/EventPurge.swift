// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

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
