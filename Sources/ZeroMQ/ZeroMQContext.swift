// SPDX-License-Identifier: Apache-2.0

/// libzmq, with one thread of its own that alone touches the sockets.
///
/// Tasks and the thread meet in bounded queues only; the thread sleeps in `zmq_poll` until a socket, or an eventfd that
/// the queues signal, wakes it. libzmq's sockets are not thread-safe and would block the cooperative pool.
public final class ZeroMQContext: Sendable {
    private let commands: CommandQueue

    /// Starts the thread.
    ///
    /// - Throws: ``ZeroMQError`` with code `system` if the system gives no thread or descriptor.
    public init() throws {
        self.commands = try CommandQueue()
        try OwnerThread.start(self.commands)
    }

    deinit { self.commands.add(.stop(linger: .zero, done: nil)) }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Opens a socket, and binds or connects it.
    ///
    /// - Returns: The socket; its ``ZeroMQSocket/endpoint`` holds the port that the system chose for port `*`.
    /// - Throws: ``ZeroMQError`` with code `addressInUse`, `invalidEndpoint`, `invalidKey`, `closed` or `system`.
    @concurrent
    public func open(_ configuration: SocketConfiguration) async throws -> ZeroMQSocket {
        let mailbox = SocketMailbox(configuration, wake: self.commands.wake)
        let (id, endpoint) = try await withCheckedThrowingContinuation { continuation in
            self.commands.add(.open(configuration, mailbox, continuation))
        }
        return ZeroMQSocket(id: id, endpoint: endpoint, mailbox: mailbox, commands: self.commands)
    }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Closes all sockets and ends the thread; repeated calls return at once.
    ///
    /// - Parameter linger: How long libzmq may still try to pass on what it holds.
    @concurrent
    public func close(linger: Duration = .zero) async {
        await withCheckedContinuation { continuation in
            self.commands.add(.stop(linger: linger, done: continuation))
        }
    }
}

/// A socket as tasks see it: two bounded queues.
public final class ZeroMQSocket: Sendable {
    /// Where it is bound or connected to, as libzmq writes it.
    public let endpoint: String

    private let id: Int
    private let mailbox: SocketMailbox
    private let commands: CommandQueue

    init(id: Int, endpoint: String, mailbox: SocketMailbox, commands: CommandQueue) {
        self.id = id
        self.endpoint = endpoint
        self.mailbox = mailbox
        self.commands = commands
    }

    deinit { self.commands.add(.close(id: self.id, done: nil)) }

    /// The next thing that happened on the socket; `nil` once it is closed or the task cancelled.
    ///
    /// One reader at a time.
    public func next() async -> ZeroMQEvent? { await self.mailbox.incoming.next() }

    /// Puts messages in the outgoing queue, all or none, if there is room.
    ///
    /// They may still be lost: see ``ZeroMQEvent``.
    @discardableResult
    public func push(_ messages: [ZeroMQMessage]) -> BoundedQueue<ZeroMQMessage>.PushResult {
        self.mailbox.outgoing.push(contentsOf: messages)
    }

    /// Waits until the outgoing queue has room, the socket is closed or the task cancelled.
    public func room() async { await self.mailbox.outgoing.room() }

    /// Puts a message in the outgoing queue, waiting for room.
    ///
    /// - Returns: `false` if the socket is closed or the task cancelled.
    @discardableResult
    public func send(_ message: ZeroMQMessage) async -> Bool { await self.mailbox.outgoing.send(message) }

    /// Throws away what libzmq has not yet taken.
    public func discardOutgoing() { self.mailbox.outgoing.removeAll() }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Closes the socket; what waits to go out is lost.
    @concurrent
    public func close() async {
        await withCheckedContinuation { continuation in
            self.commands.add(.close(id: self.id, done: continuation))
        }
    }
}
