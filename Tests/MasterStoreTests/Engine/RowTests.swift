// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

@Suite("Damaged rows")
struct RowTests {
    private enum Reading: String, CaseIterable {
        case number, truth, timestamp, text, bytes, hash, state
    }

    private static func read(_ reading: Reading, _ row: any StoreRow) throws {
        switch reading {
        case .number: _ = try row.int64(0)
        case .truth: _ = try row.bool(0)
        case .timestamp: _ = try row.timestamp(0)
        case .text: _ = try row.text(0)
        case .bytes: _ = try row.blob(0)
        case .hash: _ = try row.hash(0)
        case .state: let _: RecipientState = try row.value(0)
        }
    }

    /// The code with which reading the only column of a statement fails; `nil` if it does not.
    private static func code(_ sql: String, _ reading: Reading, _ fixture: Fixture) async throws -> StoreError.Code? {
        do {
            try await fixture.store.read { transaction in
                try transaction.prepare(sql).rows { try Self.read(reading, $0) }
            }
            return nil
        } catch let error as StoreError {
            return error.code
        }
    }

    @Test("a missing value is damaged data, whatever it is read as", arguments: StoreFactory.all)
    func missing(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            for reading in Reading.allCases {
                let type = [.text].contains(reading) ? "text" : [.bytes, .hash].contains(reading) ? "blob" : "bigint"
                let name = type == "blob" && factory.name == "PostgreSQL" ? "bytea" : type
                let code = try await Self.code("SELECT CAST(NULL AS \(name))", reading, fixture)
                #expect(code == .corrupt, "\(reading)")
            }
        }
    }

    @Test("a number outside the range of its type, or of its cases, is damaged data", arguments: StoreFactory.all)
    func range(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            for number in [-1, 255, 256, 1 << 40] {
                let code = try await Self.code("SELECT CAST(\(number) AS bigint)", .state, fixture)
                #expect(code == .corrupt, "\(number)")
            }
            #expect(try await Self.code("SELECT CAST(0 AS bigint)", .state, fixture) == nil)
        }
    }

    @Test("a text where SQLite should hold a number is damaged data, and not 0")
    func type() async throws {
        try await StoreFactory.sqlite.withStore { fixture in
            for value in ["'many'", "1.5", "x'01'"] {
                let code = try await Self.code("SELECT \(value)", .number, fixture)
                #expect(code == .corrupt, "\(value)")
            }
        }
    }

    @Test("a store whose counters or cohorts are gone gives no number a second time", arguments: StoreFactory.all)
    func counters(factory: StoreFactory) async throws {
        try await factory.withStore { fixture in
            let satellite = try await fixture.makeSatellite()
            let id = try await fixture.makeMailing()
            try await fixture.add(3, to: id)
            try await fixture.store.write { try $0.prepare("DELETE FROM meta WHERE name IN ('lease', 'feed')").run() }
            let claim = await #expect(throws: StoreError.self) { _ = try await fixture.claimAll(satellite) }
            #expect(claim?.code == .corrupt)
            #expect(claim.map { "\($0)".contains("in the store's claim") } == true, "\(String(describing: claim))")
            let head = await #expect(throws: StoreError.self) { _ = try await fixture.store.feedHead() }
            #expect(head?.code == .corrupt)
            try await fixture.store.write { try $0.prepare("DELETE FROM cohort").run() }
            let added = await #expect(throws: StoreError.self) { _ = try await fixture.add(1, to: id, prefix: "late") }
            #expect(added?.code == .corrupt)
        }
    }
}
