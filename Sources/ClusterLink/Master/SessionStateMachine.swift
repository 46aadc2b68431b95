// SPDX-License-Identifier: Apache-2.0

import MailingModel
import ZeroMQ

/// Which satellites are connected, and what each frame of theirs leads to.
///
/// A session stands for one handshake: (routing id, incarnation, its number). libzmq gives each TCP connection a routing id of
/// its own, and the frame's User-Id, which libzmq ties to the peer's CURVE key, says who speaks; nothing in the frame
/// does. Frames outside of a session get `handshakeRequired`, so that both sides find together after either has forgotten.
struct SessionStateMachine: Sendable {
    /// What the owner does, in order.
    enum Action: Sendable {
        case send(ZeroMQMessage)
        case event(MasterLinkEvent)
        case noteJournal(SatelliteSession, JournalPosition)
        case warn(Trouble, String)
    }

    /// A kind of trouble, for rate limits and counters.
    enum Trouble: String, Sendable {
        case garbage
        case keyNotAllowed
        case version
        case superseded
        case copiedJournal
        case gap
    }

    private struct Connection: Sendable {
        let session: SatelliteSession
        let routingID: [UInt8]
        let handshakeNumber: UInt32
        let version: UInt32
        var received: UInt64 = 1
        var sent: UInt64 = 0
        var lastHeard: ContinuousClock.Instant
        var assembler: PartAssembler
    }

    /// Incarnations remembered per satellite as superseded.
    private static let rememberedIncarnations = 16
    /// Connections without session that are asked to repeat the handshake, remembered so that each is asked once a second.
    private static let rememberedStrangers = 1_024

    private let supported: ClosedRange<UInt32>
    private let maximumMessageBytes: Int
    private var connections: [[UInt8]: Connection] = [:]
    private var routes: [UInt64: [UInt8]] = [:]
    private var superseded: [SatelliteID: [UInt64]] = [:]
    private var strangers: [[UInt8]: ContinuousClock.Instant] = [:]
    private var lastNumber: UInt64 = 0

    init(maximumMessageBytes: Int, supported: ClosedRange<UInt32> = LinkProtocol.supportedVersions) {
        self.maximumMessageBytes = maximumMessageBytes
        self.supported = supported
    }

    /// The sessions that stand.
    var sessions: [SatelliteSession] { self.connections.values.map(\.session) }

    /// The version that a session speaks, or `nil` if it has ended.
    func version(of session: SatelliteSession) -> UInt32? { self.connection(of: session)?.version }

    /// Takes a frame.
    ///
    /// `publicKey` is what libzmq vouches for, `record` what the live allow-list says of it.
    mutating func received(
        _ message: ZeroMQMessage,
        publicKey: [UInt8]?,
        record: SatelliteRecord?,
        now: ContinuousClock.Instant
    ) -> [Action] {
        let header = message.frames.first.flatMap { try? WireHeader(decoding: $0) }
        guard let publicKey, let record, record.enabled else {
            return self.reject(message.routingID, header, record: record)
        }
        guard let header, message.frames.count == 2 else {
            return [.warn(.garbage, "satellite \(record.serial) sent a frame that cannot be read")]
        }
        let body = message.frames[1]
        if let connection = self.connections[message.routingID], connection.session.publicKey == publicKey,
            connection.session.incarnation == header.incarnation, connection.handshakeNumber == header.handshakeNumber
        {
            return self.receivedInSession(connection, header, body, now: now)
        }
        if header.sequence == 1, header.parts == 0, case .handshake(let handshake)? = try? SatelliteCodec.decode(body) {
            return self.receivedHandshake(handshake, header, message.routingID, publicKey, record, now: now)
        }
        return self.askAgain(message.routingID, header, now: now)
    }

    /// Frames that carry a message to a session; its sequence numbers are used up.
    ///
    /// Restores nothing by itself: the owner calls ``unsend(_:_:)`` if there was no room for them.
    mutating func frames(of body: [UInt8], to session: SatelliteSession) -> [ZeroMQMessage]? {
        guard let route = self.routes[session.number], var connection = self.connections[route] else { return nil }
        let parts = PartAssembler.split(body)
        let messages = parts.enumerated().map { index, part in
            connection.sent += 1
            var header = WireHeader(
                incarnation: session.incarnation,
                handshakeNumber: connection.handshakeNumber,
                sequence: connection.sent,
                ack: connection.received
            )
            header.protocolVersion = connection.version
            if parts.count > 1 {
                header.part = UInt32(index + 1)
                header.parts = UInt32(parts.count)
            }
            return ZeroMQMessage(routingID: route, frames: [header.encoded(), part])
        }
        self.connections[route] = connection
        return messages
    }

