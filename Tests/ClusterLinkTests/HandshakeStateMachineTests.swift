// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing
import ZeroMQ

@testable import ClusterLink

/// The master's side of one handshake, written by hand: headers and bodies as the satellite expects them.
private struct ScriptedPeer {
    var incarnation: UInt64 = 1
    var handshakeNumber: UInt32 = 1
    var sequence: UInt64 = 0
    /// What the satellite has sent, as the master acknowledges it; 0 is outside of any session.
    var ack: UInt64 = 1

    mutating func frame(_ message: MasterMessage) -> ZeroMQMessage { self.frame(.message(message)) }

    mutating func frame(_ content: MasterFrameContent) -> ZeroMQMessage {
        self.sequence += 1
        return self.frame(body: MasterCodec.encode(content))
    }

    func frame(body: [UInt8]) -> ZeroMQMessage {
        let header = WireHeader(
            incarnation: self.incarnation,
            handshakeNumber: self.handshakeNumber,
            sequence: self.sequence,
            ack: self.ack
        )
        return ZeroMQMessage(frames: [header.encoded(), body])
    }

    static func welcome(version: UInt32 = 1, heartbeat: Duration = .seconds(2)) -> MasterMessage {
        var welcome = Welcome(storeID: "store", term: Term(rawValue: 9), knownLeases: [])
        welcome.protocolVersion = version
        welcome.heartbeat = heartbeat
        return .welcome(welcome)
    }
}

@Suite("The satellite's handshake, without clock and network")
struct HandshakeStateMachineTests {
    private static let start = ContinuousClock.now

    /// A machine that has sent its first handshake at `start`.
    private static func awaitingWelcome() -> HandshakeStateMachine {
        var machine = HandshakeStateMachine(maximumMessageBytes: 4 << 20)
        machine.prepareHandshake()
        _ = machine.startHandshake(.sample(), now: self.start)
        return machine
    }

    private static func welcomed() throws -> (HandshakeStateMachine, ScriptedPeer) {
        var machine = self.awaitingWelcome()
        var master = ScriptedPeer()
        _ = machine.received(master.frame(ScriptedPeer.welcome()), now: self.start)
        try #require(machine.phase == .welcomed)
        return (machine, master)
    }

    @Test("opens with a handshake of sequence 1, and only over a connection that is up")
    func handshake() throws {
        var machine = HandshakeStateMachine(maximumMessageBytes: 4 << 20)
        #expect(machine.startHandshake(.sample(), now: Self.start) == nil)
        machine.prepareHandshake()
        let handshake = machine.startHandshake(.sample(incarnation: 7), now: Self.start)
        let frames = try #require(handshake)
        #expect(frames.count == 1)
        let header = try WireHeader(decoding: frames[0].frames[0])
        #expect((header.incarnation, header.handshakeNumber, header.sequence, header.ack) == (7, 1, 1, 0))
        #expect(try SatelliteCodec.decode(frames[0].frames[1]) == .handshake(.sample(incarnation: 7)))
        #expect(machine.phase == .awaitingWelcome(Self.start))
        #expect(machine.startHandshake(.sample(), now: Self.start) == nil)
    }

    @Test("numbers each handshake anew, and takes no notice of frames of an earlier one")
    func staleHandshake() throws {
        var machine = Self.awaitingWelcome()
        var former = ScriptedPeer()
        machine.prepareHandshake()
        let handshake = machine.startHandshake(.sample(), now: Self.start)
        let again = try #require(handshake)
        #expect(try WireHeader(decoding: again[0].frames[0]).handshakeNumber == 2)
        #expect(machine.received(former.frame(ScriptedPeer.welcome()), now: Self.start) == .nothing)
        #expect(machine.phase == .awaitingWelcome(Self.start))
        var other = ScriptedPeer(incarnation: 2, handshakeNumber: 2)
        #expect(machine.received(other.frame(ScriptedPeer.welcome()), now: Self.start) == .nothing)
    }

