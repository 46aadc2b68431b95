// SPDX-License-Identifier: Apache-2.0

import MailingModel
import ZeroMQ

/// One satellite's conversation with one master: handshake, welcome, sequence numbers, silence.
///
/// Handshakes are numbered from 1; frames of an older one are stale on both sides. It is given what
/// comes and what time it is, and answers what to do.
struct HandshakeStateMachine: Sendable {
    /// Where the conversation stands.
    enum Phase: Sendable, Equatable {
        /// No connection.
        case down
        /// Connected; the handshake is being composed.
        case composing
        /// The handshake is sent.
        case awaitingWelcome(ContinuousClock.Instant)
        /// The master has taken the satellite on.
        case welcomed
        /// The master has not; the handshake is repeated later.
        case rejected(ContinuousClock.Instant)
    }

    /// What a frame leads to.
    enum Outcome: Sendable, Equatable {
        case nothing
        case welcomed(Welcome)
        case message(MasterMessage)
        case rejected(Rejection)
        case superseded
        /// Repeat the handshake, since one side has forgotten or missed something.
        case repeatHandshake(reason: String)
        /// Dropped; the text says why.
        case garbage(String)
    }

    private(set) var phase: Phase = .down
    private(set) var lastHeard: ContinuousClock.Instant = .now
    /// The newest commit that the master has reported since the handshake.
    private(set) var newestStore: StorePosition?
    private var storeID = ""
    private var incarnation: UInt64 = 0
    private var handshakeNumber: UInt32 = 0
    private var version = LinkProtocol.supportedVersions.lowerBound
    private var sent: UInt64 = 0
    private var received: UInt64 = 0
    private var assembler: PartAssembler
    private let limit: Int

    init(maximumMessageBytes: Int) {
        self.limit = maximumMessageBytes
        self.assembler = PartAssembler(limit: maximumMessageBytes)
    }

    /// The connection stands, or the handshake must be repeated: a new one is being composed.
    mutating func prepareHandshake() { self.phase = .composing }

    /// The connection is gone.
    mutating func disconnected() { self.phase = .down }

    /// Starts a handshake.
    ///
    /// - Returns: The frames of the handshake; `nil` if the connection has gone meanwhile, or another task has started a handshake.
    mutating func startHandshake(_ handshake: Handshake, now: ContinuousClock.Instant) -> [ZeroMQMessage]? {
        guard self.phase == .composing else { return nil }
        self.phase = .awaitingWelcome(now)
        self.incarnation = handshake.incarnation
        self.handshakeNumber &+= 1
        self.version = LinkProtocol.supportedVersions.lowerBound
        self.sent = 0
        self.received = 0
        self.newestStore = nil
        self.assembler = PartAssembler(limit: self.limit)
        self.lastHeard = now
        return self.frames(of: SatelliteCodec.encode(.handshake(handshake)))
    }

    /// Frames that carry a body; their sequence numbers are used up unless ``unsend(_:)`` follows.
    mutating func frames(of body: [UInt8]) -> [ZeroMQMessage] {
        let parts = PartAssembler.split(body)
        return parts.enumerated().map { index, part in
            self.sent += 1
            var header = WireHeader(
                incarnation: self.incarnation,
                handshakeNumber: self.handshakeNumber,
                sequence: self.sent,
                ack: self.received
            )
            header.protocolVersion = self.version
            if parts.count > 1 {
                header.part = UInt32(index + 1)
                header.parts = UInt32(parts.count)
            }
            return ZeroMQMessage(frames: [header.encoded(), part])
        }
    }

    /// Undoes the last frames, none of which was passed on.
    mutating func unsend(_ count: Int) { self.sent -= UInt64(count) }

    /// Takes a frame from the master.
    mutating func received(_ message: ZeroMQMessage, now: ContinuousClock.Instant) -> Outcome {
        guard message.frames.count == 2, let header = try? WireHeader(decoding: message.frames[0]) else {
            return .garbage("a frame that cannot be read")
        }
        guard header.incarnation == self.incarnation, header.handshakeNumber == self.handshakeNumber else {
            return .nothing
        }
        self.lastHeard = now
        // An ack of 0 marks a message outside of any session.
        guard header.ack > 0 else { return self.receivedUnsolicited(message.frames[1], now: now) }
        guard header.sequence > self.received else { return .garbage("frame \(header.sequence) for the second time") }
        guard header.sequence == self.received + 1 else {
            return .repeatHandshake(reason: "frames from the master were lost")
        }
        self.received = header.sequence
        let content: MasterFrameContent
        let store: StorePosition?
        do {
            guard let whole = try self.assembler.take(message.frames[1], part: header.part, of: header.parts) else {
                return .nothing
            }
            (content, store) = try MasterCodec.decodeWhole(whole, of: self.storeID)
        } catch {
            return .garbage("\(error)")
        }
        switch content {
        case .message(.welcome(let welcome)):
            guard case .awaitingWelcome = self.phase else { return .garbage("a welcome that was not asked for") }
            guard LinkProtocol.supportedVersions.contains(welcome.protocolVersion), welcome.heartbeat > .zero else {
                return .garbage("a welcome with version \(welcome.protocolVersion), heartbeat \(welcome.heartbeat)")
            }
            self.version = welcome.protocolVersion
            self.phase = .welcomed
            self.storeID = welcome.storeID
            self.newestStore = store
            return .welcomed(welcome)
        case .message(.heartbeat):
            self.noteStore(store)
            return .nothing
        case .message(let message):
            self.noteStore(store)
            return self.process(message, now: now)
        case .handshakeRequired: return .repeatHandshake(reason: "the master has forgotten this satellite")
        }
    }

    /// The master has reported a commit; before the Welcome that counts for nothing.
    private mutating func noteStore(_ store: StorePosition?) {
        if self.phase == .welcomed, let store { self.newestStore = store }
    }

    /// Whether the handshake must be repeated, because nothing has come of it.
    func mustRepeatHandshake(after interval: Duration, now: ContinuousClock.Instant) -> Bool {
        switch self.phase {
        case .awaitingWelcome(let time), .rejected(let time): now - time >= interval
        case .down, .composing, .welcomed: false
        }
    }

    private mutating func receivedUnsolicited(_ body: [UInt8], now: ContinuousClock.Instant) -> Outcome {
        switch try? MasterCodec.decode(body) {
        case .handshakeRequired: .repeatHandshake(reason: "the master has forgotten this satellite")
        case .message(let message): self.process(message, now: now)
        case nil: .garbage("a frame that cannot be read")
        }
    }

    private mutating func process(_ message: MasterMessage, now: ContinuousClock.Instant) -> Outcome {
        switch message {
        case .rejected(let rejection):
            self.phase = .rejected(now)
            return .rejected(rejection)
        case .superseded:
            self.phase = .rejected(now)
            return .superseded
        default:
            return self.phase == .welcomed ? .message(message) : .garbage("a message before the welcome")
        }
    }
}
