// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Foundation
import Logging
import MailingModel
import Secrets

@testable import MasterCore
@testable import MasterStore

/// A master over a real store in a directory of its own, with a clock that the test moves.
final class TestMaster {
    let master: Master
    /// What the operator may do with mailings, recipients and events.
    var operations: AccountOperations { self.master.operator.everyAccount }
    let store: MailingStore
    /// What lies beneath the store, and fails on demand.
    let faults: FaultyEngine
    let channel: ScriptedChannel
    let directory: SatelliteDirectory
    let clock: ManualClock
    let task: Task<Void, any Error>

    private init(
        master: Master,
        store: MailingStore,
        faults: FaultyEngine,
        channel: ScriptedChannel,
        directory: SatelliteDirectory,
        clock: ManualClock,
        task: Task<Void, any Error>
    ) {
        self.master = master
        self.store = store
        self.faults = faults
        self.channel = channel
        self.directory = directory
        self.clock = clock
        self.task = task
    }

    /// Runs a test with a running master, and stops it after.
    static func run(
        path: String? = nil,
        clock: ManualClock = ManualClock(),
        key: MACKey = MACKey.generate(),
        _ change: (inout MasterConfiguration) -> Void = { _ in },
        _ body: (TestMaster) async throws -> Void
    ) async throws {
        let directory = path ?? Self.makeDirectory()
        defer { if path == nil { try? FileManager.default.removeItem(atPath: directory) } }
        var configuration = MasterConfiguration()
        change(&configuration)
        let (store, faults) = try await Self.openStore(in: directory)
        let channel = ScriptedChannel()
        let satellites = SatelliteDirectory()
        let master = Master(
            store: store,
            channel: channel,
            directory: satellites,
            configuration: configuration,
            cursorKey: key,
            clock: clock,
            now: { clock.civil },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let task = Task { try await master.run() }
        let test = TestMaster(
            master: master,
            store: store,
            faults: faults,
            channel: channel,
            directory: satellites,
            clock: clock,
            task: task
        )
        do {
            try await body(test)
        } catch {
            await test.stop()
            throw error
        }
        await test.stop()
    }

    func stop() async {
        self.task.cancel()
        _ = await self.task.result
    }

    /// Opens a store over an engine that fails on demand.
    static func openStore(in directory: String) async throws -> (store: MailingStore, faults: FaultyEngine) {
        let faults = FaultyEngine(
            try await SQLiteEngine.open(SQLiteConfiguration(path: directory + "/store.sqlite"), secrets: Self.secrets)
        )
        return (MailingStore(faults), faults)
    }

    static func makeDirectory() -> String {
        let path = FileManager.default.temporaryDirectory.path + "/master-core-\(UInt64.random(in: 0 ... .max))"
        // What fails here fails again, and says so, when the store is opened.
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    static let secrets = StoreSecrets(
        digest: { BlobHash(bytes: KeyHash(of: $0).bytes) ?? TestValues.hash(0) },
        seal: { $0 },
        open: { $0 },
        recipientIDs: RecipientIDCodec { KeyHash(of: $0).bytes }
    )

    // MARK: Shorthands

    func satellite(
        _ serial: String,
        _ change: (inout SatelliteDraft) -> Void = { _ in }
    ) async throws -> SatelliteRecord {
        var draft = SatelliteDraft(serial: serial)
        draft.publicKey = Array(KeyHash(of: Array(serial.utf8)).bytes)
        change(&draft)
        return try await self.master.operator.addSatellite(draft)
    }

    /// A connected, welcomed satellite with credit.
    func connected(_ serial: String, bulk: Int = 10_000, express: Int = 100) async throws -> ScriptedSatellite {
        let satellite = ScriptedSatellite(self.channel, try await self.satellite(serial))
        try await satellite.welcomed()
        satellite.credit(bulk: bulk, express: express)
        return satellite
    }

    func mailing(_ change: (inout MailingDraft) -> Void = { _ in }) async throws -> MailingID {
        var draft = MailingDraft(
            content: .alternative(html: "<p>{{ name }}</p>", plain: nil),
            mailFrom: "news@example.org",
            senderName: "News",
            subject: "Hello {{ name }}"
        )
        change(&draft)
        return try await self.operations.createMailing(draft).id
    }

    /// Adds recipients in many domains; returns their tracking ids.
    @discardableResult
    func add(_ count: Int, to id: MailingID, test: Bool = false, from first: Int = 0) async throws -> [String] {
        var ids: [String] = []
        for start in stride(from: first, to: first + count, by: 1_000) {
            let submissions = (start..<min(start + 1_000, first + count)).map {
                RecipientSubmission(address: "user\($0)@domain\($0 % 40).example")
            }
            for result in try await self.operations.addRecipients(submissions, to: id, test: test) {
                guard case .accepted(let id, _) = result else { throw TestFailure("refused: \(result)") }
                ids.append(id)
            }
        }
        return ids
    }

    /// A started mailing with recipients.
    func running(_ count: Int) async throws -> MailingID {
        let id = try await self.mailing()
        try await self.add(count, to: id)
        _ = try await self.operations.startMailing(id)
        return id
    }

    func state(_ id: MailingID) async throws -> MailingStatus { try await self.operations.mailing(id).status }

    /// Waits until something holds that happens without a message: the master's loops run on while the test yields.
    func until(_ what: String, _ holds: () async throws -> Bool) async throws {
        try await TestFailure.unless(what, holds)
    }
}
