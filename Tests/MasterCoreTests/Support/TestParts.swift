// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MailingModel

@testable import MasterCore
@testable import MasterStore

/// What a part of the master needs, for tests of that part without the others.
struct TestParts {
    let store: MailingStore
    /// What lies beneath the store, and fails on demand.
    let faults: FaultyEngine
    let channel = ScriptedChannel()
    let directory = SatelliteDirectory()
    let clock = ManualClock()
    let configuration = MasterConfiguration()
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let time: MasterTime
    let health: StoreHealth

    private init(store: MailingStore, faults: FaultyEngine) {
        self.store = store
        self.faults = faults
        let clock = self.clock
        self.time = MasterTime(clock: clock, now: { clock.civil }, logger: self.logger)
        self.health = StoreHealth(configuration: self.configuration.intake, logger: self.logger)
    }

    /// Runs a test with parts over a store in a directory of its own.
    static func run(_ body: (TestParts) async throws -> Void) async throws {
        let directory = TestMaster.makeDirectory()
        // What cannot be removed is in the temporary directory.
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (store, faults) = try await TestMaster.openStore(in: directory)
        do {
            try await body(TestParts(store: store, faults: faults))
        } catch {
            try await store.close()
            throw error
        }
        try await store.close()
    }

    /// A satellite whose session nobody has answered.
    func satellite(_ serial: String) async throws -> ScriptedSatellite {
        let record = try SatelliteRules.record(from: SatelliteDraft(serial: serial))
        return ScriptedSatellite(self.channel, try await self.store.addSatellite(record))
    }
}
