// SPDX-License-Identifier: Apache-2.0

public import Logging
import MailingModel
import Synchronization
import ZeroMQ

/// The master's end of the cluster link.
///
/// Sockets are bound by `init`, so that a port in use fails the start; ``run()`` serves them. Every frame's key is
/// checked against the live allow-list, so that a revoked satellite is out with its next frame.
public final class MasterLink: Sendable {
    /// What happens, in order; for one reader.
    ///
    /// While events wait, the link reads no further.
    public let events: LinkEvents<MasterLinkEvent>
    /// Where satellites connect for control messages; holds the real port.
    public var controlEndpoint: String { self.control.endpoint }
    /// Where satellites fetch blobs; holds the real port.
    public var contentEndpoint: String { self.content.endpoint }
    /// Where satellites enrol, if they may; holds the real port.
    public var enrolmentEndpoint: String? { self.enrolment?.endpoint }

    private struct State {
        var machine: SessionStateMachine
        /// The reader of events is behind, so that silence proves nothing.
        var isStalled = false
        var isStopped = false
    }

    private let configuration: MasterLinkConfiguration
    private let decisions: MasterLinkDecisions
    private let troubles: TroubleLog
    private let context: ZeroMQContext
    private let control: ZeroMQSocket
    private let content: ZeroMQSocket
    private let enrolment: ZeroMQSocket?
    private let queue: BoundedQueue<MasterLinkEvent>
    private let state: Mutex<State>

    /// Binds the sockets.
    ///
    /// - Throws: `ZeroMQError` if an address is in use or cannot be read.
    public init(
        _ configuration: MasterLinkConfiguration,
        decisions: MasterLinkDecisions,
        logger: Logger
    ) async throws {
        self.configuration = configuration
        self.decisions = decisions
        self.troubles = TroubleLog(logger, every: configuration.reportInterval)
        self.queue = BoundedQueue(capacity: configuration.waitingEvents)
        self.events = LinkEvents(queue: self.queue)
        self.state = Mutex(
            State(machine: SessionStateMachine(maximumMessageBytes: configuration.maximumMessageBytes))
        )
        self.context = try ZeroMQContext()
        let admit: @Sendable ([UInt8]) -> String? = { key in
            guard decisions.record(key)?.enabled == true else { return nil }
            return try? Z85.encode(key: key)  // Fails for no key that libzmq accepts.
        }
        func router(_ address: String, _ security: SocketConfiguration.Security) -> SocketConfiguration {
            var socket = SocketConfiguration(kind: .router(bind: address), security: security)
            socket.heartbeat = configuration.heartbeat
            socket.outgoingMessages = configuration.outgoingMessages
            socket.outgoingBytes = configuration.outgoingBytes
            socket.failureReportInterval = configuration.reportInterval
            socket.maximumConnections = configuration.maximumConnections
            return socket
        }
        let security = SocketConfiguration.Security.curveServer(keys: configuration.keys, admit: admit)
        self.control = try await self.context.open(router(configuration.control, security))
        var contentSocket = router(configuration.content, security)
        contentSocket.maximumFrameBytes = 4_096
        self.content = try await self.context.open(contentSocket)
        if let address = configuration.enrolment {
            // No CURVE here: the exchange is what brings the keys. See `EnrolmentTranscript`.
            var socket = router(address, .none)
            socket.maximumFrameBytes = 4_096
            socket.incomingMessages = configuration.pendingEnrolments
            socket.maximumConnections = configuration.maximumConnections
            self.enrolment = try await self.context.open(socket)
        } else {
            self.enrolment = nil
        }
    }

    /// Serves satellites until the task is cancelled; then passes on what is queued, for a bounded time, and closes.
    public func run() async throws {
        await withTaskGroup { group in
            group.addTask { await self.receive() }
            group.addTask { await self.beat() }
            group.addTask {
                await BlobServer(socket: self.content, self.decisions, self.troubles, self.configuration).run()
            }
            if let socket = self.enrolment {
                group.addTask {
                    await EnrolmentServer(socket: socket, self.decisions, self.troubles, self.configuration).run()
                }
            }
        }
        self.state.withLock { $0.isStopped = true }
        self.queue.finish()
        await self.context.close(linger: self.configuration.drain)
    }

