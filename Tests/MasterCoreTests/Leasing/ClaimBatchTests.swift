// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("Claims for one transaction")
struct ClaimBatchTests {
    private static func request(
        _ bucket: UInt16,
        _ satellite: Int32,
        _ limit: Int,
        waiting: Bool = false
    ) -> ClaimRequest {
        ClaimRequest(
            mailing: MailingID(rawValue: 1),
            bucket: Bucket(rawValue: bucket),
            deliveryClass: .bulk,
            isRetry: waiting,
            satellite: SatelliteID(rawValue: satellite),
            affinity: DomainAffinity(),
            limit: limit
        )
    }

    private static func grant(_ bucket: UInt16, _ count: Int, serial: Int64) -> LeaseGrant {
        LeaseGrant(
            serial: LeaseSerial(rawValue: serial),
            term: Term(rawValue: 1),
            mailing: MailingID(rawValue: 1),
            content: TestValues.hash(1),
            deliveryClass: .bulk,
            testing: false,
            lifetime: .seconds(1),
            returnPathDomain: "",
            entries: (0..<count).map { TestValues.entry(mailing: 1, bucket: bucket, ordinal: UInt32($0)) }
        )
    }

    @Test("is taken off in parts of so many bytes, of one request at least")
    func parts() throws {
        var batch = try #require(ClaimBatch.batches(of: (1...4).map { Self.request($0, 1, Int($0) * 10) }).first)
        var parts: [[Int]] = []
        while let part = batch.takeFirst(upTo: 30, expecting: \.limit) { parts.append(part.requests.map(\.limit)) }
        #expect(parts == [[10, 20], [30], [40]])
        #expect(batch.requests.isEmpty)
    }

    @Test("leaves out what is for a satellite that is full")
    func leftOut() throws {
        var batch = try #require(ClaimBatch.batches(of: [Self.request(1, 1, 10), Self.request(2, 2, 10)]).first)
        #expect(batch.leaveOut { $0.rawValue == 2 })
        #expect(!batch.leaveOut { $0.rawValue == 2 })
        #expect(batch.requests.map(\.satellite.rawValue) == [1])
    }

    @Test("never asks one source on behalf of two satellites at once")
    func splits() {
        let batches = ClaimBatch.batches(of: [
            Self.request(1, 1, 10), Self.request(1, 2, 10), Self.request(2, 2, 10), Self.request(1, 1, 5),
        ])
        #expect(batches.map(\.requests.count) == [3, 1])
        #expect(batches[0].satellite(of: Self.grant(1, 3, serial: 1)) == SatelliteID(rawValue: 1))
        #expect(batches[1].satellite(of: Self.grant(1, 3, serial: 2)) == SatelliteID(rawValue: 2))
    }

    @Test("returns what each request brought, also when some brought nothing")
    func outcomes() throws {
        let batch = try #require(
            ClaimBatch.batches(of: [Self.request(1, 1, 10), Self.request(2, 1, 10), Self.request(3, 1, 10)]).first
        )
        let outcomes = batch.outcomes(of: [Self.grant(1, 10, serial: 1), Self.grant(3, 4, serial: 2)])
        #expect(outcomes.map(\.granted) == [10, 0, 4])
    }

    @Test("does not guess which of two requests of one source came back empty")
    func ambiguity() throws {
        let batch = try #require(
            ClaimBatch.batches(of: [Self.request(1, 1, 10, waiting: true), Self.request(1, 1, 20)]).first
        )
        #expect(batch.outcomes(of: [Self.grant(1, 10, serial: 1)]).map(\.granted) == [10, 20])
        #expect(batch.outcomes(of: []).map(\.granted) == [0, 0])
    }
}
