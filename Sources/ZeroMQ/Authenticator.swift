// SPDX-License-Identifier: Apache-2.0

import CZeroMQ

/// Answers libzmq's question at each CURVE handshake, whether this key may come in and as whom (ZAP, ZeroMQ RFC 27).
///
/// Safe, since the pointer is private, valid from init to `close()`, and the class never leaves its thread.
@safe final class Authenticator {
    private struct Domain {
        let mailbox: SocketMailbox
        let reportInterval: Duration
        let admit: @Sendable ([UInt8]) -> String?
        var limits: [[UInt8]: RateLimit] = [:]
    }

    /// Refused keys remembered per socket, so that each is reported by itself; past that they share one limit.
    private static let rememberedKeys = 64

    private let socket: UnsafeMutableRawPointer
    private var domains: [String: Domain] = [:]

    init(context: UnsafeMutableRawPointer) throws {
        guard let socket = unsafe zmq_socket(context, ZMQ_REP) else { throw ZeroMQError.last("opening the ZAP socket") }
        do {
            try unsafe SocketOption.set(socket, ZMQ_LINGER, Int32(0))
            guard unsafe zmq_bind(socket, "inproc://zeromq.zap.01") == 0 else {
                throw ZeroMQError.last("binding the ZAP socket")
            }
        } catch {
            unsafe zmq_close(socket)
            throw error
        }
        unsafe self.socket = unsafe socket
    }

    var pollItem: zmq_pollitem_t {
        unsafe zmq_pollitem_t(socket: self.socket, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)
    }

    func add(
        domain: String,
        mailbox: SocketMailbox,
        _ configuration: SocketConfiguration,
        admit: @escaping @Sendable ([UInt8]) -> String?
    ) {
        self.domains[domain] = Domain(
            mailbox: mailbox,
            reportInterval: configuration.failureReportInterval,
            admit: admit
        )
    }

    func remove(domain: String) { self.domains[domain] = nil }

    func answerWaiting() {
        while let request = unsafe MessageReader.readFrames(self.socket) {
            // Version, request id, domain, address, routing id, mechanism, credentials.
            let requestID = request.count > 1 ? request[1] : []
            let userID = self.authenticate(request)
            let answer: [[UInt8]] = [
                Array("1.0".utf8), requestID, Array((userID == nil ? "400" : "200").utf8),
                Array((userID == nil ? "key not admitted" : "OK").utf8), Array((userID ?? "").utf8), [],
            ]
            for (index, frame) in answer.enumerated() {
                let flags = ZMQ_DONTWAIT | (index + 1 < answer.count ? ZMQ_SNDMORE : 0)
                // libzmq's own end is always there; if it has gone, so has the handshake.
                _ = unsafe frame.withUnsafeBytes { unsafe zmq_send(self.socket, $0.baseAddress, $0.count, flags) }
            }
        }
    }

    func close() { unsafe zmq_close(self.socket) }

    private func authenticate(_ request: [[UInt8]]) -> String? {
        guard request.count == 7, request[0] == Array("1.0".utf8), request[5] == Array("CURVE".utf8),
            request[6].count == 32
        else { return nil }
        let name = String(decoding: request[2], as: UTF8.self)
        guard let domain = self.domains[name] else { return nil }
        let key = request[6]
        if let userID = domain.admit(key) { return userID }
        let index = domain.limits[key] != nil || domain.limits.count < Self.rememberedKeys ? key : []
        let suppressed = self.domains[name]?.limits[index, default: RateLimit()].pass(every: domain.reportInterval)
        if let suppressed, !domain.mailbox.incoming.isFull {
            let address = String(decoding: request[3], as: UTF8.self)
            let event = ZeroMQEvent.failure(.keyRefused(publicKey: key), address: address, suppressed: suppressed)
            domain.mailbox.incoming.push(event)
        }
        return nil
    }
}
