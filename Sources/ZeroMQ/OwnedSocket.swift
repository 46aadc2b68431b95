// SPDX-License-Identifier: Apache-2.0

import CZeroMQ

/// One libzmq socket with its monitor, confined to the owner thread.
///
/// Safe, since the pointer is private, valid from init to `close(linger:)`, and the class never leaves its thread.
@safe final class OwnedSocket {
    let id: Int
    let endpoint: String
    /// When to connect again after a refused handshake, which libzmq takes for final.
    private(set) var retryDue: ContinuousClock.Instant?

    private let configuration: SocketConfiguration
    private let mailbox: SocketMailbox
    private let socket: UnsafeMutableRawPointer
    private let monitor: SocketMonitor
    private let isRouter: Bool
    /// libzmq took no more; its POLLOUT says when it does again.
    private var isBlocked = false
    private var isConnected = false
    private var limits: [String: RateLimit] = [:]
    private var accepted: AcceptedConnections

    init(
        id: Int,
        context: UnsafeMutableRawPointer,
        _ configuration: SocketConfiguration,
        _ mailbox: SocketMailbox
    ) throws {
        let type =
            switch configuration.kind {
            case .router: ZMQ_ROUTER
            case .dealer: ZMQ_DEALER
            }
        guard let socket = unsafe zmq_socket(context, type) else { throw ZeroMQError.last("opening a socket") }
        do {
            try unsafe Self.configure(socket, configuration, domain: "\(id)")
            self.monitor = try unsafe SocketMonitor(context: context, socket: socket, name: "monitor-\(id)")
        } catch {
            unsafe zmq_close(socket)
            throw error
        }
        do {
            switch configuration.kind {
            case .router(let address):
                guard unsafe zmq_bind(socket, address) == 0 else { throw ZeroMQError.last("binding \(address)") }
            case .dealer(let address):
                guard unsafe zmq_connect(socket, address) == 0 else {
                    throw ZeroMQError.last("connecting to \(address)")
                }
            }
        } catch {
            self.monitor.close()
            unsafe zmq_close(socket)
            throw error
        }
        if case .router = configuration.kind { self.isRouter = true } else { self.isRouter = false }
        self.id = id
        self.configuration = configuration
        self.mailbox = mailbox
        unsafe self.socket = unsafe socket
        self.endpoint = unsafe SocketOption.string(socket, ZMQ_LAST_ENDPOINT)
        self.accepted = AcceptedConnections(bound: configuration.maximumConnections, endpoint: self.endpoint)
    }

    private static func configure(
        _ socket: UnsafeMutableRawPointer,
        _ configuration: SocketConfiguration,
        domain: String
    ) throws {
        func set(_ option: Int32, _ value: Int32) throws { try unsafe SocketOption.set(socket, option, value) }
        let ping = max(1, configuration.heartbeat.milliseconds)
        try set(ZMQ_LINGER, 0)
        try set(ZMQ_SNDHWM, configuration.highWaterMark)
        try set(ZMQ_RCVHWM, configuration.highWaterMark)
        try set(ZMQ_HEARTBEAT_IVL, ping)
        try set(ZMQ_HEARTBEAT_TIMEOUT, ping &* 3)
        // The time to live travels in tenths of a second in 16 bits.
        try set(ZMQ_HEARTBEAT_TTL, min(ping &* 3, 6_553_500))
        try set(ZMQ_HANDSHAKE_IVL, max(1, configuration.handshakeTimeout.milliseconds))
        try set(ZMQ_RECONNECT_IVL, max(1, configuration.reconnectInterval.milliseconds))
        try set(ZMQ_RECONNECT_IVL_MAX, max(1, configuration.reconnectCeiling.milliseconds))
        try unsafe SocketOption.set(socket, ZMQ_MAXMSGSIZE, configuration.maximumFrameBytes)
        switch configuration.kind {
        case .router(let address):
            try set(ZMQ_ROUTER_MANDATORY, 1)
            // Otherwise an IPv4 address would be bound, and shown, as one mapped into IPv6.
            try set(ZMQ_IPV6, address.contains("[") || address.contains("://*") ? 1 : 0)
        case .dealer:
            try set(ZMQ_IMMEDIATE, 1)
            try set(ZMQ_IPV6, 1)
        }
        switch configuration.security {
        case .none: break
        case .curveServer(let keys, _):
            try set(ZMQ_CURVE_SERVER, 1)
            try unsafe SocketOption.set(socket, ZMQ_CURVE_SECRETKEY, keys.secretKey)
            try unsafe SocketOption.set(socket, ZMQ_ZAP_DOMAIN, Array(domain.utf8))
        case .curveClient(let keys, let serverKey):
            guard serverKey.count == 32 else {
                throw ZeroMQError(.invalidKey, "the server's CURVE key has \(serverKey.count) bytes, not 32")
            }
            try unsafe SocketOption.set(socket, ZMQ_CURVE_SERVERKEY, serverKey)
            try unsafe SocketOption.set(socket, ZMQ_CURVE_PUBLICKEY, keys.publicKey)
            try unsafe SocketOption.set(socket, ZMQ_CURVE_SECRETKEY, keys.secretKey)
        }
    }

