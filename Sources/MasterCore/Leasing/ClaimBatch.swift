// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore

/// The claims of one transaction, chosen so that each grant can be matched to its satellite.
///
/// A grant does not name its satellite: a mailing's bucket of one class is asked for by one satellite at a time.
struct ClaimBatch {
    /// A bucket of a mailing and a delivery class, from which recipients are claimed.
    private struct Source: Hashable {
        var mailing: MailingID
        var bucket: Bucket
        var deliveryClass: DeliveryClass

        init(_ request: ClaimRequest) {
            self.mailing = request.mailing
            self.bucket = request.bucket
            self.deliveryClass = request.deliveryClass
        }

        init?(_ grant: LeaseGrant) {
            guard let first = grant.entries.first else { return nil }
            self.mailing = grant.mailing
            self.bucket = first.recipient.bucket
            self.deliveryClass = grant.deliveryClass
        }
    }

    private(set) var requests: [ClaimRequest] = []
    private var owners: [Source: SatelliteID] = [:]

    /// Splits a plan, keeping its order among the requests of one source.
    static func batches(of requests: [ClaimRequest]) -> [ClaimBatch] {
        var batches: [ClaimBatch] = []
        var rest = requests
        while !rest.isEmpty {
            var batch = ClaimBatch()
            var left: [ClaimRequest] = []
            for request in rest {
                let source = Source(request)
                if let owner = batch.owners[source], owner != request.satellite {
                    left.append(request)
                } else {
                    batch.owners[source] = request.satellite
                    batch.requests.append(request)
                }
            }
            batches.append(batch)
            rest = left
        }
        return batches
    }

    /// A batch for each request of a batch.
    static func singly(_ batch: ClaimBatch) -> [ClaimBatch] { batch.requests.flatMap { Self.batches(of: [$0]) } }

    /// Removes and returns the first requests that fit; at least one if there is any.
    mutating func takeFirst(upTo bytes: Int, expecting size: (ClaimRequest) -> Int) -> ClaimBatch? {
        guard !self.requests.isEmpty else { return nil }
        var sum = 0
        let fitting = self.requests.prefix { request in
            sum += size(request)
            return sum <= bytes
        }
        var first = self
        first.requests = Array(self.requests.prefix(max(1, fitting.count)))
        self.requests.removeFirst(first.requests.count)
        return first
    }

    /// Removes the requests of some satellites; returns whether there were any.
    mutating func leaveOut(_ isLeft: (SatelliteID) -> Bool) -> Bool {
        let count = self.requests.count
        self.requests.removeAll { isLeft($0.satellite) }
        return self.requests.count < count
    }

    /// The satellite that a grant is for.
    func satellite(of grant: LeaseGrant) -> SatelliteID? { Source(grant).flatMap { self.owners[$0] } }

    /// How many recipients each request brought.
    ///
    /// Where several requests were made of one source and not all were granted, it is unknown which: then the first ones
    /// count as granted in full, so that none is taken for refused wrongly.
    func outcomes(of grants: [LeaseGrant]) -> [(request: ClaimRequest, granted: Int)] {
        var granted: [Source: [Int]] = [:]
        for grant in grants {
            if let source = Source(grant) { granted[source, default: []].append(grant.entries.count) }
        }
        var asked: [Source: Int] = [:]
        for request in self.requests { asked[Source(request), default: 0] += 1 }
        var seen: [Source: Int] = [:]
        return self.requests.map { request in
            let source = Source(request)
            let index = seen[source, default: 0]
            seen[source] = index + 1
            let counts = granted[source] ?? []
            if counts.count == asked[source] { return (request, counts[index]) }
            guard asked[source] == 1 else { return (request, counts.isEmpty ? 0 : request.limit) }
            return (request, counts.first ?? 0)
        }
    }
}
