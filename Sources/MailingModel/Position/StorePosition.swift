// SPDX-License-Identifier: Apache-2.0

/// A commit of a master's store.
///
/// A master reports its newest commit to its satellites with everything that it sends, and they remember the last that was
/// reported. A store that does not know that commit is an older copy: it was restored from files, a snapshot or a backup.
///
/// Commits are counted from the opening of the store on. Each opening has a term and a random name, so that a commit of
/// the time that a restored store has lost is never taken for one of its own, even when both have the same numbers.
public struct StorePosition: Hashable, Sendable {
    /// The store's own name.
    public var storeID: String
    /// The term under which the store was open.
    public var term: Term
    /// The opening's random name, which distinguishes it from another of the same term.
    public var opening: String
    /// The number of the commit since the opening, from 1; 0 is the opening itself.
    public var number: Int64

    /// Composes a position.
    public init(storeID: String, term: Term, opening: String, number: Int64) {
        self.storeID = storeID
        self.term = term
        self.opening = opening
        self.number = number
    }
}
