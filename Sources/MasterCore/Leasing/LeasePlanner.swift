// SPDX-License-Identifier: Apache-2.0
//
// Who gets which recipients. Rows of the backlog are dealt once, when they are read, to the satellite that owns their
// bucket; after that a satellite with credit is served from its own queue, so that a lease costs no look at the rest.
// A satellite whose own queue is empty takes from the tail of one that has rows and no credit. Nothing here waits,
// reads a clock or draws at random: the same events give the same plan.

import MailingModel
import MasterStore

/// Decides which claims to make; pure.
struct LeasePlanner {
    /// A connected satellite.
    struct Candidate: Hashable, Sendable {
        var id: SatelliteID
        var group: String?
        var weight: Int = 1
        var affinity = DomainAffinity()
    }

    /// The room of a satellite for further leases.
    struct Room: Hashable, Sendable {
        /// Recipients by class.
        var recipients: [DeliveryClass: Int]
        /// Leases.
        var leases: Int
    }

    private struct QueueKey: Hashable {
        var satellite: SatelliteID
        var deliveryClass: DeliveryClass
    }

    private struct OwnerKey: Hashable {
        var group: String?
        var bucket: Bucket
    }

    let maximumRecipients: Int
    let minimumShare: Int
    let maximumBytes: Int
    /// Recipients that no known satellite may take.
    private(set) var unroutable = 0
    /// Recipients that could be leased now, unroutable ones included, by the last reading less what was planned since.
    private(set) var backlog = 0

    private var candidates: [Candidate] = []
    private var queues: [QueueKey: BacklogQueue] = [:]
    /// How many recipients of a row each satellite was found not to be allowed to take.
    private var refusals: [BacklogKey: [SatelliteID: Int]] = [:]
    /// Mailings whose leases were too long for the link, with what one may hold.
    private var caps: [MailingID: Int] = [:]
    /// How many bytes a recipient of a mailing took on average in its latest lease.
    private var sizes: [MailingID: Int] = [:]
    /// Which class and satellite is served first next time.
    private var rotation = 0

    init(maximumRecipients: Int, minimumShare: Int, maximumBytes: Int = 4 << 20) {
        self.maximumBytes = max(maximumBytes, 1)
        self.maximumRecipients = max(maximumRecipients, 1)
        self.minimumShare = max(minimumShare, 1)
    }

    // MARK: Events

    /// Distributes the rows of a fresh backlog to the satellites that own them.
    ///
    /// - Parameters:
    ///   - rows: All of the backlog.
    ///   - candidates: The connected satellites.
    ///   - known: All enabled satellites, connected or not: a row that only an absent one may take waits for it.
    mutating func load(_ rows: [Backlog], candidates: [Candidate], known: [SatelliteRecord]) {
        let former = self.queues.mapValues(\.state)
        if candidates != self.candidates { self.refusals = [:] }
        self.candidates = candidates
        self.queues = [:]
        self.unroutable = 0
        self.backlog = 0
        self.forgetRefusals(notIn: rows)
        var owners: [OwnerKey: SatelliteID?] = [:]
        for row in rows.sorted(by: Self.comesBefore) where row.count > 0 {
            self.backlog += row.count
            let key = BacklogKey(row)
            let ownerKey = OwnerKey(group: row.satelliteGroup, bucket: row.home)
            let isPlain = row.domain == nil && self.refusals[key] == nil
            let owner: SatelliteID?
            if isPlain, let cached = owners[ownerKey] {
                owner = cached
            } else {
                owner = self.owner(of: row, key: key)
                if isPlain { owners[ownerKey] = .some(owner) }
            }
            if let owner {
                self.queues[QueueKey(satellite: owner, deliveryClass: row.deliveryClass), default: BacklogQueue()]
                    .append(BacklogQueue.Row(key: key, domain: row.domain, count: row.count))
            } else if !known.contains(where: { self.mayEverTake(row, key: key, satellite: $0) }) {
                self.unroutable += row.count
            }
        }
        for (key, state) in former { self.queues[key]?.resume(state) }
    }

