// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("Safe mode", .timeLimit(.minutes(5)))
struct SafeModeTests {
    private static func run(_ body: (SafeMode, TestParts) async throws -> Void) async throws {
        try await TestParts.run { parts in
            try await body(SafeMode(store: parts.store, logger: parts.logger), parts)
        }
    }

    @Test("keeps its first reason, and reports only the first entry")
    func enter() async throws {
        try await Self.run { safeMode, _ in
            try safeMode.requireTrust()
            #expect(safeMode.enter("first"))
            #expect(!safeMode.enter("second"))
            #expect(safeMode.reason == "first")
            #expect(throws: MasterError.self) { try safeMode.requireTrust() }
        }
    }

    @Test("is not entered for a store that is no copy")
    func noCopy() async throws {
        try await Self.run { safeMode, _ in
            safeMode.distrustCopy()
            #expect(safeMode.reason == nil)
        }
    }

    @Test("is never entered again once the operator has confirmed the store")
    func confirmed() async throws {
        try await Self.run { safeMode, _ in
            #expect(try await !safeMode.leave(), "there is nothing to leave")
            safeMode.enter("a reason")
            #expect(try await safeMode.leave())
            #expect(safeMode.reason == nil)
            #expect(!safeMode.enter("another"))
            try safeMode.requireTrust()
        }
    }

    @Test("lasts while the store cannot forget the lease serials that satellites have seen")
    func storeFails() async throws {
        try await Self.run { safeMode, parts in
            safeMode.saw(LeaseSerial(rawValue: 40))
            safeMode.saw(LeaseSerial(rawValue: 30))
            safeMode.enter("a reason")
            parts.faults.fail(["skipLeaseSerials"], with: .full)
            await #expect(throws: StoreError.self) { try await safeMode.leave() }
            #expect(safeMode.reason == "a reason")
            parts.faults.fail([], with: nil)
            let hasLeft = try await safeMode.leave()
            #expect(hasLeft)
            #expect(try await parts.store.highestLeaseSerial() == LeaseSerial(rawValue: 40))
        }
    }
}