    /// What to poll: nothing is read while the incoming queue is full.
    var pollItems: [zmq_pollitem_t] {
        let reads = !self.mailbox.incoming.isFull
        let events = (reads ? Int16(ZMQ_POLLIN) : 0) | (self.isBlocked ? Int16(ZMQ_POLLOUT) : 0)
        var items: [zmq_pollitem_t] = unsafe []
        if events != 0 { unsafe items.append(zmq_pollitem_t(socket: self.socket, fd: 0, events: events, revents: 0)) }
        if reads { unsafe items.append(self.monitor.pollItem) }
        return unsafe items
    }

    /// Passes on what waits.
    ///
    /// - Returns: `true` if the limit ended it.
    func sendWaiting(limit: Int) -> Bool {
        self.isBlocked = false
        for _ in 0..<limit {
            guard let message = self.mailbox.outgoing.pop() else { return false }
            switch self.send(message) {
            case .taken: break
            case .blocked:
                guard self.isRouter else {
                    self.mailbox.outgoing.requeue(message)
                    self.isBlocked = true
                    return false
                }
                self.report(.undeliverable(routingID: message.routingID, .peerDoesNotRead))
            case .unknownPeer: self.report(.undeliverable(routingID: message.routingID, .unknownPeer))
            case .lost: break
            }
        }
        return true
    }

    /// Reads until there is nothing more, the queue is full or the limit reached.
    func receiveWaiting(limit: Int) {
        for _ in 0..<limit {
            guard !self.mailbox.incoming.isFull else { return }
            switch unsafe MessageReader.read(
                self.socket,
                isRouter: self.isRouter,
                limit: self.configuration.maximumFrames
            ) {
            case .nothing: return
            case .malformed: break
            case .message(let message): self.mailbox.incoming.push(.message(message))
            }
        }
    }

    /// Turns the monitor's notices into events.
    func readMonitor() {
        while !self.mailbox.incoming.isFull, let notice = self.monitor.read() {
            switch notice.kind {
            case .handshakeSucceeded where !self.isRouter:
                self.limits.removeAll()
                self.isConnected = true
                self.report(.connected)
            case .accepted(let descriptor):
                if let address = self.accepted.accepted(descriptor) {
                    self.fail(.tooMany(self.configuration.maximumConnections), "tooMany", address)
                }
            case .disconnected(let descriptor):
                self.accepted.closed(descriptor)
                guard self.isConnected else { break }
                self.isConnected = false
                self.report(.disconnected)
            case .handshakeSucceeded: break
            case .retrying: if !self.isRouter { self.fail(.unreachable, "unreachable", notice.address) }
            case .noDetail: self.fail(.hungUp, "hungUp", notice.address)
            case .refused where self.isRouter: break  // The authenticator has said it, with the key.
            case .refused:
                self.fail(.refusedByServer, "refused", notice.address)
                self.retryDue = .now + self.configuration.refusalRetry
            case .protocolError(let code):
                let text = SocketMonitor.describe(protocolError: code, isServer: self.isRouter)
                self.fail(.handshake(text), "handshake", notice.address)
                if !self.isRouter { self.retryDue = .now + self.configuration.refusalRetry }
            }
        }
    }

    /// Connects again after a refusal.
    func retryIfDue(_ now: ContinuousClock.Instant) {
        guard let due = self.retryDue, due <= now, case .dealer(let address) = self.configuration.kind else { return }
        self.retryDue = nil
        // The endpoint may be gone already; connecting is what counts.
        unsafe zmq_disconnect(self.socket, address)
        guard unsafe zmq_connect(self.socket, address) != 0 else { return }
        self.retryDue = now + self.configuration.refusalRetry
    }

    func close(linger: Duration) {
        self.mailbox.finish()
        // Cannot fail on an open socket with a number that is not negative.
        try? unsafe SocketOption.set(self.socket, ZMQ_LINGER, linger.milliseconds)
        unsafe zmq_socket_monitor(self.socket, nil, 0)
        self.monitor.close()
        unsafe zmq_close(self.socket)
    }

    private func report(_ event: ZeroMQEvent) { self.mailbox.incoming.pushBeyondBound(event) }

    private func fail(_ failure: ConnectionFailure, _ kind: String, _ address: String) {
        guard
            let suppressed = self.limits[kind, default: RateLimit()].pass(
                every: self.configuration.failureReportInterval
            )
        else { return }
        self.report(.failure(failure, address: address, suppressed: suppressed))
    }

    private enum SendResult { case taken, blocked, unknownPeer, lost }

    private func send(_ message: ZeroMQMessage) -> SendResult {
        var frames = message.frames[...]
        var isFirst = true
        if self.isRouter {
            guard self.send(message.routingID, more: true) else {
                return zmq_errno() == EAGAIN ? .blocked : .unknownPeer
            }
            isFirst = false
        }
        while let frame = frames.popFirst() {
            guard self.send(frame, more: !frames.isEmpty) else {
                // In the middle of a message the connection has gone; libzmq has rolled the first frames back.
                return isFirst && zmq_errno() == EAGAIN ? .blocked : .lost
            }
            isFirst = false
        }
        return .taken
    }

    private func send(_ frame: [UInt8], more: Bool) -> Bool {
        unsafe frame.withUnsafeBytes { bytes in
            unsafe zmq_send(self.socket, bytes.baseAddress, bytes.count, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0))
        } >= 0
    }
}
