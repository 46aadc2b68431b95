// SPDX-License-Identifier: Apache-2.0

import MailingModel
import TestKit
import Testing

@testable import MasterStore

@Suite("Stored forms")
struct CodingTests {
    private let codec = TestSecrets.make().recipientIDs

    @Test(
        "a generated id names its recipient, in either case, and is short",
        arguments: [(Int32(1), UInt16(0), UInt32(0)), (.max, 1023, RecipientID.maximumOrdinal), (9, 300, 77)]
    )
    func generatedIDs(mailing: Int32, bucket: UInt16, ordinal: UInt32) {
        let id = RecipientID(mailing: MailingID(rawValue: mailing), bucket: Bucket(rawValue: bucket), ordinal: ordinal)
        let text = self.codec.encode(id)
        #expect(text.utf8.count == 26 && text == text.lowercased())
        #expect(self.codec.decode(text) == id)
        #expect(self.codec.decode(text.uppercased()) == id)
    }

    @Test("an id with any one character changed is nobody's")
    func forgedIDs() {
        let id = RecipientID(mailing: MailingID(rawValue: 3), bucket: Bucket(rawValue: 4), ordinal: 5)
        let text = Array(self.codec.encode(id).utf8)
        for index in text.indices {
            for character in "abcdefghijklmnopqrstuvwxyz234567-= 0".utf8 where character != text[index] {
                var forged = text
                forged[index] = character
                #expect(self.codec.decode(String(decoding: forged, as: UTF8.self)) == nil)
            }
        }
        for length in 0..<text.count {
            #expect(self.codec.decode(String(decoding: text[..<length], as: UTF8.self)) == nil)
        }
        #expect(self.codec.decode(String(decoding: text, as: UTF8.self) + "a") == nil)
    }

    @Test("a report survives its snapshot, with everything and with nothing set")
    func snapshots() throws {
        let id = RecipientID(mailing: MailingID(rawValue: 3), bucket: Bucket(rawValue: 4), ordinal: 5)
        let bare = RecipientReport(
            recipient: id,
            trackingID: self.codec.encode(id),
            address: "a@example.com",
            domain: "example.com",
            state: .waiting,
            created: Timestamp(milliseconds: -5),
            modified: Timestamp(milliseconds: .max)
        )
        #expect(
            try ReportSnapshot.decode(ReportSnapshot.encode(bare, generatedID: true), ids: self.codec) == bare
        )
        for stage in DeliveryStage.allCases {
            for state in RecipientState.allCases {
                let full = RecipientReport(
                    recipient: id,
                    trackingID: "mine",
                    address: "ä@\"x\"@bücher.example",
                    domain: "xn--bcher-kva.example",
                    state: state,
                    uncertain: true,
                    trace: AttemptTrace(
                        stage: stage,
                        replyCode: 450,
                        enhancedStatus: "4.2.0",
                        text: "é\n",
                        mxHost: "mx"
                    ),
                    satellite: "s",
                    inProgress: true,
                    isTest: true,
                    tryCount: 70_000,
                    firstTry: Timestamp(milliseconds: 0),
                    nextTry: Timestamp(milliseconds: 1),
                    created: Timestamp(milliseconds: .min),
                    modified: Timestamp(milliseconds: 3),
                    leasedAt: Timestamp(milliseconds: 4)
                )
                let bytes = ReportSnapshot.encode(full, generatedID: false)
                #expect(try ReportSnapshot.decode(bytes, ids: self.codec) == full)
            }
        }
    }

    @Test("a snapshot cut off or altered anywhere is an error or a report, never a crash")
    func damagedSnapshots() {
        let id = RecipientID(mailing: MailingID(rawValue: 3), bucket: Bucket(rawValue: 4), ordinal: 5)
        let report = RecipientReport(
            recipient: id,
            trackingID: "x",
            address: "a@example.com",
            domain: "example.com",
            state: .failed,
            trace: AttemptTrace(stage: .data, replyCode: 550, text: "no"),
            created: Timestamp(milliseconds: 5),
            modified: Timestamp(milliseconds: 6)
        )
        let bytes = ReportSnapshot.encode(report, generatedID: false)
        for length in 0..<bytes.count {
            #expect(throws: StoreError.self) {
                try ReportSnapshot.decode(Array(bytes[..<length]), ids: self.codec)
            }
        }
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                damaged[Int.random(in: damaged.indices, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            _ = try? ReportSnapshot.decode(damaged, ids: self.codec)
        }
    }

    @Test("a domain's bucket never changes")
    func buckets() {
        let domains = ["gmail.com", "example.com", "yahoo.co.jp", "xn--bcher-kva.example"]
        #expect(domains.map { Admission.hashedBucket(of: $0).rawValue } == [33, 234, 105, 134])
        var used: [UInt16: Int] = [:]
        for number in 0..<25_600 { used[Admission.hashedBucket(of: "d\(number).example").rawValue, default: 0] += 1 }
        #expect(used.count == 256 && used.values.allSatisfy { $0 > 50 && $0 < 160 })
    }
}