    /// Plans claims for the room that there is; what is planned is taken off the rows.
    mutating func plan(_ room: [SatelliteID: Room], maximumRequests: Int) -> [ClaimRequest] {
        var room = room
        var requests: [ClaimRequest] = []
        let candidates = self.rotated()
        for deliveryClass in [DeliveryClass.express, .bulk] {
            for candidate in candidates {
                self.serve(candidate, deliveryClass, from: nil, room: &room, into: &requests, upTo: maximumRequests)
            }
            for candidate in candidates where self.pending(candidate.id, deliveryClass) == 0 {
                var tried: Set<SatelliteID> = []
                while requests.count < maximumRequests,
                    let donor = self.donor(for: candidate, deliveryClass, room: room, except: tried)
                {
                    self.serve(
                        candidate,
                        deliveryClass,
                        from: donor,
                        room: &room,
                        into: &requests,
                        upTo: maximumRequests
                    )
                    tried.insert(donor)
                }
            }
        }
        self.backlog -= requests.reduce(0) { $0 + $1.limit }
        return requests
    }

    /// Records the result of a claim.
    ///
    /// A waiting row that gives nothing holds only recipients that this satellite may not take: another one is to try.
    ///
    /// - Returns: Whether the rows differ from what was read and should be read again.
    mutating func claimed(_ request: ClaimRequest, granted: Int) -> Bool {
        guard granted < request.limit else { return false }
        if request.isRetry, granted == 0, request.affinity != DomainAffinity() {
            let key = BacklogKey(request)
            let former = self.refusals[key]?[request.satellite] ?? 0
            self.refusals[key, default: [:]][request.satellite] = max(former, request.limit)
        }
        return true
    }

    /// Records the average size of a mailing's recipients.
    mutating func learn(_ mailing: MailingID, bytes: Int, recipients: Int) {
        guard recipients > 0 else { return }
        self.sizes[mailing] = max(1, bytes / recipients)
    }

    /// About how many bytes a claim will bring; of a mailing that was never leased, the most that it can be.
    func expectedBytes(of request: ClaimRequest) -> Int {
        min(self.maximumBytes, request.limit * (self.sizes[request.mailing] ?? Self.longestRecipient))
    }

    private static let longestRecipient = 64 << 10

    /// Forgets the rows of a mailing that was paused, ended or deleted.
    mutating func drop(_ mailing: MailingID) {
        self.sizes[mailing] = nil
        for key in self.queues.keys {
            let before = self.queues[key]?.pending ?? 0
            self.queues[key]?.drop(mailing)
            self.backlog -= before - (self.queues[key]?.pending ?? 0)
        }
    }

    /// Makes the next leases of a mailing shorter: one was too long for the link.
    mutating func shorten(_ mailing: MailingID, from count: Int) { self.caps[mailing] = max(1, count / 2) }

    /// Forgets which rows satellites were refused.
    mutating func forgetRefusals() { self.refusals = [:] }

    // MARK: Questions

    /// Recipients of the buckets that this satellite owns.
    func pending(_ satellite: SatelliteID, _ deliveryClass: DeliveryClass) -> Int {
        self.queues[QueueKey(satellite: satellite, deliveryClass: deliveryClass)]?.pending ?? 0
    }

    // MARK: Steps

    private mutating func serve(
        _ candidate: Candidate,
        _ deliveryClass: DeliveryClass,
        from donor: SatelliteID?,
        room: inout [SatelliteID: Room],
        into requests: inout [ClaimRequest],
        upTo maximumRequests: Int
    ) {
        let key = QueueKey(satellite: donor ?? candidate.id, deliveryClass: deliveryClass)
        while requests.count < maximumRequests, let free = room[candidate.id], free.leases > 0,
            let recipients = free.recipients[deliveryClass], recipients > 0
        {
            // Taken out and reinserted, so that checking a row does not touch the queue that is being changed.
            guard var queue = self.queues.removeValue(forKey: key) else { return }
            let row =
                if donor == nil {
                    queue.take(room: recipients, maximum: self.maximumRecipients, minimumShare: self.minimumShare)
                } else {
                    queue.steal(room: recipients, maximum: self.maximumRecipients) {
                        self.mayTake(key: $0.key, domain: $0.domain, count: $0.count, candidate: candidate)
                    }
                }
            self.queues[key] = queue
            guard let row else { return }
            room[candidate.id]?.recipients[deliveryClass] = recipients - row.count
            // A mailing of long merge fields gets several short leases for one piece.
            var rest = row.count
            let fitting = self.sizes[row.key.mailing].map { max(1, self.maximumBytes / $0) }
            let cap = min(self.caps[row.key.mailing] ?? self.maximumRecipients, fitting ?? self.maximumRecipients)
            while rest > 0 {
                let count = min(rest, cap)
                rest -= count
                room[candidate.id]?.leases -= 1
                requests.append(
                    ClaimRequest(
                        mailing: row.key.mailing,
                        bucket: row.key.bucket,
                        deliveryClass: deliveryClass,
                        isRetry: row.key.isRetry,
                        satellite: candidate.id,
                        affinity: candidate.affinity,
                        limit: count,
                        maximumBytes: self.maximumBytes
                    )
                )
            }
        }
    }

