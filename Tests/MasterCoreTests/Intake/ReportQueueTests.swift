// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import Testing

@testable import MasterCore

@Suite("Reports that wait for the store")
struct ReportQueueTests {
    private static func batch(
        _ sequence: UInt64,
        _ count: Int,
        session: SatelliteSession = TestValues.session(1)
    ) -> ReportQueue.Batch {
        let recipient = RecipientID(mailing: MailingID(rawValue: 1), bucket: Bucket(rawValue: 0), ordinal: 0)
        return ReportQueue.Batch(
            session: session,
            sequence: sequence,
            reports: [DeliveryReport](
                repeating: TestValues.delivered(recipient, lease: LeaseSerial(rawValue: 1)),
                count: count
            ),
            arrived: .milliseconds(Int(sequence))
        )
    }

    @Test("drops what does not fit, and everything after it until it comes again")
    func holes() {
        var queue = ReportQueue(maximum: 10)
        let result1 = queue.add(Self.batch(1, 8))
        #expect(result1)
        let result2 = queue.add(Self.batch(2, 8))
        #expect(!result2)
        let result3 = queue.add(Self.batch(3, 1))
        #expect(!result3, "number 3 must not be acknowledged before number 2")
        let taken = queue.take(limit: 100)
        #expect(taken.flatMap(\.acknowledgements).map(\.sequence) == [1])
        let result4 = queue.add(Self.batch(3, 1))
        #expect(!result4)
        let result5 = queue.add(Self.batch(2, 8))
        #expect(result5)
        let result6 = queue.add(Self.batch(3, 1))
        #expect(result6)
        let rest = queue.take(limit: 100)
        #expect(rest.flatMap(\.acknowledgements).map(\.sequence) == [3])
        #expect(queue.count == 0)
    }

    @Test("takes a batch that is longer than the bound if nothing else waits")
    func oversized() {
        var queue = ReportQueue(maximum: 10)
        let result7 = queue.add(Self.batch(1, 25))
        #expect(result7)
        let taken = queue.take(limit: 5)
        #expect(taken.first?.reports.count == 25)
    }

    @Test("takes one piece of each satellite, in order, within the limit")
    func pieces() {
        var queue = ReportQueue(maximum: 1_000)
        let other = TestValues.session(2, satellite: 2)
        for sequence in 1...4 { let result8 = queue.add(Self.batch(UInt64(sequence), 40)); #expect(result8) }
        let result9 = queue.add(Self.batch(1, 5, session: other))
        #expect(result9)
        let works = queue.take(limit: 100)
        #expect(works.map(\.satellite.rawValue) == [1, 2])
        #expect(works.map { $0.batches.map(\.sequence) } == [[1, 2], [1]])
        #expect(queue.oldest == .milliseconds(3))
        #expect(queue.count == 80)
    }

    @Test("acknowledges to each session of a satellite its own highest number")
    func acknowledgements() {
        var queue = ReportQueue(maximum: 1_000)
        let newer = TestValues.session(2)
        let result10 = queue.add(Self.batch(6, 1))
        #expect(result10)
        let result11 = queue.add(Self.batch(7, 1))
        #expect(result11)
        let result12 = queue.add(Self.batch(1, 1, session: newer))
        #expect(result12)
        let acknowledgements = queue.take(limit: 10).flatMap(\.acknowledgements)
        #expect(acknowledgements.map(\.session.number) == [1, 2])
        #expect(acknowledgements.map(\.sequence) == [7, 1])
    }
}
