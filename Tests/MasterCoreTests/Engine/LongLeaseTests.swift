// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore
import Synchronization
import Testing

@testable import MasterCore

@Suite("Leases of long recipients", .timeLimit(.minutes(10)))
struct LongLeaseTests {
    private static let field = 59 * 1_024

    /// A started mailing of recipients with long merge fields.
    private static func running(_ count: Int, _ test: TestMaster) async throws -> MailingID {
        let id = try await test.mailing()
        for start in stride(from: 0, to: count, by: 100) {
            let submissions = (start..<min(start + 100, count)).map { number in
                RecipientSubmission(
                    address: "user\(number)@one.example",
                    fields: MergeFields([
                        MergeFields.Field(name: "blob", value: .text(String(repeating: "x", count: Self.field)))
                    ])
                )
            }
            for result in try await test.operations.addRecipients(submissions, to: id) {
                guard case .accepted = result else { throw TestFailure("refused: \(result)") }
            }
        }
        _ = try await test.operations.startMailing(id)
        return id
    }

    @Test("are sized by bytes, and no more is under way to a satellite than it may leave unacknowledged")
    func bounded() async throws {
        try await TestMaster.run { test in
            let satellite = try await test.connected("a")
            let bounds = MasterConfiguration().leasing
            let id = try await Self.running(900, test)
            var unaccepted: [LeaseGrant] = []
            var taken = 0
            while taken < 900 {
                let grant: LeaseGrant = try await satellite.wait { message in
                    if case .grant(let grant) = message { grant } else { nil }
                }
                #expect(grant.bytes <= bounds.maximumBytes)
                unaccepted.append(grant)
                taken += grant.entries.count
                let bytes = unaccepted.reduce(0) { $0 + $1.bytes }
                #expect(bytes <= bounds.maximumUnacceptedBytes + bounds.claimedBytes + bounds.maximumBytes)
                if bytes >= bounds.maximumUnacceptedBytes || taken == 900 {
                    for grant in unaccepted { satellite.accept(grant) }
                    unaccepted = []
                }
            }
            #expect(try await test.operations.mailing(id).counters.pending == 900)
        }
    }

    @Test("that the link refuses are granted in shorter ones at once, and are reported")
    func refused() async throws {
        try await TestMaster.run { test in
            test.channel.longestGrant.withLock { $0 = 300_000 }
            let satellite = try await test.connected("a")
            // The clock stands still: nothing waits for a timer.
            let id = try await Self.running(20, test)
            let grants = try await satellite.take(20)
            #expect(grants.allSatisfy { $0.bytes <= 300_000 })
            #expect(Set(grants.flatMap(\.entries).map(\.recipient)).count == 20)
            try await satellite.deliver(grants)
            #expect(try await test.operations.mailing(id).counters.delivered == 20)
        }
    }

    @Test("that the link goes on refusing are a problem of the status")
    func reported() async throws {
        try await TestMaster.run { test in
            test.channel.longestGrant.withLock { $0 = 1_000 }
            _ = try await test.connected("a")
            let id = try await Self.running(4, test)
            try await test.until("it is reported") {
                try await test.master.status().problems.contains { $0.contains("lease of mailing \(id) takes") }
            }
            test.channel.longestGrant.withLock { $0 = .max }
            test.clock.advance(by: .seconds(61))
            try await test.until("it is over") {
                try await !test.master.status().problems.contains { $0.contains("lease of mailing \(id) takes") }
            }
        }
    }
}
