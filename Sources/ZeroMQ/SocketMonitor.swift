// SPDX-License-Identifier: Apache-2.0

import CZeroMQ

/// Reads what libzmq says about the connections of one socket.
///
/// Safe, since the pointer is private, valid from init to `close()`, and the struct never leaves its thread.
@safe struct SocketMonitor {
    enum Kind {
        case accepted(Int32)
        case handshakeSucceeded
        case disconnected(Int32)
        case retrying
        case noDetail
        case refused
        case protocolError(Int32)
    }

    private static let events =
        ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED
        | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL

    private let pair: UnsafeMutableRawPointer

    init(context: UnsafeMutableRawPointer, socket: UnsafeMutableRawPointer, name: String) throws {
        let address = "inproc://\(name)"
        guard unsafe zmq_socket_monitor(socket, address, Self.events) == 0 else {
            throw ZeroMQError.last("watching a socket")
        }
        guard let pair = unsafe zmq_socket(context, ZMQ_PAIR) else { throw ZeroMQError.last("watching a socket") }
        do {
            try unsafe SocketOption.set(pair, ZMQ_LINGER, Int32(0))
            guard unsafe zmq_connect(pair, address) == 0 else { throw ZeroMQError.last("watching a socket") }
        } catch {
            unsafe zmq_close(pair)
            throw error
        }
        unsafe self.pair = unsafe pair
    }

    var pollItem: zmq_pollitem_t {
        unsafe zmq_pollitem_t(socket: self.pair, fd: 0, events: Int16(ZMQ_POLLIN), revents: 0)
    }

    /// The next notice that matters, if there is one.
    func read() -> (kind: Kind, address: String)? {
        while let frames = unsafe MessageReader.readFrames(self.pair) {
            // Frame 1: event in 16 bits, value in 32 bits, both as this machine orders bytes. Frame 2: the address.
            guard frames.count == 2, frames[0].count == 6 else { continue }
            let event = unsafe frames[0].withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt16.self) }
            let value = unsafe frames[0].withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: 2, as: Int32.self) }
            let kind: Kind
            switch Int32(event) {
            case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: kind = .handshakeSucceeded
            case ZMQ_EVENT_ACCEPTED: kind = .accepted(value)
            case ZMQ_EVENT_DISCONNECTED: kind = .disconnected(value)
            case ZMQ_EVENT_CONNECT_RETRIED: kind = .retrying
            case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: kind = .noDetail
            case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: kind = .refused
            case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL: kind = .protocolError(value)
            default: continue
            }
            return (kind, String(decoding: frames[1], as: UTF8.self))
        }
        return nil
    }

    func close() { unsafe zmq_close(self.pair) }

    static func describe(protocolError code: Int32, isServer: Bool) -> String {
        switch code {
        case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC where isServer:
            "the client's handshake cannot be opened; it expects another server key"
        case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
            "the server's handshake cannot be opened; is its key the configured one?"
        case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH: "the peer uses another security mechanism than CURVE"
        default: "the peer's handshake is malformed (libzmq code \(String(code, radix: 16)))"
        }
    }
}
