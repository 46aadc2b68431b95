// SPDX-License-Identifier: Apache-2.0

public import Logging
public import MailingModel
import Synchronization
import ZeroMQ

/// The satellite's end of the cluster link.
///
/// It connects to every configured master with a socket each, sends a handshake over each connection, and follows the
/// master that says Welcome with the highest term. It reconnects and repeats the handshake by itself.
public final class SatelliteLink: Sendable {
    /// What happens, in order; for one reader.
    ///
    /// While events wait, the link reads no further.
    public let events: LinkEvents<SatelliteLinkEvent>

    private struct State {
        var handshakes: [HandshakeStateMachine]
        var control: [ZeroMQSocket] = []
        var content: [BlobFetcher] = []
        /// The master that is followed, by its index in the configuration.
        var active: Int?
        var welcome: Welcome?
        /// Counts the times that a master was followed.
        var connection: UInt64 = 0
        var isStalled = false
        var hasSaidGoodbye = false
        var isStopped = false
    }

    private let configuration: SatelliteLinkConfiguration
    private let handshake: @Sendable () async -> Handshake
    private let load: @Sendable () async -> SatelliteLoad
    private let memory: Memory
    private let troubles: TroubleLog
    private let queue: BoundedQueue<SatelliteLinkEvent>
    private let state: Mutex<State>

    /// What goes beside every message, and what came beside one.
    public struct Memory: Sendable {
        /// How far the satellite's journal is written.
        public var journal: @Sendable () -> JournalPosition?
        /// Notes the newest commit that the master has reported; called before the message that came with it is passed on.
        public var noteStore: @Sendable (StorePosition) -> Void

        /// Composes a memory; without arguments nothing is sent and nothing is noted.
        public init(
            journal: @escaping @Sendable () -> JournalPosition? = { nil },
            noteStore: @escaping @Sendable (StorePosition) -> Void = { _ in }
        ) {
            self.journal = journal
            self.noteStore = noteStore
        }
    }

    /// Prepares a link; ``run()`` connects.
    ///
    /// - Parameters:
    ///   - configuration: Masters, keys and bounds.
    ///   - handshake: Called for each handshake, so that it lists what is held then. Its incarnation must stay the same.
    ///   - load: Asked at each heartbeat.
    ///   - memory: Read and sent with every message.
    ///   - logger: Takes trouble, at a bounded rate.
    public init(
        _ configuration: SatelliteLinkConfiguration,
        handshake: @escaping @Sendable () async -> Handshake,
        load: @escaping @Sendable () async -> SatelliteLoad,
        memory: Memory = Memory(),
        logger: Logger
    ) {
        self.memory = memory
        self.configuration = configuration
        self.handshake = handshake
        self.load = load
        self.troubles = TroubleLog(logger, every: configuration.reportInterval)
        self.queue = BoundedQueue(capacity: configuration.waitingEvents)
        self.events = LinkEvents(queue: self.queue)
        let handshake = HandshakeStateMachine(maximumMessageBytes: configuration.maximumMessageBytes)
        self.state = Mutex(State(handshakes: configuration.masters.map { _ in handshake }))
    }

    /// Connects, and stays connected until the task is cancelled; then says goodbye and passes on what is queued.
    ///
    /// Runs once.
    ///
    /// - Throws: ``ClusterLinkError`` with code `superseded` if another process uses the same key; `ZeroMQError` if an
    ///   address or key cannot be read.
    public func run() async throws {
        defer { self.queue.finish() }
        let context = try ZeroMQContext()
        do {
            try await self.open(context)
        } catch {
            self.state.withLock { $0.isStopped = true }
            await context.close()
            throw error
        }
        let isSuperseded = await withTaskGroup(of: Bool.self) { group in
            let (control, content) = self.state.withLock { ($0.control, $0.content) }
            for (index, socket) in control.enumerated() {
                group.addTask { await self.receive(index, socket) }
            }
            for fetcher in content {
                group.addTask {
                    await fetcher.run()
                    return false
                }
            }
            group.addTask {
                await self.beat()
                return false
            }
            // All go on until they are cancelled, except that one of them may be told to stop.
            while let isSuperseded = await group.next() {
                guard isSuperseded else { continue }
                group.cancelAll()
                return true
            }
            return false
        }
        self.sayGoodbye()
        self.state.withLock { state in
            state.isStopped = true
            state.active = nil
        }
        await context.close(linger: self.configuration.drain)
        guard !isSuperseded else {
            throw ClusterLinkError(
                .superseded,
                "another process with this satellite's key has connected; this one stops"
            )
        }
    }