    /// Sends a message to a satellite, waiting while the outgoing queue is full.
    ///
    /// A long message travels in parts. `.welcome` gets its version and heartbeat here; after `.rejected` and
    /// `.superseded` the session ends.
    @discardableResult
    public func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult {
        var message = message
        if case .welcome(var welcome) = message {
            guard let version = self.state.withLock({ $0.machine.version(of: session) }) else { return .notConnected }
            welcome.protocolVersion = version
            welcome.heartbeat = self.configuration.heartbeat
            message = .welcome(welcome)
        }
        let body = MasterCodec.encode(message, store: self.decisions.store())
        guard body.count <= self.configuration.maximumMessageBytes else {
            self.troubles.logger.error(
                "message to satellite exceeds the link's bound and is dropped",
                metadata: ["satellite": "\(session.serial)", "bytes": "\(body.count)"]
            )
            return .tooLarge
        }
        while true {
            switch self.push(body, to: session) {
            case nil, .finished: return .notConnected
            case .pushed:
                switch message {
                case .rejected: await self.drop(session, .rejected)
                case .superseded: await self.drop(session, .superseded)
                default: break
                }
                return .queued
            case .full:
                await self.control.room()
                if Task.isCancelled { return .notConnected }
            }
        }
    }

    /// Notifies the satellite that has this key that it is no longer allowed, and ends its session.
    ///
    /// For a key that has just been taken off the allow-list; without this call its next frame has the same effect.
    public func drop(_ publicKey: [UInt8]) async {
        let sessions = self.state.withLock { $0.machine.sessions.filter { $0.publicKey == publicKey } }
        for session in sessions {
            let rejection = Rejection(code: .keyNotAllowed, text: "the satellite's public key is no longer allowed")
            await self.send(.rejected(rejection), to: session)
        }
    }

    /// Ends a session without notice; the satellite will be asked to repeat the handshake after its next frame.
    public func disconnect(_ session: SatelliteSession) async { await self.drop(session, .connectionLost) }

    /// How often each kind of trouble has happened since the start; keys are fit for metric labels.
    public var troubleCounts: [String: UInt64] { self.troubles.counts }

    /// `nil` if there is no such session.
    private func push(_ body: [UInt8], to session: SatelliteSession) -> BoundedQueue<ZeroMQMessage>.PushResult? {
        self.state.withLock { state in
            guard !state.isStopped, let frames = state.machine.frames(of: body, to: session) else { return nil }
            let result = self.control.push(frames)
            if result != .pushed { state.machine.unsend(frames.count, to: session) }
            return result
        }
    }

    private func drop(_ session: SatelliteSession, _ end: SessionEnd) async {
        await self.perform(self.state.withLock { $0.machine.drop(session, end) })
    }

    private func receive() async {
        while let event = await self.control.next() {
            switch event {
            case .message(let message):
                let key = message.userID.flatMap { try? Z85.decode(key: $0) }
                let record = key.flatMap(self.decisions.record)
                await self.perform(
                    self.state.withLock {
                        $0.machine.received(message, publicKey: key, record: record, now: .now)
                    }
                )
            case .undeliverable(let routingID, let reason):
                await self.perform(self.state.withLock { $0.machine.undeliverable(routingID, reason) })
            case .failure(let failure, let address, _):
                let text = "a satellite cannot connect from \(address): \(failure)"
                self.troubles.warn("handshake", text)
                await self.emit(.rejected(text))
            case .connected, .disconnected: break
            }
        }
    }

    /// Sends heartbeats and ends silent sessions.
    private func beat() async {
        let interval = self.configuration.heartbeat
        var last = ContinuousClock.now
        while (try? await Task.sleep(for: interval)) != nil {
            let now = ContinuousClock.now
            // Whoever has slept too long has not listened, and cannot take silence for a loss.
            let isLate = now - last > interval * 2
            last = now
            let (sessions, actions) = self.state.withLock { state in
                let deadline = now - interval * LinkProtocol.missedHeartbeats
                if isLate { state.machine.forgiveSilence(now: now) }
                let actions = state.isStalled ? [] : state.machine.silent(before: deadline)
                return (state.machine.sessions, actions)
            }
            await self.perform(actions)
            // Where there is no room, other frames are waiting, which are signs of life as well.
            let body = MasterCodec.encode(.heartbeat, store: self.decisions.store())
            for session in sessions { _ = self.push(body, to: session) }
        }
    }

    private func perform(_ actions: [SessionStateMachine.Action]) async {
        for action in actions {
            switch action {
            case .send(let message): _ = await self.control.send(message)
            case .event(let event): await self.emit(event)
            case .noteJournal(let session, let position): self.decisions.noteJournal(session, position)
            case .warn(let trouble, let text):
                let isLogged = self.troubles.warn(trouble.rawValue, text)
                if isLogged, trouble == .keyNotAllowed || trouble == .version { await self.emit(.rejected(text)) }
            }
        }
    }

    private func emit(_ event: MasterLinkEvent) async {
        guard self.queue.push(event) == .full else { return }
        self.state.withLock { $0.isStalled = true }
        _ = await self.queue.send(event)
        self.state.withLock { state in
            state.isStalled = false
            state.machine.forgiveSilence(now: .now)
        }
    }
}
