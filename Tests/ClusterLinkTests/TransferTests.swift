// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Crypto
import MailingModel
import Testing
import ZeroMQ

@Suite("Long messages, blobs and enrolment", .timeLimit(.minutes(15)))
struct TransferTests {
    private static func connected(
        _ master: TestMaster,
        blobLimit: Int? = nil,
        messageLimit: Int? = nil,
        _ body: @escaping @Sendable (SatelliteSession, TestSatellite) async throws -> Void
    ) async throws {
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys) { configuration in
            if let blobLimit { configuration.maximumBlobBytes = blobLimit }
            if let messageLimit { configuration.maximumMessageBytes = messageLimit }
        }
        try await serving([master.link.run, satellite.link.run]) {
            let session = try await master.welcome()
            _ = try await satellite.connected()
            try await body(session, satellite)
        }
    }

    private static func blob(_ size: Int) throws -> (BlobHash, [UInt8]) {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ ($0 >> 8)) }
        return (try #require(BlobHash(bytes: Array(SHA256.hash(data: bytes)))), bytes)
    }

    @Test("a grant of 1,000 recipients with long merge fields travels in parts and arrives whole")
    func splitGrant() async throws {
        let master = try await TestMaster()
        try await Self.connected(master) { session, satellite async throws in
            let long = LeaseGrant.sample(entries: 1_000, mergeBytes: 4_000)
            let short = LeaseGrant.sample(entries: 1, mergeBytes: 10, serial: 8)
            #expect(await master.link.send(.grant(long), to: session) == .queued)
            #expect(await master.link.send(.grant(short), to: session) == .queued)
            #expect(try await satellite.message() == .grant(long))
            #expect(try await satellite.message() == .grant(short))
        }
    }

    @Test("a message beyond the bound is refused where it is sent, and one of a careless peer where it arrives")
    func tooLong() async throws {
        let master = try await TestMaster()
        try await Self.connected(master, messageLimit: 1_000_000) { session, satellite async throws in
            let grant = LeaseGrant.sample(entries: 1_000, mergeBytes: 20_000)
            #expect(await master.link.send(.grant(grant), to: session) == .tooLarge)
            let report = DeliveryReport(
                recipient: grant.entries[0].recipient,
                attempt: AttemptSerial(rawValue: 1),
                lease: grant.serial,
                outcome: .delivered(AttemptTrace(stage: .finalDot, text: String(repeating: "x", count: 2_000))),
                endedAt: Timestamp(seconds: 1)
            )
            let reports = [DeliveryReport](repeating: report, count: 1_000)
            #expect(await satellite.link.send(.reports(sequence: 1, reports)) == .tooLarge)
            let middle = LeaseGrant.sample(entries: 1_000, mergeBytes: 1_200)
            #expect(await master.link.send(.grant(middle), to: session) == .queued)
            #expect(await master.link.send(.reportsApplied(sequence: 1), to: session) == .queued)
            #expect(try await satellite.message() == .reportsApplied(sequence: 1))
            #expect(satellite.link.troubleCounts["garbage"] ?? 0 >= 1)
        }
    }

    @Test("blobs arrive whole, whatever their length", arguments: [0, 1, 65_535, 65_536, 65_537, 3_000_000])
    func blobs(size: Int) async throws {
        let (hash, bytes) = try Self.blob(size)
        let master = try await TestMaster(blobs: [hash: bytes])
        try await Self.connected(master) { _, satellite async throws in
            #expect(try await satellite.link.blob(hash) == bytes)
        }
    }

    @Test("many blobs are fetched at the same time")
    func manyBlobs() async throws {
        var blobs: [BlobHash: [UInt8]] = [:]
        for number in 0..<16 {
            let (hash, bytes) = try Self.blob(100_000 + number)
            blobs[hash] = bytes
        }
        let master = try await TestMaster(blobs: blobs) { $0.blobCacheBytes = 250_000 }
        let all = blobs
        try await Self.connected(master) { _, satellite async throws in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for (hash, bytes) in all { group.addTask { try await satellite.link.blob(hash) == bytes } }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test("a blob with another hash, an absent one and one that is too long are errors that say so")
    func badBlobs() async throws {
        let (hash, bytes) = try Self.blob(200_000)
        let corrupt = BlobHash.sample(4)
        let master = try await TestMaster(blobs: [corrupt: bytes, hash: bytes])
        try await Self.connected(master, blobLimit: 200_000) { _, satellite async throws in
            await #expect { try await satellite.link.blob(corrupt) } throws: {
                ($0 as? ClusterLinkError)?.code == .corruptBlob
            }
            await #expect { try await satellite.link.blob(.sample(5)) } throws: {
                ($0 as? ClusterLinkError)?.code == .noSuchBlob
            }
            #expect(try await satellite.link.blob(hash) == bytes)
        }
        let (long, longBytes) = try Self.blob(200_001)
        let other = try await TestMaster(blobs: [long: longBytes])
        try await Self.connected(other, blobLimit: 200_000) { _, satellite async throws in
            await #expect { try await satellite.link.blob(long) } throws: {
                ($0 as? ClusterLinkError)?.code == .blobTooLarge
            }
        }
    }

    @Test("a satellite that knows the shared key enrols, learns the master's key, and is taken on with its own")
    func enrolment() async throws {
        let records = TestMaster.Records()
        let master = try await TestMaster(
            records: records,
            sharedKeys: ["sat": "a secret"],
            enrol: { serial, key in
                records[key] = SatelliteRecord(id: SatelliteID(rawValue: 1), serial: serial, publicKeys: [key])
                return true
            }
        )
        let keys = try CurveKeyPair.generate()
        try await serving([master.link.run]) {
            let endpoint = try #require(master.link.enrolmentEndpoint)
            let masterKey = try await SatelliteEnrolment.enrol(
                at: endpoint,
                serial: "sat",
                sharedKey: "a secret",
                keys: keys
            )
            #expect(masterKey == master.keys.publicKey)
            let satellite = TestSatellite([master.endpoint], keys: keys)
            try await serving([satellite.link.run]) {
                try await master.welcome()
                _ = try await satellite.connected()
            }
        }
    }

    @Test(
        "a wrong shared key, an unknown serial and a master that declines are refusals",
        arguments: [("sat", "another secret"), ("unknown", "a secret"), ("declined", "a secret")]
    )
    func badEnrolment(serial: String, sharedKey: String) async throws {
        let secrets = ["sat": "a secret", "declined": "a secret"]
        let master = try await TestMaster(sharedKeys: secrets, enrol: { serial, _ in serial != "declined" })
        try await serving([master.link.run]) {
            let endpoint = try #require(master.link.enrolmentEndpoint)
            await #expect {
                try await SatelliteEnrolment.enrol(
                    at: endpoint,
                    serial: serial,
                    sharedKey: sharedKey,
                    keys: try .generate()
                )
            } throws: {
                ($0 as? ClusterLinkError)?.code == .enrolmentRefused
            }
        }
    }
}
