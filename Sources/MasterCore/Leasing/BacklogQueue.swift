// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore

/// The key of a backlog row.
struct BacklogKey: Hashable, Sendable {
    var mailing: MailingID
    var bucket: Bucket
    var deliveryClass: DeliveryClass
    var isRetry: Bool

    init(_ row: Backlog) {
        self.mailing = row.mailing
        self.bucket = row.bucket
        self.deliveryClass = row.deliveryClass
        self.isRetry = row.isRetry
    }

    init(_ request: ClaimRequest) {
        self.mailing = request.mailing
        self.bucket = request.bucket
        self.deliveryClass = request.deliveryClass
        self.isRetry = request.isRetry
    }
}

/// The backlog rows that one satellite owns in one class, by mailing, served in turn.
///
/// Deficit round robin: at its turn a mailing is allowed its share of the room (never less than `minimumShare`) and keeps
/// what it could not use, so that mailings of any size advance together and a small one is not starved.
struct BacklogQueue {
    /// A backlog row and what is left of it.
    struct Row {
        var key: BacklogKey
        var domain: String?
        var count: Int
    }

    private struct MailingRows {
        var rows: [Row] = []
        var head = 0
        var pending = 0
        var deficit = 0
    }

    private var ring: [MailingID] = []
    private var turn = 0
    private var mailings: [MailingID: MailingRows] = [:]
    /// Recipients in all rows.
    private(set) var pending = 0

    /// Adds a row at the end of its mailing's.
    mutating func append(_ row: Row) {
        if self.mailings[row.key.mailing] == nil { self.ring.append(row.key.mailing) }
        self.mailings[row.key.mailing, default: MailingRows()].rows.append(row)
        self.mailings[row.key.mailing, default: MailingRows()].pending += row.count
        self.pending += row.count
    }

    /// Takes a piece from the head of the mailing whose turn it is.
    ///
    /// - Parameters:
    ///   - room: What the satellite still takes, 1 or more.
    ///   - maximum: One lease at most.
    ///   - minimumShare: A mailing's turn at least.
    /// - Returns: The piece, or `nil` if there is none.
    mutating func take(room: Int, maximum: Int, minimumShare: Int) -> Row? {
        guard self.pending > 0, room > 0 else { return nil }
        let id = self.ring[self.turn]
        guard var mailing = self.mailings[id] else { return nil }
        if mailing.deficit <= 0 {
            let share = Double(room) * Double(mailing.pending) / Double(self.pending)
            mailing.deficit += max(minimumShare, Int(share.rounded(.up)))
        }
        var piece = mailing.rows[mailing.head]
        let count = min(piece.count, maximum, room, mailing.deficit)
        mailing.rows[mailing.head].count -= count
        mailing.pending -= count
        mailing.deficit -= count
        self.pending -= count
        if mailing.rows[mailing.head].count == 0 { mailing.head += 1 }
        let turnIsOver = mailing.deficit <= 0
        self.mailings[id] = mailing
        if mailing.pending == 0 {
            self.remove(at: self.turn)
        } else if turnIsOver {
            self.turn = (self.turn + 1) % self.ring.count
        }
        piece.count = count
        return piece
    }

    /// Takes a piece from the tail: of the mailing whose turn is farthest, its last row that `allows` accepts.
    mutating func steal(room: Int, maximum: Int, where allows: (Row) -> Bool) -> Row? {
        for offset in 1...max(self.ring.count, 1) where !self.ring.isEmpty {
            let ringIndex = (self.turn + self.ring.count - offset) % self.ring.count
            let id = self.ring[ringIndex]
            guard var mailing = self.mailings[id],
                let index = mailing.rows[mailing.head...].lastIndex(where: { $0.count > 0 && allows($0) })
            else { continue }
            var piece = mailing.rows[index]
            piece.count = min(piece.count, maximum, room)
            mailing.rows[index].count -= piece.count
            mailing.pending -= piece.count
            self.pending -= piece.count
            if mailing.rows[index].count == 0 { mailing.rows.remove(at: index) }
            self.mailings[id] = mailing
            if mailing.pending == 0 { self.remove(at: ringIndex) }
            return piece
        }
        return nil
    }

    /// Forgets the rows of a mailing.
    mutating func drop(_ id: MailingID) {
        guard let index = self.ring.firstIndex(of: id), let mailing = self.mailings[id] else { return }
        self.pending -= mailing.pending
        self.remove(at: index)
    }

    /// The mailing whose turn it is, and what it may still take in it; carried over when the rows are read afresh.
    var state: (turn: MailingID?, deficits: [MailingID: Int]) {
        (
            self.ring.isEmpty ? nil : self.ring[self.turn],
            self.mailings.compactMapValues { $0.deficit > 0 ? $0.deficit : nil }
        )
    }

    /// Takes over the turn of a former queue.
    mutating func resume(_ state: (turn: MailingID?, deficits: [MailingID: Int])) {
        for (id, deficit) in state.deficits { self.mailings[id]?.deficit = deficit }
        guard let turn = state.turn, !self.ring.isEmpty else { return }
        // The ring is in order of number after a fresh read: the next mailing follows if this one is gone.
        self.turn = self.ring.firstIndex { $0 >= turn } ?? 0
    }

    private mutating func remove(at index: Int) {
        self.mailings[self.ring[index]] = nil
        self.ring.remove(at: index)
        if index < self.turn { self.turn -= 1 }
        if self.turn >= self.ring.count { self.turn = 0 }
    }
}
