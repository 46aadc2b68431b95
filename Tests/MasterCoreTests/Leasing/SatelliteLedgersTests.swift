// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("The ledgers of all satellites", .timeLimit(.minutes(5)))
struct SatelliteLedgersTests {
    private static let satellite = SatelliteID(rawValue: 1)

    private static func run(_ body: (SatelliteLedgers, TestParts) async throws -> Void) async throws {
        try await TestParts.run { try await body(SatelliteLedgers(time: $0.time), $0) }
    }

    @Test("take messages of the session that counts, and no other's")
    func sessions() async throws {
        try await Self.run { ledgers, _ in
            let old = TestValues.session(1)
            let new = TestValues.session(2)
            ledgers.heard(from: old) { $0.credit([.bulk: 1]) }
            #expect(ledgers.bySatellite.isEmpty)
            ledgers.connected(old)
            #expect(ledgers.isCurrent(old))
            ledgers.connected(new)
            #expect(!ledgers.isCurrent(old))
            #expect(ledgers.sessions == [new])
            ledgers.heard(from: old) { $0.credit([.bulk: 1]) }
            #expect(ledgers.bySatellite[Self.satellite]?.limit == 0)
            ledgers.heard(from: new) { $0.credit([.bulk: 2]) }
            #expect(ledgers.bySatellite[Self.satellite]?.limit == 2)
        }
    }

    @Test("offer as candidates only who is welcomed and enabled")
    func candidates() async throws {
        try await Self.run { ledgers, parts in
            let record = try await parts.satellite("a").record
            parts.directory.insert(record)
            ledgers.connected(TestValues.session(1, satellite: record.id.rawValue))
            #expect(ledgers.candidates(among: parts.directory).isEmpty)
            ledgers.bySatellite[record.id]?.welcomed(holding: [], now: .zero)
            #expect(ledgers.candidates(among: parts.directory).map(\.id) == [record.id])
            var disabled = record
            disabled.enabled = false
            parts.directory.insert(disabled)
            #expect(ledgers.candidates(among: parts.directory).isEmpty)
        }
    }

    @Test("are recounted from the store only where that is due, and all with one reading")
    func recount() async throws {
        try await Self.run { ledgers, parts in
            let satellites = (1...3).map { SatelliteID(rawValue: $0) }
            for satellite in satellites {
                ledgers.connected(TestValues.session(1, satellite: satellite.rawValue))
                ledgers.bySatellite[satellite]?.needsRecount = true
            }
            var isComplete = try await ledgers.recount(from: parts.store)
            #expect(isComplete)
            #expect(parts.faults.calls(of: "leases") == 0, "one that is not welcomed has no room anyway")

            for satellite in satellites { ledgers.bySatellite[satellite]?.welcomed(holding: [], now: .zero) }
            isComplete = try await ledgers.recount(from: parts.store)
            #expect(isComplete)
            #expect(parts.faults.calls(of: "leases") == 0, "the welcome has counted them")

            for satellite in satellites { ledgers.bySatellite[satellite]?.needsRecount = true }
            isComplete = try await ledgers.recount(from: parts.store)
            #expect(isComplete)
            #expect(parts.faults.calls(of: "leases") == 1)
            #expect(ledgers.bySatellite.values.allSatisfy { !$0.needsRecount })
        }
    }

    @Test("take only satellites with leases in the store for absent, and look once")
    func absent() async throws {
        try await Self.run { ledgers, parts in
            parts.faults.fail(["leases"], with: .database)
            await #expect(throws: StoreError.self) { try await ledgers.findAbsent(in: parts.store) }
            parts.faults.fail([], with: nil)
            for _ in 0..<2 { try await ledgers.findAbsent(in: parts.store) }
            #expect(ledgers.bySatellite.isEmpty)
            #expect(parts.faults.calls(of: "leases") == 2, "it is repeated after a failure, and not after a success")
        }
    }
}