    /// Undoes the last frames made for a session, none of which was passed on.
    mutating func unsend(_ count: Int, to session: SatelliteSession) {
        guard let route = self.routes[session.number] else { return }
        self.connections[route]?.sent -= UInt64(count)
    }

    /// The peer of a connection is gone or does not read.
    mutating func undeliverable(_ routingID: [UInt8], _ reason: UndeliverableReason) -> [Action] {
        guard let connection = self.connections[routingID] else { return [] }
        return [self.end(connection, reason == .unknownPeer ? .connectionLost : .doesNotRead)]
    }

    /// Ends the sessions that have not been heard of for too long.
    mutating func silent(before deadline: ContinuousClock.Instant) -> [Action] {
        self.connections.values.filter { $0.lastHeard < deadline }.map { self.end($0, .silent) }
    }

    /// Counts all sessions as heard of; the owner was not listening.
    mutating func forgiveSilence(now: ContinuousClock.Instant) {
        for route in self.connections.keys { self.connections[route]?.lastHeard = now }
    }

    /// Ends a session from this side; its last message has been sent before.
    mutating func drop(_ session: SatelliteSession, _ end: SessionEnd = .rejected) -> [Action] {
        guard let connection = self.connection(of: session) else { return [] }
        return [self.end(connection, end)]
    }

    private func connection(of session: SatelliteSession) -> Connection? {
        self.routes[session.number].flatMap { self.connections[$0] }
    }

    private mutating func reject(_ routingID: [UInt8], _ header: WireHeader?, record: SatelliteRecord?) -> [Action] {
        let rejection: Rejection
        if let record {
            rejection = Rejection(code: .disabled, text: "satellite \(record.serial) is disabled on the master")
        } else {
            rejection = Rejection(
                code: .keyNotAllowed,
                text: "the master has no satellite with this public key; add it, or pair it again"
            )
        }
        var actions: [Action] = []
        if let connection = self.connections[routingID] {
            if let frames = self.frames(of: MasterCodec.encode(.rejected(rejection)), to: connection.session) {
                actions += frames.map(Action.send)
            }
            actions.append(self.end(connection, .rejected))
        } else if let header {
            actions.append(.send(self.unsolicited(.message(.rejected(rejection)), routingID, header)))
        }
        actions.append(.warn(.keyNotAllowed, rejection.text))
        return actions
    }

    private mutating func receivedInSession(
        _ connection: Connection,
        _ header: WireHeader,
        _ body: [UInt8],
        now: ContinuousClock.Instant
    ) -> [Action] {
        let route = connection.routingID
        let name = connection.session.serial
        guard header.sequence > connection.received else {
            return [.warn(.garbage, "satellite \(name) repeated frame \(header.sequence)")]
        }
        guard header.sequence == connection.received + 1 else {
            let text =
                "frames of satellite \(name) are missing before \(header.sequence); it is asked to repeat the handshake"
            let again = self.unsolicited(.handshakeRequired, route, header)
            return [.warn(.gap, text), .send(again), self.end(connection, .connectionLost)]
        }
        self.connections[route]?.received = header.sequence
        self.connections[route]?.lastHeard = now
        let message: SatelliteMessage
        let journal: JournalPosition?
        do {
            guard header.protocolVersion == connection.version else {
                throw WireError("version \(header.protocolVersion) instead of \(connection.version)")
            }
            guard let whole = try self.assemble(route, header, body) else { return [] }
            (message, journal) = try SatelliteCodec.decodeWhole(whole)
        } catch {
            return [.warn(.garbage, "satellite \(name) sent \(error); the frame is dropped")]
        }
        switch message {
        case .handshake:
            return [.warn(.garbage, "satellite \(name) sent a handshake within a session; the frame is dropped")]
        case .goodbye: return [self.end(connection, .goodbye)]
        default:
            let note = journal.map { [Action.noteJournal(connection.session, $0)] } ?? []
            return note + [.event(.message(session: connection.session, message))]
        }
    }

    private mutating func assemble(
        _ route: [UInt8],
        _ header: WireHeader,
        _ body: [UInt8]
    ) throws(WireError) -> [UInt8]? {
        guard var assembler = self.connections[route]?.assembler else { return nil }
        defer { self.connections[route]?.assembler = assembler }
        return try assembler.take(body, part: header.part, of: header.parts)
    }

