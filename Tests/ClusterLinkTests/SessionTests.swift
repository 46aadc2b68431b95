// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import Synchronization
import TestKit
import Testing
import ZeroMQ

@Suite("Sessions between a master and its satellites", .timeLimit(.minutes(15)))
struct SessionTests {
    @Test("welcome a satellite with an allowed key, and carry messages both ways")
    func rightKey() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys)
        try await serving([master.link.run, satellite.link.run]) {
            let (session, handshake) = try await master.reader.first { event -> (SatelliteSession, Handshake)? in
                if case .connected(let session, let handshake) = event { (session, handshake) } else { nil }
            }
            #expect(session.serial == "sat")
            #expect(session.publicKey == keys.publicKey)
            #expect(handshake == .sample())
            let known = [LeaseSerial(rawValue: 3)]
            let welcome = Welcome(storeID: "store", term: Term(rawValue: 9), knownLeases: known, group: nil)
            #expect(await master.link.send(.welcome(welcome), to: session) == .queued)
            let received = try await satellite.connected()
            #expect(received.term.rawValue == 9)
            #expect(received.knownLeases == known)
            #expect(received.protocolVersion == 1)
            #expect(received.heartbeat == .seconds(2))
            #expect(satellite.link.welcome == received)
            #expect(await satellite.link.send(.credit([.bulk: 500, .express: 50])) == .queued)
            #expect(try await master.message() == .credit([.bulk: 500, .express: 50]))
            #expect(await master.link.send(.reportsApplied(sequence: 12), to: session) == .queued)
            #expect(try await satellite.message() == .reportsApplied(sequence: 12))
            let load = try await master.reader.first { event -> SatelliteLoad? in
                if case .message(_, .heartbeat(let load)) = event { load } else { nil }
            }
            #expect(load.waiting == 3)
        }
    }

    @Test("reject a key that is not allowed, with one event on each side, and take it on once it is")
    func wrongClientKey() async throws {
        let master = try await TestMaster()
        let satellite = TestSatellite([master.endpoint], keys: try .generate())
        try await serving([master.link.run, satellite.link.run]) {
            let reported = try await master.reader.first { if case .rejected(let text) = $0 { text } else { nil } }
            #expect(reported.contains("not on the allow-list"))
            #expect(try await satellite.failed().contains("refuses"))
            #expect(await satellite.link.send(.credit([:])) == .notConnected)
            master.records.allow(satellite.keys)
            try await master.welcome()
            _ = try await satellite.connected()
        }
    }

    @Test("reject a satellite whose serial is not that of its key, and take it on whatever the case")
    func wrongSerial() async throws {
        let master = try await TestMaster()
        let satellite = TestSatellite([master.endpoint], keys: try .generate())
        master.records.allow(satellite.keys, serial: "other")
        try await serving([master.link.run, satellite.link.run]) {
            let reported = try await master.reader.first { if case .rejected(let text) = $0 { text } else { nil } }
            #expect(reported.contains("calls itself sat") && reported.contains("satellite other"))
            master.records.allow(satellite.keys, serial: "SAT")
            try await master.welcome()
            _ = try await satellite.connected()
        }
    }

    @Test("report another expected master key to satellite and master")
    func wrongMasterKey() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        var endpoint = master.endpoint
        endpoint.publicKey = keys.publicKey
        let satellite = TestSatellite([endpoint], keys: keys)
        try await serving([master.link.run, satellite.link.run]) {
            let reported = try await master.reader.first { if case .rejected(let text) = $0 { text } else { nil } }
            #expect(reported.contains("another server key"))
            #expect(try await satellite.failed().contains("server's public key"))
        }
    }

    @Test("reject a satellite without a common protocol version, in clear text on both sides")
    func versionSkew() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys, versions: 7...9)
        try await serving([master.link.run, satellite.link.run]) {
            let reported = try await master.reader.first { if case .rejected(let text) = $0 { text } else { nil } }
            #expect(reported.contains("speaks link versions 7...9, the master 1...1"))
            guard case .rejected(let rejection) = try await satellite.message() else {
                Issue.record("no rejection came")
                return
            }
            #expect(rejection.code == .unsupportedVersion)
            #expect(rejection.text == reported)
        }
    }

    @Test("end a session at once when its key is taken off the list, and send the satellite the reason")
    func revocation() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys)
        try await serving([master.link.run, satellite.link.run]) {
            let session = try await master.welcome()
            _ = try await satellite.connected()
            master.records[keys.publicKey] = nil
            let (ended, end) = try await master.disconnected()
            #expect(ended == session)
            #expect(end == .rejected)
            #expect(try await satellite.disconnected().contains("no satellite with this public key"))
            guard case .rejected(let rejection) = try await satellite.message() else {
                Issue.record("no rejection came")
                return
            }
            #expect(rejection.code == .keyNotAllowed)
            #expect(await master.link.send(.heartbeat, to: session) == .notConnected)
            // It keeps asking, and is taken on when the record is back.
            master.records.allow(keys)
            try await master.welcome()
            _ = try await satellite.connected()
        }
    }

    @Test("end a session when the master's core rejects it or drops its key, and repeat the handshake after a while")
    func rejectedByCore() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys)
        try await serving([master.link.run, satellite.link.run]) {
            let first = try await master.reader.first { event -> SatelliteSession? in
                if case .connected(let session, _) = event { session } else { nil }
            }
            let rejection = Rejection(code: .safeMode, text: "the store was restored")
            await master.link.send(.rejected(rejection), to: first)
            #expect(try await master.disconnected() == (first, .rejected))
            #expect(try await satellite.message() == .rejected(rejection))
            let second = try await master.welcome()
            _ = try await satellite.connected()
            await master.link.drop(keys.publicKey)
            #expect(try await master.disconnected() == (second, .rejected))
            _ = try await satellite.disconnected()
            let third = try await master.welcome()
            _ = try await satellite.connected()
            await master.link.disconnect(third)
            #expect(try await master.disconnected() == (third, .connectionLost))
            _ = try await satellite.disconnected()
            try await master.welcome()
        }
    }

    @Test("tell the older of two processes with one key that it is superseded, and drop its frames")
    func superseded() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let older = TestSatellite([master.endpoint], keys: keys, incarnation: 1)
        let newer = TestSatellite([master.endpoint], keys: keys, incarnation: 2)
        try await serving([master.link.run]) {
            let olderRun = Task { try await older.link.run() }
            let first = try await master.welcome()
            _ = try await older.connected()
            try await serving([newer.link.run]) {
                let (ended, end) = try await master.disconnected()
                #expect(ended == first)
                #expect(end == .superseded)
                let second = try await master.welcome()
                #expect(second.incarnation == 2)
                _ = try await newer.connected()
                #expect(try await older.message() == .superseded)
                let result = await olderRun.result
                #expect(throws: ClusterLinkError.self) { try result.get() }
                #expect(await older.link.send(.credit([:])) == .notConnected)
                await newer.link.send(.leaseAccepted(LeaseSerial(rawValue: 1)))
                #expect(try await master.message() == .leaseAccepted(LeaseSerial(rawValue: 1)))
            }
        }
    }

    @Test("turn a process away whose journal is a copy while the original's process is connected; the original goes on")
    func copiedJournal() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let original = TestSatellite([master.endpoint], keys: keys, incarnation: 1)
        let copy = TestSatellite([master.endpoint], keys: keys, handshake: .remembering(incarnation: 2, isCopy: true))
        try await serving([master.link.run]) {
            let run = Task { try await original.link.run() }
            let first = try await master.welcome()
            _ = try await original.connected()
            try await serving([copy.link.run]) {
                guard case .rejected(let rejection) = try await copy.message() else { throw StreamEnded() }
                #expect(rejection.code == .copiedJournal)
                #expect(rejection.text.contains("a second process came with a copy of its journal"))
                await original.link.send(.leaseAccepted(LeaseSerial(rawValue: 1)))
                #expect(try await master.message() == .leaseAccepted(LeaseSerial(rawValue: 1)))
                // Once the original is gone, the copy is taken on when it asks again.
                run.cancel()
                try await run.value
                #expect(try await master.disconnected().0 == first)
                #expect(try await master.welcome().incarnation == 2)
            }
        }
    }

    @Test("report how far store and journal have come with every message, before it is read")
    func memory() async throws {
        let number = Mutex(Int64(1))
        let noted = Mutex<[JournalPosition]>([])
        let reported = Mutex<[StorePosition]>([])
        let master = try await TestMaster(
            store: {
                var position = StorePosition.sample
                position.number = number.withLock { $0 }
                return position
            },
            noteJournal: { _, position in noted.withLock { $0.append(position) } }
        )
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let memory = SatelliteLink.Memory(
            journal: { JournalPosition(written: 9, synced: 8) },
            noteStore: { position in reported.withLock { $0.append(position) } }
        )
        let satellite = TestSatellite([master.endpoint], keys: keys, memory: memory)
        try await serving([master.link.run, satellite.link.run]) {
            let session = try await master.welcome()
            _ = try await satellite.connected()
            #expect(reported.withLock { $0.last } == .sample.numbered(1))
            number.withLock { $0 = 2 }
            await master.link.send(.reportsApplied(sequence: 1), to: session)
            _ = try await satellite.message()
            #expect(reported.withLock { $0.last } == .sample.numbered(2))
            await satellite.link.send(.leaseAccepted(LeaseSerial(rawValue: 1)))
            _ = try await master.message()
            #expect(noted.withLock { $0.last } == JournalPosition(written: 9, synced: 8))
        }
    }

    @Test("end the session of a satellite that says goodbye when it stops")
    func goodbye() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys)
        try await serving([master.link.run]) {
            let run = Task { try await satellite.link.run() }
            try await master.welcome()
            _ = try await satellite.connected()
            await satellite.link.send(.reports(sequence: 1, []))
            run.cancel()
            try await run.value
            #expect(try await master.message() == .reports(sequence: 1, []), "what was queued still arrives")
            #expect(try await master.disconnected().1 == .goodbye)
        }
    }

    @Test("connect again after the master has restarted on the same port")
    func masterRestart() async throws {
        let keys = try CurveKeyPair.generate()
        let first = try await TestMaster()
        first.records.allow(keys)
        let satellite = TestSatellite([first.endpoint], keys: keys)
        try await serving([satellite.link.run]) {
            let run = Task { try await first.link.run() }
            try await first.welcome()
            _ = try await satellite.connected()
            run.cancel()
            try await run.value
            _ = try await satellite.disconnected()
            let second = try await TestMaster(
                keys: first.keys,
                control: first.link.controlEndpoint,
                content: first.link.contentEndpoint,
                records: first.records
            )
            try await serving([second.link.run]) {
                let session = try await second.welcome(term: 2)
                #expect(try await satellite.connected().term.rawValue == 2)
                await second.link.send(.reportsApplied(sequence: 3), to: session)
                #expect(try await satellite.message() == .reportsApplied(sequence: 3))
            }
        }
    }

    @Test("follow the master with the highest term")
    func standby() async throws {
        let keys = try CurveKeyPair.generate()
        let records = TestMaster.Records()
        records.allow(keys)
        let former = try await TestMaster(records: records) { $0.heartbeat = .seconds(5) }
        let leader = try await TestMaster(records: records) { $0.heartbeat = .seconds(5) }
        let satellite = TestSatellite([former.endpoint, leader.endpoint], keys: keys) {
            $0.handshakeInterval = .seconds(10)
        }
        try await serving([former.link.run, leader.link.run, satellite.link.run]) {
            try await former.welcome(term: 1)
            #expect(try await satellite.connected().term.rawValue == 1)
            let session = try await leader.welcome(term: 2)
            _ = try await satellite.disconnected()
            #expect(try await satellite.connected().term.rawValue == 2)
            await satellite.link.send(.leaseAccepted(LeaseSerial(rawValue: 8)))
            #expect(try await leader.message() == .leaseAccepted(LeaseSerial(rawValue: 8)))
            _ = session
        }
    }
}
