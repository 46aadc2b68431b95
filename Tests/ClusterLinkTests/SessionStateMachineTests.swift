// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing
import ZeroMQ

@testable import ClusterLink

/// One satellite process at one connection, as the master sees its frames.
private struct ScriptedSatellite {
    var route: [UInt8] = [1]
    var key: [UInt8] = [UInt8](repeating: 1, count: 32)
    var incarnation: UInt64 = 1
    var handshakeNumber: UInt32 = 1
    var sequence: UInt64 = 0

    mutating func frame(_ message: SatelliteMessage) -> ZeroMQMessage {
        self.sequence += 1
        return self.frame(body: SatelliteCodec.encode(message))
    }

    func frame(body: [UInt8]) -> ZeroMQMessage {
        let header = WireHeader(
            incarnation: self.incarnation,
            handshakeNumber: self.handshakeNumber,
            sequence: self.sequence,
            ack: 0
        )
        return ZeroMQMessage(routingID: self.route, frames: [header.encoded(), body])
    }

    /// The first frame of a new handshake.
    mutating func handshake(versions: ClosedRange<UInt32> = LinkProtocol.supportedVersions) -> ZeroMQMessage {
        if self.sequence > 0 { self.handshakeNumber += 1 }
        self.sequence = 0
        return self.frame(.handshake(.sample(incarnation: self.incarnation, versions: versions)))
    }
}

/// What the machine wants done, in a form that can be compared.
private enum Done: Equatable {
    case connected(UInt64)
    case message(SatelliteMessage)
    case disconnected(UInt64, SessionEnd)
    case sent(MasterFrameContent, ack: UInt64)
    case warned(SessionStateMachine.Trouble)
    case noted(UInt64, JournalPosition)

    static func list(_ actions: [SessionStateMachine.Action]) throws -> [Done] {
        try actions.map { action in
            switch action {
            case .send(let message):
                let header = try WireHeader(decoding: message.frames[0])
                return .sent(try MasterCodec.decode(message.frames[1]), ack: header.ack)
            case .event(.connected(let session, _)): return .connected(session.number)
            case .event(.message(_, let message)): return .message(message)
            case .event(.disconnected(let session, let end)): return .disconnected(session.number, end)
            case .event(.rejected): throw WireError("the machine itself rejects nobody by an event")
            case .warn(let trouble, _): return .warned(trouble)
            case .noteJournal(let session, let position): return .noted(session.number, position)
            }
        }
    }
}

@Suite("The master's sessions, without clock and network")
struct SessionStateMachineTests {
    private static let start = ContinuousClock.now

    private struct Master {
        var machine = SessionStateMachine(maximumMessageBytes: 4 << 20)
        var record: SatelliteRecord? = SatelliteRecord(id: SatelliteID(rawValue: 1), serial: "sat")

        mutating func take(
            _ message: ZeroMQMessage,
            from satellite: ScriptedSatellite,
            after: Duration = .zero
        ) throws -> [Done] {
            try Done.list(
                self.machine.received(
                    message,
                    publicKey: satellite.key,
                    record: self.record,
                    now: SessionStateMachineTests.start + after
                )
            )
        }
    }