    /// Sends a message to the master that is followed, waiting while the outgoing queue is full.
    ///
    /// Without a master it is dropped: what must arrive is repeated by its owner until it is acknowledged, and what is
    /// held is listed in the next handshake. A long message travels in parts.
    ///
    /// - Parameters:
    ///   - message: What to say.
    ///   - connection: The only connection that may carry it, as ``SatelliteLinkEvent/connected(_:connection:)`` named
    ///     it; whoever has not yet read that it was lost would otherwise speak over the next one out of turn. `nil` is any.
    /// - Returns: Whether it was queued, and if not, why.
    @discardableResult
    public func send(_ message: SatelliteMessage, over connection: UInt64? = nil) async -> SendResult {
        let body = SatelliteCodec.encode(message, journal: self.memory.journal())
        guard body.count <= self.configuration.maximumMessageBytes else {
            self.troubles.logger.error(
                "message to the master exceeds the link's bound and is dropped",
                metadata: ["bytes": "\(body.count)"]
            )
            return .tooLarge
        }
        if message == .goodbye { self.state.withLock { $0.hasSaidGoodbye = true } }
        while true {
            let (result, socket) = self.push(body, over: connection)
            switch result {
            case nil, .finished: return .notConnected
            case .pushed: return .queued
            case .full:
                await socket?.room()
                if Task.isCancelled { return .notConnected }
            }
        }
    }

    /// Fetches a blob from the master that is followed, in pieces, and checks its hash.
    ///
    /// - Throws: ``ClusterLinkError`` with code `notConnected` or `timeout` (try again), `noSuchBlob`, `corruptBlob`,
    ///   `blobTooLarge` or `malformed`.
    public func blob(_ hash: BlobHash) async throws -> [UInt8] {
        let fetcher = self.state.withLock { state in state.active.map { state.content[$0] } }
        guard let fetcher else {
            throw ClusterLinkError(.notConnected, "no master is connected to fetch blob \(hash) from")
        }
        return try await fetcher.blob(hash)
    }

    /// The Welcome of the master that is followed, or `nil`.
    public var welcome: Welcome? { self.state.withLock { $0.active == nil ? nil : $0.welcome } }

    /// How often each kind of trouble has happened since the start; keys are fit for metric labels.
    public var troubleCounts: [String: UInt64] { self.troubles.counts }

    private func open(_ context: ZeroMQContext) async throws {
        for master in self.configuration.masters {
            let security = SocketConfiguration.Security.curveClient(
                keys: self.configuration.keys,
                serverKey: master.publicKey
            )
            func dealer(_ address: String) -> SocketConfiguration {
                var socket = SocketConfiguration(kind: .dealer(connect: address), security: security)
                socket.outgoingMessages = self.configuration.outgoingMessages
                socket.outgoingBytes = self.configuration.outgoingBytes
                socket.reconnectInterval = self.configuration.reconnectInterval
                socket.reconnectCeiling = self.configuration.reconnectCeiling
                socket.refusalRetry = self.configuration.handshakeInterval
                socket.failureReportInterval = self.configuration.reportInterval
                return socket
            }
            let control = try await context.open(dealer(master.control))
            let content = try await context.open(dealer(master.content))
            let fetcher = BlobFetcher(socket: content, self.configuration, self.troubles)
            self.state.withLock { state in
                state.control.append(control)
                state.content.append(fetcher)
            }
        }
    }

    private func push(
        _ body: [UInt8],
        over connection: UInt64? = nil
    ) -> (BoundedQueue<ZeroMQMessage>.PushResult?, ZeroMQSocket?) {
        self.state.withLock { state in
            guard let index = state.active, !state.isStopped, connection ?? state.connection == state.connection else {
                return (nil, nil)
            }
            let frames = state.handshakes[index].frames(of: body)
            let result = state.control[index].push(frames)
            if result != .pushed { state.handshakes[index].unsend(frames.count) }
            return (result, state.control[index])
        }
    }

    private func sayGoodbye() {
        guard !self.state.withLock({ $0.hasSaidGoodbye }) else { return }
        _ = self.push(SatelliteCodec.encode(.goodbye))
    }

    /// - Returns: Whether this process is superseded.
    private func receive(_ index: Int, _ socket: ZeroMQSocket) async -> Bool {
        let address = self.configuration.masters[index].control
        while let event = await socket.next() {
            switch event {
            case .connected:
                socket.discardOutgoing()
                await self.startHandshake(index, "the connection to the master was made anew")
            case .disconnected:
                self.state.withLock { $0.handshakes[index].disconnected() }
                await self.leave(index, "the connection to the master at \(address) was lost")
            case .message(let message):
                let outcome = self.state.withLock { $0.handshakes[index].received(message, now: .now) }
                self.noteStore(index)
                if await self.perform(outcome, index) { return true }
            case .failure(let failure, let address, _):
                self.troubles.warn("connect \(index)", "cannot connect to the master at \(address): \(failure)")
                await self.emit(.failed(endpoint: address, reason: "\(failure)"))
            case .undeliverable: break
            }
        }
        return false
    }

