// SPDX-License-Identifier: Apache-2.0

import MailingModel
import TestKit
import Testing
import ZeroMQ

@testable import ClusterLink

/// A peer that speaks the frames by hand, and only when asked to.
struct HandMadePeer {
    let socket: ZeroMQSocket
    let context: ZeroMQContext

    init(_ endpoint: MasterEndpoint, keys: CurveKeyPair) async throws {
        self.context = try ZeroMQContext()
        let security = SocketConfiguration.Security.curveClient(keys: keys, serverKey: endpoint.publicKey)
        self.socket = try await self.context.open(
            SocketConfiguration(kind: .dealer(connect: endpoint.control), security: security)
        )
    }

    func send(_ message: SatelliteMessage, handshakeNumber: UInt32 = 1, sequence: UInt64) async {
        let header = WireHeader(incarnation: 1, handshakeNumber: handshakeNumber, sequence: sequence, ack: 0)
        await self.socket.send(ZeroMQMessage(frames: [header.encoded(), SatelliteCodec.encode(message)]))
    }

    func content() async throws -> MasterFrameContent {
        while let event = await self.socket.next() {
            guard case .message(let message) = event else { continue }
            let content = try MasterCodec.decode(message.frames[1])
            if content != .message(.heartbeat) { return content }
        }
        throw StreamEnded()
    }
}

@Suite("Silence, gaps and garbage", .timeLimit(.minutes(15)))
struct SilenceTests {
    /// The next handshake, whatever comes before it.
    private static func handshake(_ router: ZeroMQSocket) async throws -> ZeroMQMessage {
        while let event = await router.next() {
            guard case .message(let message) = event,
                case .handshake? = try? SatelliteCodec.decode(message.frames[1])
            else { continue }
            return message
        }
        throw StreamEnded()
    }

    @Test("end the session of a satellite that has missed three heartbeats, and ask it to repeat the handshake")
    func silentSatellite() async throws {
        let master = try await TestMaster()
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        try await serving([master.link.run]) {
            let peer = try await HandMadePeer(master.endpoint, keys: keys)
            await peer.send(.handshake(.sample()), sequence: 1)
            let session = try await master.welcome()
            let (ended, end) = try await master.disconnected()
            #expect(ended == session)
            #expect(end == .silent)
            await peer.send(.heartbeat(SatelliteLoad()), sequence: 2)
            guard case .message(.welcome) = try await peer.content() else {
                Issue.record("no welcome came")
                return
            }
            #expect(try await peer.content() == .handshakeRequired)
            await peer.context.close()
        }
    }

    @Test("leave a master that has fallen silent, and repeat the handshake")
    func silentMaster() async throws {
        // A master made by hand: it welcomes and then says nothing.
        let keys = try CurveKeyPair.generate()
        let context = try ZeroMQContext()
        let security = SocketConfiguration.Security.curveServer(keys: keys) { try? Z85.encode(key: $0) }
        let router = try await context.open(
            SocketConfiguration(kind: .router(bind: "tcp://127.0.0.1:*"), security: security)
        )
        let endpoint = MasterEndpoint(control: router.endpoint, content: router.endpoint, publicKey: keys.publicKey)
        let satellite = TestSatellite([endpoint], keys: try .generate())
        try await serving([satellite.link.run]) {
            for handshakeNumber in UInt32(1)...2 {
                let handshake = try await Self.handshake(router)
                #expect(try WireHeader(decoding: handshake.frames[0]).handshakeNumber == handshakeNumber)
                var welcome = Welcome(storeID: "store", term: Term(rawValue: 1), knownLeases: [])
                welcome.protocolVersion = 1
                welcome.heartbeat = .milliseconds(100)
                let header = WireHeader(incarnation: 1, handshakeNumber: handshakeNumber, sequence: 1, ack: 1)
                let frames = [header.encoded(), MasterCodec.encode(.welcome(welcome))]
                await router.send(ZeroMQMessage(routingID: handshake.routingID, frames: frames))
                _ = try await satellite.connected()
                #expect(try await satellite.disconnected().contains("is silent"))
            }
        }
        await context.close()
    }

    @Test("count and drop garbage, and go on with the session")
    func garbage() async throws {
        let master = try await TestMaster { $0.heartbeat = .seconds(20) }
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        try await serving([master.link.run]) {
            let peer = try await HandMadePeer(master.endpoint, keys: keys)
            await peer.socket.send(ZeroMQMessage(frames: [[0xFF, 0xFF, 0xFF]]))
            await peer.socket.send(ZeroMQMessage(frames: [[], [], []]))
            await peer.send(.handshake(.sample()), sequence: 1)
            let session = try await master.welcome()
            let header = WireHeader(incarnation: 1, handshakeNumber: 1, sequence: 2, ack: 1)
            await peer.socket.send(ZeroMQMessage(frames: [header.encoded(), [0x0A, 0xFF, 0x01]]))
            await peer.socket.send(ZeroMQMessage(frames: [header.encoded(), [0x0A, 0xFF, 0x01]]))
            await peer.send(.leaseAccepted(LeaseSerial(rawValue: 4)), sequence: 3)
            #expect(try await master.message() == .leaseAccepted(LeaseSerial(rawValue: 4)))
            #expect(master.link.troubleCounts["garbage"] == 4)
            #expect(await master.link.send(.heartbeat, to: session) == .queued)
            await peer.context.close()
        }
    }

    @Test("end a session in which frames are missing, and ask for a new handshake")
    func gap() async throws {
        let master = try await TestMaster { $0.heartbeat = .seconds(20) }
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        try await serving([master.link.run]) {
            let peer = try await HandMadePeer(master.endpoint, keys: keys)
            await peer.send(.handshake(.sample()), sequence: 1)
            try await master.welcome()
            await peer.send(.leaseAccepted(LeaseSerial(rawValue: 4)), sequence: 3)
            #expect(try await master.disconnected().1 == .connectionLost)
            _ = try await peer.content()
            #expect(try await peer.content() == .handshakeRequired)
            await peer.send(.handshake(.sample()), handshakeNumber: 2, sequence: 1)
            try await master.welcome()
            await peer.send(.leaseAccepted(LeaseSerial(rawValue: 5)), handshakeNumber: 2, sequence: 2)
            #expect(try await master.message() == .leaseAccepted(LeaseSerial(rawValue: 5)))
            await peer.context.close()
        }
    }

    @Test("stop reading while nobody takes events, and take nobody for silent meanwhile")
    func backpressure() async throws {
        let master = try await TestMaster { configuration in
            configuration.waitingEvents = 1
            // Long enough that a machine busy with other tests does not make the satellite take its master for silent.
            configuration.heartbeat = .seconds(2)
        }
        let keys = try CurveKeyPair.generate()
        master.records.allow(keys)
        let satellite = TestSatellite([master.endpoint], keys: keys)
        try await serving([master.link.run, satellite.link.run]) {
            try await master.welcome()
            _ = try await satellite.connected()
            let count: Int64 = 1_500
            for number in 1...count { await satellite.link.send(.leaseAccepted(LeaseSerial(rawValue: number))) }
            // Three missed heartbeats would be silence; four pass while nobody reads the master's events.
            for _ in 0..<4 { _ = await satellite.heartbeats.next() }
            for expected in 1...count {
                guard case .leaseAccepted(let serial) = try await master.message() else {
                    Issue.record("another message came")
                    return
                }
                #expect(serial.rawValue == expected)
            }
        }
    }
}