    @Test("takes a Welcome once, and refuses one with a version or heartbeat that cannot be")
    func welcome() {
        var machine = Self.awaitingWelcome()
        var master = ScriptedPeer()
        guard case .garbage = machine.received(master.frame(ScriptedPeer.welcome(version: 9)), now: Self.start) else {
            Issue.record("a version that the satellite does not speak was taken")
            return
        }
        guard case .garbage = machine.received(master.frame(ScriptedPeer.welcome(heartbeat: .zero)), now: Self.start)
        else {
            Issue.record("a heartbeat of zero was taken")
            return
        }
        #expect(machine.phase == .awaitingWelcome(Self.start))
        guard case .welcomed(let welcome) = machine.received(master.frame(ScriptedPeer.welcome()), now: Self.start)
        else {
            Issue.record("the welcome was not taken")
            return
        }
        #expect(welcome.term.rawValue == 9)
        #expect(
            machine.received(master.frame(ScriptedPeer.welcome()), now: Self.start)
                == .garbage("a welcome that was not asked for")
        )
    }

    @Test("hands on nothing before the Welcome, and everything but heartbeats after it")
    func messages() throws {
        var machine = Self.awaitingWelcome()
        var master = ScriptedPeer()
        #expect(
            machine.received(master.frame(.reportsApplied(sequence: 3)), now: Self.start)
                == .garbage("a message before the welcome")
        )
        _ = machine.received(master.frame(ScriptedPeer.welcome()), now: Self.start)
        let later = Self.start + .seconds(1)
        #expect(machine.received(master.frame(.heartbeat), now: later) == .nothing)
        #expect(machine.lastHeard == later)
        #expect(
            machine.received(master.frame(.reportsApplied(sequence: 3)), now: later)
                == .message(.reportsApplied(sequence: 3))
        )
    }

    @Test("drops a repeated frame, and repeats the handshake after a gap")
    func sequence() throws {
        var (machine, master) = try Self.welcomed()
        let message = master.frame(.reportsApplied(sequence: 1))
        #expect(machine.received(message, now: Self.start) == .message(.reportsApplied(sequence: 1)))
        #expect(machine.received(message, now: Self.start) == .garbage("frame 2 for the second time"))
        master.sequence += 1
        #expect(
            machine.received(master.frame(.heartbeat), now: Self.start)
                == .repeatHandshake(reason: "frames from the master were lost")
        )
    }

    @Test("drops what it cannot read, and goes on with the next frame")
    func garbage() throws {
        var (machine, master) = try Self.welcomed()
        #expect(
            machine.received(ZeroMQMessage(frames: [[1, 2, 3]]), now: Self.start)
                == .garbage("a frame that cannot be read")
        )
        master.sequence += 1
        guard case .garbage = machine.received(master.frame(body: [0xFF, 0xFF]), now: Self.start) else {
            Issue.record("a body that is no message was taken")
            return
        }
        #expect(
            machine.received(master.frame(.reportsApplied(sequence: 2)), now: Self.start)
                == .message(.reportsApplied(sequence: 2))
        )
    }

    @Test("repeats the handshake when nothing came of it, also after a rejection, and not once welcomed")
    func repetition() throws {
        var machine = Self.awaitingWelcome()
        let interval = Duration.seconds(5)
        #expect(!machine.mustRepeatHandshake(after: interval, now: Self.start + .seconds(4)))
        #expect(machine.mustRepeatHandshake(after: interval, now: Self.start + interval))
        var outside = ScriptedPeer(ack: 0)
        let rejection = Rejection(code: .disabled, text: "disabled")
        let rejected = Self.start + .seconds(5)
        #expect(machine.received(outside.frame(.rejected(rejection)), now: rejected) == .rejected(rejection))
        #expect(!machine.mustRepeatHandshake(after: interval, now: rejected + .seconds(4)))
        #expect(machine.mustRepeatHandshake(after: interval, now: rejected + interval))
        let (welcomed, _) = try Self.welcomed()
        #expect(!welcomed.mustRepeatHandshake(after: interval, now: Self.start + .seconds(500)))
        machine.disconnected()
        #expect(!machine.mustRepeatHandshake(after: interval, now: Self.start + .seconds(500)))
    }

    @Test("repeats the handshake when the master has forgotten it, and stops when another process has taken its place")
    func outsideOfSessions() throws {
        var (machine, _) = try Self.welcomed()
        var outside = ScriptedPeer(ack: 0)
        #expect(
            machine.received(outside.frame(.handshakeRequired), now: Self.start)
                == .repeatHandshake(reason: "the master has forgotten this satellite")
        )
        #expect(machine.received(outside.frame(.superseded), now: Self.start) == .superseded)
        #expect(machine.phase == .rejected(Self.start))
    }

    @Test("cuts a long message into parts with numbers of their own, and reuses unsent numbers")
    func parts() throws {
        var (machine, master) = try Self.welcomed()
        let body = [UInt8](repeating: 7, count: LinkProtocol.maximumFrameBytes * 2 + 1)
        let frames = machine.frames(of: body)
        let headers = try frames.map { try WireHeader(decoding: $0.frames[0]) }
        #expect(headers.map(\.sequence) == [2, 3, 4])
        #expect(headers.map(\.part) == [1, 2, 3] && headers.allSatisfy { $0.parts == 3 && $0.ack == 1 })
        #expect(frames.flatMap { $0.frames[1] } == body)
        machine.unsend(3)
        #expect(try WireHeader(decoding: machine.frames(of: [1])[0].frames[0]).sequence == 2)

        let grant = MasterMessage.grant(.sample(entries: 20, mergeBytes: 60_000))
        let parts = PartAssembler.split(MasterCodec.encode(.message(grant)))
        try #require(parts.count > 1)
        for (index, part) in parts.enumerated() {
            master.sequence += 1
            var header = WireHeader(incarnation: 1, handshakeNumber: 1, sequence: master.sequence, ack: 1)
            header.part = UInt32(index + 1)
            header.parts = UInt32(parts.count)
            let outcome = machine.received(ZeroMQMessage(frames: [header.encoded(), part]), now: Self.start)
            #expect(outcome == (index + 1 < parts.count ? .nothing : .message(grant)))
        }
    }
}
