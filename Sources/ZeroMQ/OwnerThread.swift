// SPDX-License-Identifier: Apache-2.0

import CZeroMQ
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The thread that owns a libzmq context and all its sockets.
///
/// Everything in here lives and dies on that thread; only queues reach out of it, so that nothing unsafe is shared.
///
/// Safe, since the pointer is private, valid from init to `end(linger:)`, and the struct never leaves its thread.
@safe struct OwnerThread: ~Copyable {
    /// Messages moved per socket and turn, so that no socket starves another.
    private static let turn = 256

    private let commands: CommandQueue
    private let context: UnsafeMutableRawPointer
    private var sockets: [OwnedSocket] = []
    private var authenticator: Authenticator?
    private var lastID = 0

    static func start(_ commands: CommandQueue) throws {
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(commands).toOpaque()
        let result = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let commands = unsafe Unmanaged<CommandQueue>.fromOpaque(argument).takeRetainedValue()
                if var owner = OwnerThread(commands) { owner.run() }
                commands.stop()
                return nil
            },
            argument
        )
        guard result == 0 else {
            unsafe Unmanaged<CommandQueue>.fromOpaque(argument).release()
            throw ZeroMQError(.system, "starting the ZeroMQ thread: error \(result)")
        }
        pthread_detach(thread)
    }

    private init?(_ commands: CommandQueue) {
        guard let context = unsafe zmq_ctx_new() else { return nil }
        self.commands = commands
        unsafe self.context = context
    }

    private mutating func run() {
        while true {
            self.commands.wake.clear()
            for command in self.commands.takeAll() {
                switch command {
                case .open(let configuration, let mailbox, let continuation):
                    do {
                        continuation.resume(returning: try self.open(configuration, mailbox))
                    } catch {
                        mailbox.finish()
                        continuation.resume(throwing: error)
                    }
                case .close(let id, let done):
                    if let index = self.sockets.firstIndex(where: { $0.id == id }) {
                        self.sockets.remove(at: index).close(linger: .zero)
                        self.authenticator?.remove(domain: "\(id)")
                    }
                    done?.resume()
                case .stop(let linger, let done):
                    self.end(linger: linger)
                    self.commands.stop()
                    done?.resume()
                    return
                }
            }
            var isBusy = false
            let now = ContinuousClock.now
            for socket in self.sockets {
                socket.retryIfDue(now)
                if socket.sendWaiting(limit: Self.turn) { isBusy = true }
            }
            self.wait(isBusy: isBusy, now: now)
            self.authenticator?.answerWaiting()
            for socket in self.sockets {
                socket.readMonitor()
                socket.receiveWaiting(limit: Self.turn)
            }
        }
    }

    private mutating func open(_ configuration: SocketConfiguration, _ mailbox: SocketMailbox) throws -> (Int, String) {
        self.lastID += 1
        if case .curveServer(_, let admit) = configuration.security {
            if self.authenticator == nil { self.authenticator = try unsafe Authenticator(context: self.context) }
            self.authenticator?.add(domain: "\(self.lastID)", mailbox: mailbox, configuration, admit: admit)
        }
        do {
            let socket = try unsafe OwnedSocket(id: self.lastID, context: self.context, configuration, mailbox)
            self.sockets.append(socket)
            return (self.lastID, socket.endpoint)
        } catch {
            self.authenticator?.remove(domain: "\(self.lastID)")
            throw error
        }
    }

    /// Sleeps until something can be done.
    private func wait(isBusy: Bool, now: ContinuousClock.Instant) {
        var items: [zmq_pollitem_t] = unsafe []
        unsafe items.append(
            zmq_pollitem_t(socket: nil, fd: self.commands.wake.descriptor, events: Int16(ZMQ_POLLIN), revents: 0)
        )
        if let authenticator = self.authenticator { unsafe items.append(authenticator.pollItem) }
        var timeout: Duration?
        for socket in self.sockets {
            unsafe items.append(contentsOf: socket.pollItems)
            if let due = socket.retryDue { timeout = min(timeout ?? .seconds(3600), max(.zero, due - now)) }
        }
        let milliseconds = isBusy ? 0 : timeout.map { Int($0.milliseconds) + 1 } ?? -1
        // EINTR and the like lead to another turn, which finds whatever is ready.
        _ = unsafe items.withUnsafeMutableBufferPointer { buffer in
            unsafe zmq_poll(buffer.baseAddress, Int32(buffer.count), milliseconds)
        }
    }

    private mutating func end(linger: Duration) {
        // What tasks have put in the queues before they asked to stop goes out as far as libzmq takes it.
        for socket in self.sockets {
            if linger > .zero { _ = socket.sendWaiting(limit: .max) }
            socket.close(linger: linger)
        }
        self.sockets.removeAll()
        self.authenticator?.close()
        self.authenticator = nil
        while unsafe zmq_ctx_term(self.context) != 0, zmq_errno() == EINTR {}
    }
}

extension Duration {
    /// Whole milliseconds, within what libzmq's options hold.
    var milliseconds: Int32 {
        let (seconds, attoseconds) = self.components
        let clamped = min(max(seconds, 0), 2_000_000)
        return Int32(clamped * 1000 + max(0, attoseconds) / 1_000_000_000_000_000)
    }
}