    /// The satellite without room in this class whose queue is longest and holds something for the candidate.
    private func donor(
        for candidate: Candidate,
        _ deliveryClass: DeliveryClass,
        room: [SatelliteID: Room],
        except tried: Set<SatelliteID>
    ) -> SatelliteID? {
        guard let free = room[candidate.id], free.leases > 0, (free.recipients[deliveryClass] ?? 0) > 0 else {
            return nil
        }
        return self.candidates
            .filter { other in
                other.id != candidate.id && !tried.contains(other.id) && other.group == candidate.group
                    && self.pending(other.id, deliveryClass) > 0
                    && (room[other.id]?.recipients[deliveryClass] ?? 0) <= 0
            }
            .max { self.pending($0.id, deliveryClass) < self.pending($1.id, deliveryClass) }?
            .id
    }

    /// The connected satellite that owns a row, or `nil` if none may take it.
    private func owner(of row: Backlog, key: BacklogKey) -> SatelliteID? {
        let name = Rendezvous.key(bucket: row.home, domain: row.domain)
        var best: (draw: Double, isGeneral: Bool, id: SatelliteID)?
        for candidate in self.candidates where candidate.group == row.satelliteGroup {
            guard self.mayTake(key: key, domain: row.domain, count: row.count, candidate: candidate) else { continue }
            // One that takes only named domains is the last choice for a bucket of many domains.
            let isGeneral = row.domain != nil || candidate.affinity.include.isEmpty
            let draw = Rendezvous.draw(key: name, satellite: candidate.id, weight: candidate.weight)
            if let best {
                guard (isGeneral && !best.isGeneral) || (isGeneral == best.isGeneral && draw > best.draw)
                else { continue }
            }
            best = (draw, isGeneral, candidate.id)
        }
        return best?.id
    }

    private func mayTake(key: BacklogKey, domain: String?, count: Int, candidate: Candidate) -> Bool {
        if let domain, !candidate.affinity.allows(domain) { return false }
        return self.refusals[key]?[candidate.id].map { $0 < count } ?? true
    }

    private func mayEverTake(_ row: Backlog, key: BacklogKey, satellite: SatelliteRecord) -> Bool {
        let candidate = Candidate(id: satellite.id, group: satellite.group, affinity: satellite.affinity)
        return satellite.enabled && satellite.group == row.satelliteGroup
            && self.mayTake(key: key, domain: row.domain, count: row.count, candidate: candidate)
    }

    /// A refusal holds for the row's recipients of that time: once there are others, everybody may try again.
    private mutating func forgetRefusals(notIn rows: [Backlog]) {
        guard !self.refusals.isEmpty else { return }
        var counts: [BacklogKey: Int] = [:]
        for row in rows { counts[BacklogKey(row)] = row.count }
        self.refusals = self.refusals.filter { key, satellites in
            guard let count = counts[key], let most = satellites.values.max() else { return false }
            return count <= most
        }
    }

    private mutating func rotated() -> [Candidate] {
        guard !self.candidates.isEmpty else { return [] }
        self.rotation = (self.rotation + 1) % self.candidates.count
        return Array(self.candidates[self.rotation...] + self.candidates[..<self.rotation])
    }

    /// By mailing; of one mailing retries first, then by bucket.
    private static func comesBefore(_ left: Backlog, _ right: Backlog) -> Bool {
        if left.mailing != right.mailing { return left.mailing < right.mailing }
        if left.isRetry != right.isRetry { return left.isRetry }
        return left.bucket < right.bucket
    }
}
