// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Foundation
import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("Old copies of a store and of a journal", .timeLimit(.minutes(15)))
struct OldCopyTests {
    // MARK: The store

    /// What happens between the copy and the loss, and what the satellite remembers of it.
    struct Memory: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Plays on; what it leaves in the satellite's handshake.
        var play:
            @Sendable (TestMaster, ScriptedSatellite, LeaseGrant) async throws -> @Sendable (inout Handshake) -> Void

        init(
            _ name: String,
            _ play:
                @escaping @Sendable (TestMaster, ScriptedSatellite, LeaseGrant) async throws ->
                @Sendable (inout Handshake)
                -> Void
        ) {
            self.testDescription = name
            self.play = play
        }
    }

    /// What the satellite's link would note.
    private static func reported(by test: TestMaster) -> @Sendable (inout Handshake) -> Void {
        let position = test.store.position
        return { $0.newestStore = position }
    }

    static let memories: [Memory] = [
        Memory("start permission") { test, satellite, grant in
            _ = try await satellite.start(grant.serial, [0])
            return Self.reported(by: test)
        },
        Memory("start permission, by its journal alone") { _, satellite, grant in
            _ = try await satellite.start(grant.serial, [0])
            return {
                $0.journaledLeases = [JournaledLease(grant.serial, started: EntryBitmap([0]), closed: EntryBitmap())]
            }
        },
        Memory("an acknowledgement, with which it has forgotten the lease") { test, satellite, grant in
            try await satellite.deliver([grant])
            let reported = Self.reported(by: test)
            return {
                reported(&$0)
                $0.heldLeases = []
            }
        },
        Memory("a further lease, by its commit") { test, satellite, _ in
            try await test.add(5, to: try await test.running(0))
            try await satellite.take(5)
            return Self.reported(by: test)
        },
        Memory("a further lease, by its number") { test, satellite, _ in
            try await test.add(5, to: try await test.running(0))
            let grants = try await satellite.take(5)
            return { $0.highestLeaseSerial = grants[0].serial }
        },
        Memory("something that was none of its business") { test, _, _ in
            _ = try await test.mailing()
            return Self.reported(by: test)
        },
        Memory("a later term") { _, _, _ in { $0.highestTerm = Term(rawValue: 9) } },
        Memory("a commit of a term that the store gave twice") { test, _, _ in
            var position = test.store.position
            position.term = Term(rawValue: 3)
            position.opening = "another"
            position.number = 0
            let other = position
            return { $0.newestStore = other }
        },
    ]

    @Test("safe mode, whatever a satellite remembers that the store does not", arguments: Self.memories)
    func ahead(memory: Memory) async throws {
        try await self.afterLoss(memory.play) { test, record, grant, change in
            let satellite = ScriptedSatellite(test.channel, record, holding: [grant.serial], incarnation: 2) {
                change(&$0)
            }
            let rejection = try await satellite.rejected()
            #expect(rejection.code == .safeMode)
            #expect(try await test.master.status().safeMode != nil)
        }
    }

    @Test("no safe mode for a satellite that remembers what the store has")
    func notAhead() async throws {
        let position = Position()
        try await self.afterLoss({ test, _, _ in { _ in } }, before: { position.value = $0.store.position }) {
            test,
            record,
            grant,
            _ in
            let reported = position.value
            let satellite = ScriptedSatellite(test.channel, record, holding: [grant.serial], incarnation: 2) {
                $0.newestStore = reported
            }
            try await satellite.welcomed()
            #expect(satellite.welcome?.knownLeases == [grant.serial])
            #expect(try await test.master.status().safeMode == nil)
            // So it is by what this master reports.
            satellite.vanish()
            let newest = test.store.position
            let again = ScriptedSatellite(test.channel, record, holding: [grant.serial], incarnation: 2) {
                $0.newestStore = newest
            }
            try await again.welcomed()
            // And a store of another name proves nothing.
            again.vanish()
            let other = ScriptedSatellite(test.channel, record, holding: [grant.serial], incarnation: 2) {
                $0.newestStore = StorePosition(storeID: "other", term: Term(rawValue: 1), opening: "x", number: 99)
            }
            try await other.welcomed()
        }
    }

    @Test(
        "once the operator has confirmed the store, what the satellite has finished since is uncertain, not sent again"
    )
    func confirmed() async throws {
        try await self.afterLoss({ test, satellite, grant in
            let (granted, _) = try await satellite.start(grant.serial, [0, 1, 2])
            let reports = granted.prefix(2).map {
                TestValues.delivered(grant.entries[$0].recipient, lease: grant.serial)
            }
            try await satellite.acknowledged(satellite.report(Array(reports)))
            let reported = Self.reported(by: test)
            return {
                reported(&$0)
                $0.journaledLeases = [
                    JournaledLease(grant.serial, started: EntryBitmap([0, 1, 2]), closed: EntryBitmap([0, 1]))
                ]
            }
        }) { test, record, grant, change in
            let first = ScriptedSatellite(test.channel, record, holding: [grant.serial], incarnation: 2) { change(&$0) }
            #expect(try await first.rejected().code == .safeMode)
            first.vanish(.rejected)
            try await test.master.operator.confirmStore()
            let second = ScriptedSatellite(test.channel, record, holding: [grant.serial], incarnation: 2) {
                change(&$0)
            }
            try await second.welcomed()
            #expect(second.welcome?.knownLeases == [grant.serial])
            #expect(try await test.master.status().uncertain == 2)
            // What it was about to send it reports; what it had not started it asks for.
            try await second.acknowledged(
                second.report([TestValues.delivered(grant.entries[2].recipient, lease: grant.serial)])
            )
            let (granted, refused) = try await second.start(grant.serial, 0..<5)
            #expect(granted == [3, 4] && refused == [0, 1, 2])
            // Its memory is that of this store from now on, though it has seen a later term.
            second.vanish()
            let newest = test.store.position
            let third = ScriptedSatellite(test.channel, record, holding: [grant.serial], term: 9, incarnation: 3) {
                $0.newestStore = newest
            }
            try await third.welcomed()
            #expect(try await test.master.status().uncertain == 2)
        }
    }

    @Test("a lease that the satellite has finished altogether is uncertain altogether")
    func finishedLease() async throws {
        try await self.afterLoss({ test, satellite, grant in
            try await satellite.deliver([grant])
            return Self.reported(by: test)
        }) { test, record, grant, change in
            let first = ScriptedSatellite(test.channel, record, incarnation: 2) { change(&$0) }
            _ = try await first.rejected()
            first.vanish(.rejected)
            try await test.master.operator.confirmStore()
            let second = ScriptedSatellite(test.channel, record, incarnation: 2) { change(&$0) }
            try await second.welcomed()
            second.credit(bulk: 100)
            #expect(try await test.master.status().uncertain == grant.entries.count)
            try await test.until("nothing is left to lease") { try await test.master.status().backlog == 0 }
            #expect(second.arrived.allSatisfy { if case .grant = $0 { false } else { true } })
        }
    }

    /// A mailing of five recipients who all go with one lease.
    private static func startMailing(_ test: TestMaster) async throws {
        let id = try await test.mailing()
        let submissions = (0..<5).map { RecipientSubmission(address: "user\($0)@one.example") }
        _ = try await test.operations.addRecipients(submissions, to: id, test: false)
        _ = try await test.operations.startMailing(id)
    }

    private final class Position {
        var value: StorePosition?
    }

    /// Copies the store of a master whose satellite holds one lease of five, plays on, and goes back to the copy.
    private func afterLoss(
        _ play: (TestMaster, ScriptedSatellite, LeaseGrant) async throws -> @Sendable (inout Handshake) -> Void,
        before: (TestMaster) -> Void = { _ in },
        _ body: (TestMaster, SatelliteRecord, LeaseGrant, @Sendable (inout Handshake) -> Void) async throws -> Void
    ) async throws {
        let directories = [TestMaster.makeDirectory(), TestMaster.makeDirectory()]
        defer { for path in directories { try? FileManager.default.removeItem(atPath: path) } }
        var memory: (record: SatelliteRecord, grant: LeaseGrant, change: @Sendable (inout Handshake) -> Void)?
        try await TestMaster.run(path: directories[0]) { test in
            try await Self.startMailing(test)
            let satellite = try await test.connected("a", bulk: 100)
            let grant = try await satellite.take(5)[0]
            before(test)
            try await test.master.operator.backup(to: directories[1] + "/store.sqlite")
            memory = (satellite.record, grant, try await play(test, satellite, grant))
        }
        // As if the files themselves had been copied, which leaves no trace.
        let copy = try await MailingStore.open(
            SQLiteConfiguration(path: directories[1] + "/store.sqlite"),
            secrets: TestMaster.secrets
        )
        try await copy.adopt()
        try await copy.close()
        let (record, grant, change) = try #require(memory)
        try await TestMaster.run(path: directories[1]) { try await body($0, record, grant, change) }
    }

    // MARK: The journal

    private static func life(
        _ incarnation: UInt64,
        session: UInt64,
        after earlier: [UInt64],
        found: UInt64,
        isCopy: Bool = false
    ) -> (inout Handshake) -> Void {
        { handshake in
            handshake.incarnation = incarnation
            handshake.journalSession = session
            handshake.earlierIncarnations = earlier
            handshake.journalFound = found
            handshake.journalPosition = JournalPosition(written: found + 10, synced: found + 10)
            handshake.journalIsCopy = isCopy
        }
    }

    @Test(
        "an older copy of a journal: what was started is uncertain, and the satellite is notified, every time that it asks",
        arguments: [false, true]
    )
    func oldJournal(masterRestarts: Bool) async throws {
        let directory = TestMaster.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var left: (record: SatelliteRecord, grant: LeaseGrant)?
        func comeBack(_ test: TestMaster) async throws {
            let (record, grant) = try #require(left)
            for _ in 0..<2 {
                let copy = ScriptedSatellite(
                    test.channel,
                    record,
                    holding: [grant.serial],
                    incarnation: 3,
                    change: Self.life(3, session: 3, after: [2, 1], found: 50)
                )
                try await copy.welcomed()
                #expect(copy.welcome?.journalIsDistrusted == true)
                #expect(try await test.master.status().uncertain == 2)
                // Nobody is started a second time because an older journal does not know of the first.
                let (granted, refused) = try await copy.start(grant.serial, 0..<4)
                #expect(granted == [2, 3] && refused == [0, 1])
                copy.vanish()
            }
            // Whoever comes after it with its journal is trusted again.
            let next = ScriptedSatellite(
                test.channel,
                record,
                holding: [grant.serial],
                incarnation: 4,
                change: Self.life(4, session: 4, after: [3, 2, 1], found: 70)
            )
            try await next.welcomed()
            #expect(next.welcome?.journalIsDistrusted == false)
            #expect(try await test.master.status().uncertain == 2)
        }
        try await TestMaster.run(path: directory) { test in
            try await Self.startMailing(test)
            let record = try await test.satellite("a")
            let first = ScriptedSatellite(
                test.channel,
                record,
                incarnation: 2,
                change: Self.life(2, session: 2, after: [1], found: 50)
            )
            try await first.welcomed()
            #expect(first.welcome?.journalIsDistrusted == false)
            first.credit(bulk: 100)
            let grant = try await first.take(5)[0]
            // What its link reports beside the start request.
            test.directory.noteJournal(JournalPosition(written: 90, synced: 90), of: first.session)
            _ = try await first.start(grant.serial, [0, 1])
            left = (record, grant)
            first.vanish()
            if !masterRestarts { try await comeBack(test) }
        }
        if masterRestarts { try await TestMaster.run(path: directory) { try await comeBack($0) } }
    }

    @Test("a satellite that comes back with the whole of its journal goes on with what it had started")
    func wholeJournal() async throws {
        try await TestMaster.run { test in
            try await Self.startMailing(test)
            let record = try await test.satellite("a")
            let first = ScriptedSatellite(
                test.channel,
                record,
                incarnation: 2,
                change: Self.life(2, session: 2, after: [1], found: 50)
            )
            try await first.welcomed()
            first.credit(bulk: 100)
            let grant = try await first.take(5)[0]
            test.directory.noteJournal(JournalPosition(written: 90, synced: 90), of: first.session)
            _ = try await first.start(grant.serial, [0, 1])
            first.vanish()
            let next = ScriptedSatellite(
                test.channel,
                record,
                holding: [grant.serial],
                incarnation: 3,
                change: Self.life(3, session: 3, after: [2, 1], found: 90)
            )
            try await next.welcomed()
            #expect(next.welcome?.journalIsDistrusted == false)
            #expect(try await test.master.status().uncertain == 0)
            #expect(try await next.start(grant.serial, 0..<2).granted == [0, 1])
        }
    }
}
