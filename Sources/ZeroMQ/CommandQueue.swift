// SPDX-License-Identifier: Apache-2.0

import CZeroMQ
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What tasks ask of the owner thread.
enum Command: Sendable {
    case open(SocketConfiguration, SocketMailbox, CheckedContinuation<(Int, String), any Error>)
    case close(id: Int, done: CheckedContinuation<Void, Never>?)
    case stop(linger: Duration, done: CheckedContinuation<Void, Never>?)
}

/// The way from tasks to the owner thread; as short as the number of sockets opened and closed.
final class CommandQueue: Sendable {
    private struct State {
        var waiting: [Command] = []
        var isStopped = false
    }

    let wake: Wake
    private let state = Mutex(State())

    init() throws { self.wake = try Wake() }

    /// Adds a command; after the thread's end it is answered at once.
    func add(_ command: Command) {
        let isStopped = self.state.withLock { state in
            if !state.isStopped { state.waiting.append(command) }
            return state.isStopped
        }
        guard isStopped else { return self.wake.signal() }
        Self.answerStopped(command)
    }

    func takeAll() -> [Command] {
        self.state.withLock { state in
            defer { state.waiting.removeAll() }
            return state.waiting
        }
    }

    /// Takes no more commands and answers those that came too late.
    func stop() {
        let late = self.state.withLock { state in
            state.isStopped = true
            defer { state.waiting.removeAll() }
            return state.waiting
        }
        for command in late { Self.answerStopped(command) }
    }

    private static func answerStopped(_ command: Command) {
        switch command {
        case .open(_, let mailbox, let continuation):
            mailbox.finish()
            continuation.resume(throwing: ZeroMQError(.closed, "opening a socket: the ZeroMQ context is closed"))
        case .close(_, let done), .stop(_, let done): done?.resume()
        }
    }
}

/// The two queues of one socket.
final class SocketMailbox: Sendable {
    let outgoing: BoundedQueue<ZeroMQMessage>
    let incoming: BoundedQueue<ZeroMQEvent>

    init(_ configuration: SocketConfiguration, wake: Wake) {
        self.outgoing = BoundedQueue(
            capacity: configuration.outgoingMessages,
            costLimit: configuration.outgoingBytes,
            cost: \.cost,
            onFilled: { wake.signal() }
        )
        self.incoming = BoundedQueue(
            capacity: configuration.incomingMessages,
            costLimit: configuration.incomingBytes,
            cost: { event in
                if case .message(let message) = event { message.cost } else { 64 }
            },
            onRoom: { wake.signal() }
        )
    }

    func finish() {
        self.outgoing.finish()
        self.outgoing.removeAll()
        self.incoming.finish()
    }
}

/// An eventfd: any thread signals it, the owner thread polls it beside its sockets.
final class Wake: Sendable {
    let descriptor: Int32

    init() throws {
        self.descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard self.descriptor >= 0 else { throw ZeroMQError.last("opening an eventfd", as: .system) }
    }

    deinit { close(self.descriptor) }

    /// Makes the next poll return; signals add up to one.
    func signal() { _ = eventfd_write(self.descriptor, 1) }

    /// Forgets the signals so far.
    func clear() {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(self.descriptor, &count)
    }
}