    /// Passes on what the master that is followed has reported of its store.
    private func noteStore(_ index: Int) {
        let store = self.state.withLock { $0.active == index ? $0.handshakes[index].newestStore : nil }
        if let store { self.memory.noteStore(store) }
    }

    private func perform(_ outcome: HandshakeStateMachine.Outcome, _ index: Int) async -> Bool {
        let address = self.configuration.masters[index].control
        switch outcome {
        case .nothing: break
        case .welcomed(let welcome): await self.follow(index, welcome)
        case .message(let message):
            if self.state.withLock({ $0.active == index }) { await self.emit(.message(message)) }
        case .rejected(let rejection):
            self.troubles.warn("rejected", "the master at \(address) rejects this satellite: \(rejection.text)")
            await self.leave(index, "the master at \(address) rejects this satellite: \(rejection.text)")
            await self.emit(.message(.rejected(rejection)))
        case .superseded:
            await self.leave(index, "another process with this satellite's key has connected")
            await self.emit(.message(.superseded))
            return true
        case .repeatHandshake(let reason): await self.startHandshake(index, reason)
        case .garbage(let text): self.troubles.warn("garbage", "the master at \(address) sent \(text); it is dropped")
        }
        return false
    }

    /// Starts a handshake, leaving first if this master was followed.
    private func startHandshake(_ index: Int, _ reason: String) async {
        self.state.withLock { $0.handshakes[index].prepareHandshake() }
        await self.leave(index, reason)
        let handshake = await self.handshake()
        self.state.withLock { state in
            guard !state.isStopped, let frames = state.handshakes[index].startHandshake(handshake, now: .now) else {
                return
            }
            // Where there is no room, the handshake is repeated when nothing has come of it.
            state.control[index].push(frames)
        }
    }

    private func follow(_ index: Int, _ welcome: Welcome) async {
        let (former, connection): (Int?, UInt64) = self.state.withLock { state in
            if let active = state.active, active != index, let other = state.welcome, other.term >= welcome.term {
                return (nil, state.connection)  // A master of an older term; the one followed stays.
            }
            defer {
                state.active = index
                state.welcome = welcome
            }
            state.connection += 1
            return (state.active ?? index, state.connection)
        }
        guard let former else { return }
        self.noteStore(index)
        if former != index { await self.emit(.disconnected(reason: "a master with a higher term was found")) }
        await self.emit(.connected(welcome, connection: connection))
    }

    /// Stops following a master, if it is the one followed.
    private func leave(_ index: Int, _ reason: String) async {
        let wasActive = self.state.withLock { state in
            guard state.active == index else { return false }
            state.active = nil
            return true
        }
        if wasActive { await self.emit(.disconnected(reason: reason)) }
    }

    /// Sends heartbeats, notices silence, repeats handshakes.
    private func beat() async {
        while true {
            let heartbeat = self.welcome?.heartbeat
            let interval = min(heartbeat ?? .seconds(1), self.configuration.handshakeInterval)
            let before = ContinuousClock.now
            guard (try? await Task.sleep(for: interval)) != nil else { return }
            let now = ContinuousClock.now
            // Whoever has slept too long has not listened, and cannot take the master's silence for a loss.
            let isLate = now - before > interval * 2
            let (silent, due) = self.state.withLock { state -> (Int?, [Int]) in
                guard !state.isStalled, !isLate else { return (nil, []) }
                let due = state.handshakes.indices.filter {
                    state.handshakes[$0].mustRepeatHandshake(after: self.configuration.handshakeInterval, now: now)
                }
                guard let active = state.active, let welcome = state.welcome else { return (nil, due) }
                let silence = now - state.handshakes[active].lastHeard
                return (silence > welcome.heartbeat * LinkProtocol.missedHeartbeats ? active : nil, due)
            }
            for index in due { await self.startHandshake(index, "") }
            if let silent {
                await self.startHandshake(
                    silent,
                    "the master at \(self.configuration.masters[silent].control) is silent"
                )
            } else if heartbeat != nil {
                let body = SatelliteCodec.encode(
                    .heartbeat(await self.load()),
                    journal: self.memory.journal()
                )
                // Where there is no room, other frames are waiting, which are signs of life as well.
                _ = self.push(body)
            }
        }
    }

    private func emit(_ event: SatelliteLinkEvent) async {
        guard self.queue.push(event) == .full else { return }
        self.state.withLock { $0.isStalled = true }
        _ = await self.queue.send(event)
        self.state.withLock { $0.isStalled = false }
    }
}