    @Test("opens a session with a handshake, and hands on what follows in order")
    func session() throws {
        var master = Master()
        var satellite = ScriptedSatellite()
        #expect(try master.take(satellite.handshake(), from: satellite) == [.connected(1)])
        #expect(
            try master.take(satellite.frame(.credit([.bulk: 5])), from: satellite) == [.message(.credit([.bulk: 5]))]
        )
        let session = try #require(master.machine.sessions.first)
        #expect(master.machine.version(of: session) == 1)
        let sent = master.machine.frames(of: [9], to: session)
        let frames = try #require(sent)
        let header = try WireHeader(decoding: frames[0].frames[0])
        #expect(frames[0].routingID == satellite.route)
        #expect((header.incarnation, header.handshakeNumber, header.sequence, header.ack) == (1, 1, 1, 2))
        master.machine.unsend(1, to: session)
        let resent = master.machine.frames(of: [9], to: session)
        let again = try #require(resent)
        #expect(try WireHeader(decoding: again[0].frames[0]).sequence == 1)
        #expect(try master.take(satellite.frame(.goodbye), from: satellite) == [.disconnected(1, .goodbye)])
        #expect(master.machine.frames(of: [9], to: session) == nil)
    }

    @Test("rejects an unknown key and a disabled satellite, and ends a session whose key was removed")
    func keys() throws {
        var master = Master(record: nil)
        var satellite = ScriptedSatellite()
        guard
            case .sent(.message(.rejected(let unknown)), ack: 0) = try master.take(
                satellite.handshake(),
                from: satellite
            )
            .first
        else {
            Issue.record("an unknown key was not rejected")
            return
        }
        #expect(unknown.code == .keyNotAllowed)
        master.record = SatelliteRecord(id: SatelliteID(rawValue: 1), serial: "sat", enabled: false)
        guard
            case .sent(.message(.rejected(let disabled)), ack: 0) = try master.take(
                satellite.handshake(),
                from: satellite
            )
            .first
        else {
            Issue.record("a disabled satellite was not rejected")
            return
        }
        #expect(disabled.code == .disabled)
        master.record?.enabled = true
        #expect(try master.take(satellite.handshake(), from: satellite) == [.connected(1)])
        master.record = nil
        let done = try master.take(satellite.frame(.credit([:])), from: satellite)
        #expect(done.count == 3 && done.suffix(2) == [.disconnected(1, .rejected), .warned(.keyNotAllowed)])
        #expect(master.machine.sessions.isEmpty)
    }

    @Test("rejects a handshake without a common version, and drops one that names two incarnations")
    func handshakes() throws {
        var master = Master()
        var satellite = ScriptedSatellite()
        let done = try master.take(satellite.handshake(versions: 7...9), from: satellite)
        guard done.count == 2, case .sent(.message(.rejected(let rejection)), ack: 0) = done[0] else {
            Issue.record("versions 7 to 9 were not rejected: \(done)")
            return
        }
        #expect(rejection.code == .unsupportedVersion && done[1] == .warned(.version))
        satellite.sequence = 0
        let twofold = satellite.frame(.handshake(.sample(incarnation: 5)))
        satellite.sequence = 1
        let body = SatelliteCodec.encode(.handshake(.sample(incarnation: 5)))
        #expect(try master.take(satellite.frame(body: body), from: satellite) == [.warned(.garbage)])
        #expect(twofold.frames[1] == body && master.machine.sessions.isEmpty)
    }

    @Test("drops repeated frames, and ends a session with a gap by asking for another handshake")
    func sequence() throws {
        var master = Master()
        var satellite = ScriptedSatellite()
        _ = try master.take(satellite.handshake(), from: satellite)
        let credit = satellite.frame(.credit([.bulk: 1]))
        #expect(try master.take(credit, from: satellite) == [.message(.credit([.bulk: 1]))])
        #expect(try master.take(credit, from: satellite) == [.warned(.garbage)])
        satellite.sequence += 1
        #expect(
            try master.take(satellite.frame(.credit([:])), from: satellite)
                == [.warned(.gap), .sent(.handshakeRequired, ack: 0), .disconnected(1, .connectionLost)]
        )
        #expect(try master.take(satellite.handshake(), from: satellite) == [.connected(2)])
    }

    @Test("asks whoever has no session to repeat the handshake, once a second for each connection")
    func strangers() throws {
        var master = Master()
        var satellite = ScriptedSatellite(sequence: 4)
        let frame = satellite.frame(.credit([:]))
        #expect(try master.take(frame, from: satellite) == [.sent(.handshakeRequired, ack: 0)])
        #expect(try master.take(frame, from: satellite, after: .milliseconds(900)) == [])
        var other = ScriptedSatellite(route: [2], sequence: 4)
        #expect(try master.take(other.frame(.credit([:])), from: other) == [.sent(.handshakeRequired, ack: 0)])
        #expect(try master.take(frame, from: satellite, after: .seconds(1)) == [.sent(.handshakeRequired, ack: 0)])
    }

    @Test("replaces the session of a process that repeats the handshake, and ignores what it said before")
    func repeatsHandshake() throws {
        var master = Master()
        var satellite = ScriptedSatellite()
        _ = try master.take(satellite.handshake(), from: satellite)
        let late = satellite.frame(.credit([.bulk: 1]))
        #expect(
            try master.take(satellite.handshake(), from: satellite) == [
                .disconnected(1, .handshakeRepeated), .connected(2),
            ]
        )
        #expect(try master.take(late, from: satellite) == [])
        var moved = satellite
        moved.route = [2]
        #expect(
            try master.take(moved.handshake(), from: moved) == [.disconnected(2, .handshakeRepeated), .connected(3)]
        )
    }

    @Test("tells an older process of the same satellite to stop, and again when it comes back")
    func superseded() throws {
        var master = Master()
        var older = ScriptedSatellite()
        _ = try master.take(older.handshake(), from: older)
        var newer = ScriptedSatellite(route: [2], incarnation: 2)
        #expect(
            try master.take(newer.handshake(), from: newer)
                == [
                    .sent(.message(.superseded), ack: 1), .warned(.superseded), .disconnected(1, .superseded),
                    .connected(2),
                ]
        )
        #expect(try master.take(older.handshake(), from: older) == [.sent(.message(.superseded), ack: 0)])
        #expect(master.machine.sessions.map(\.number) == [2])
    }

    @Test("believes the key that the frame came with, not its numbers")
    func stolenNumbers() throws {
        var master = Master()
        var satellite = ScriptedSatellite()
        _ = try master.take(satellite.handshake(), from: satellite)
        var thief = satellite
        thief.key = [UInt8](repeating: 2, count: 32)
        #expect(try master.take(thief.frame(.goodbye), from: thief) == [.sent(.handshakeRequired, ack: 0)])
        #expect(master.machine.sessions.map(\.number) == [1])
    }

    @Test("ends sessions that are silent, do not read or are dropped, and forgives when it was itself away")
    func ends() throws {
        var master = Master()
        var first = ScriptedSatellite()
        _ = try master.take(first.handshake(), from: first)
        #expect(try Done.list(master.machine.silent(before: Self.start)) == [])
        master.machine.forgiveSilence(now: Self.start + .seconds(10))
        #expect(try Done.list(master.machine.silent(before: Self.start + .seconds(10))) == [])
        #expect(
            try Done.list(master.machine.silent(before: Self.start + .seconds(11))) == [.disconnected(1, .silent)]
        )
        _ = try master.take(first.handshake(), from: first)
        #expect(
            try Done.list(master.machine.undeliverable(first.route, .peerDoesNotRead))
                == [.disconnected(2, .doesNotRead)]
        )
        #expect(try Done.list(master.machine.undeliverable(first.route, .unknownPeer)) == [])
        _ = try master.take(first.handshake(), from: first)
        let session = try #require(master.machine.sessions.first)
        #expect(try Done.list(master.machine.drop(session)) == [.disconnected(3, .rejected)])
        #expect(try Done.list(master.machine.drop(session)) == [])
    }

    @Test("puts parts together, and drops what is out of order, too long or of another version")
    func parts() throws {
        var master = Master(machine: SessionStateMachine(maximumMessageBytes: 100))
        var satellite = ScriptedSatellite()
        _ = try master.take(satellite.handshake(), from: satellite)
        let body = SatelliteCodec.encode(.credit([.bulk: 300, .express: 7]))
        func send(
            _ part: UInt32,
            of parts: UInt32,
            _ bytes: some Collection<UInt8>,
            version: UInt32 = 1
        ) throws -> [Done] {
            satellite.sequence += 1
            var header = WireHeader(incarnation: 1, handshakeNumber: 1, sequence: satellite.sequence, ack: 0)
            header.part = part
            header.parts = parts
            header.protocolVersion = version
            let message = ZeroMQMessage(routingID: satellite.route, frames: [header.encoded(), Array(bytes)])
            return try master.take(message, from: satellite)
        }
        #expect(try send(1, of: 2, body.prefix(3)) == [])
        #expect(try send(2, of: 2, body.dropFirst(3)) == [.message(.credit([.bulk: 300, .express: 7]))])
        #expect(try send(2, of: 2, body) == [.warned(.garbage)])
        #expect(try send(1, of: 2, [UInt8](repeating: 0, count: 101)) == [.warned(.garbage)])
        #expect(try send(0, of: 0, body, version: 2) == [.warned(.garbage)])
        #expect(try send(0, of: 0, body) == [.message(.credit([.bulk: 300, .express: 7]))])
    }
}
