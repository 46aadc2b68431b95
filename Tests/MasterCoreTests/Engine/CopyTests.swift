// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Foundation
import MailingModel
import Testing

@testable import MasterCore

@Suite("A master on a copied store", .timeLimit(.minutes(15)))
struct CopyTests {
    @Test("sends nothing until the operator says so, whatever its satellites know, and asks only once")
    func copy() async throws {
        let directories = [TestMaster.makeDirectory(), TestMaster.makeDirectory()]
        defer { for path in directories { try? FileManager.default.removeItem(atPath: path) } }
        try await TestMaster.run(path: directories[0]) { test in
            _ = try await test.running(5)
            try await test.master.operator.backup(to: directories[1] + "/store.sqlite")
            #expect(test.master.isReady)
        }
        try await TestMaster.run(path: directories[1]) { test in
            try await test.until("safe mode") { try await test.master.status().safeMode != nil }
            #expect(!test.master.isReady)
            // It has never seen anything, so it proves nothing.
            let record = try await test.satellite("a")
            let first = ScriptedSatellite(test.channel, record)
            #expect(try await first.rejected().code == .safeMode)
            first.vanish(.rejected)
            await #expect(throws: MasterError.self) { _ = try await test.running(1) }
            try await test.master.operator.confirmStore()
            let again = ScriptedSatellite(test.channel, record, incarnation: 2)
            try await again.welcomed()
            again.credit(bulk: 100)
            try await again.take(5)
        }
        try await TestMaster.run(path: directories[1]) { test in
            _ = try await test.satellite("b")
            #expect(try await test.master.status().safeMode == nil)
        }
    }
}