    private mutating func receivedHandshake(
        _ handshake: Handshake,
        _ header: WireHeader,
        _ routingID: [UInt8],
        _ publicKey: [UInt8],
        _ record: SatelliteRecord,
        now: ContinuousClock.Instant
    ) -> [Action] {
        guard handshake.incarnation == header.incarnation else {
            return [.warn(.garbage, "satellite \(record.serial) gave two incarnations in one handshake")]
        }
        guard handshake.protocolVersions.overlaps(self.supported) else {
            let text =
                "satellite \(record.serial) (\(handshake.softwareVersion)) speaks link versions \(handshake.protocolVersions), the "
                + "master \(self.supported); upgrade the older of the two"
            let rejection = Rejection(code: .unsupportedVersion, text: text)
            return [.send(self.unsolicited(.message(.rejected(rejection)), routingID, header)), .warn(.version, text)]
        }
        guard record.hasSerial(handshake.serial) else {
            let text =
                "a satellite that calls itself \(handshake.serial) has the public key of satellite \(record.serial): give it a "
                + "key of its own, or the serial under which the master knows it"
            let rejection = Rejection(code: .keyNotAllowed, text: text)
            return [
                .send(self.unsolicited(.message(.rejected(rejection)), routingID, header)), .warn(.keyNotAllowed, text),
            ]
        }
        guard self.superseded[record.id]?.contains(handshake.incarnation) != true else {
            return [.send(self.unsolicited(.message(.superseded), routingID, header))]
        }
        let others = self.connections.values.filter { $0.session.satellite == record.id }
        // A process that goes on with the journal itself comes with the same files; its former session is then over.
        if handshake.journalIsCopy, others.contains(where: { $0.session.incarnation != handshake.incarnation }) {
            let text =
                "satellite \(record.serial) is running already, and a second process came with a copy of its journal; the "
                + "second is rejected: stop it, and give every satellite a key and a data directory of its own"
            let rejection = Rejection(code: .copiedJournal, text: text)
            return [
                .send(self.unsolicited(.message(.rejected(rejection)), routingID, header)), .warn(.copiedJournal, text),
            ]
        }
        var actions: [Action] = []
        for older in others {
            actions += self.giveWay(older, to: handshake.incarnation)
        }
        // The routing id's former session, if a rotated key came over the same connection: impossible, but harmless.
        if let former = self.connections[routingID] { actions.append(self.end(former, .handshakeRepeated)) }
        self.lastNumber += 1
        let session = SatelliteSession(
            satellite: record.id,
            serial: record.serial,
            publicKey: publicKey,
            incarnation: handshake.incarnation,
            number: self.lastNumber
        )
        self.connections[routingID] = Connection(
            session: session,
            routingID: routingID,
            handshakeNumber: header.handshakeNumber,
            version: min(handshake.protocolVersions.upperBound, self.supported.upperBound),
            lastHeard: now,
            assembler: PartAssembler(limit: self.maximumMessageBytes)
        )
        self.routes[session.number] = routingID
        self.strangers[routingID] = nil
        return actions + [.event(.connected(session: session, handshake))]
    }

    private mutating func giveWay(_ older: Connection, to incarnation: UInt64) -> [Action] {
        guard older.session.incarnation != incarnation else { return [self.end(older, .handshakeRepeated)] }
        var actions = (self.frames(of: MasterCodec.encode(.superseded), to: older.session) ?? []).map(Action.send)
        var incarnations = self.superseded[older.session.satellite] ?? []
        incarnations.append(older.session.incarnation)
        self.superseded[older.session.satellite] = incarnations.suffix(Self.rememberedIncarnations)
        actions.append(
            .warn(.superseded, "satellite \(older.session.serial) has a newer process; the older is told to stop")
        )
        return actions + [self.end(older, .superseded)]
    }

    private mutating func askAgain(_ routingID: [UInt8], _ header: WireHeader, now: ContinuousClock.Instant) -> [Action]
    {
        // A frame of an earlier handshake that was still on its way is just old.
        if let connection = self.connections[routingID], connection.session.incarnation == header.incarnation,
            header.handshakeNumber < connection.handshakeNumber
        {
            return []
        }
        if let asked = self.strangers[routingID], now - asked < .seconds(1) { return [] }
        if self.strangers.count >= Self.rememberedStrangers { self.strangers.removeAll() }
        self.strangers[routingID] = now
        return [.send(self.unsolicited(.handshakeRequired, routingID, header))]
    }

    /// A frame outside of any session.
    private func unsolicited(
        _ content: MasterFrameContent,
        _ routingID: [UInt8],
        _ answered: WireHeader
    ) -> ZeroMQMessage {
        // The receiver checks no sequence on what is not of a session.
        var header = WireHeader(
            incarnation: answered.incarnation,
            handshakeNumber: answered.handshakeNumber,
            sequence: 1,
            ack: 0
        )
        header.protocolVersion = answered.protocolVersion
        return ZeroMQMessage(routingID: routingID, frames: [header.encoded(), MasterCodec.encode(content)])
    }

    private mutating func end(_ connection: Connection, _ end: SessionEnd) -> Action {
        self.connections[connection.routingID] = nil
        self.routes[connection.session.number] = nil
        return .event(.disconnected(session: connection.session, end))
    }
}
