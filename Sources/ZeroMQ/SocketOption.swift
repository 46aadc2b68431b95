// SPDX-License-Identifier: Apache-2.0

import CZeroMQ

/// Options of a socket, and messages out of it; called on the owner thread only.
enum SocketOption {
    static func set(_ socket: UnsafeMutableRawPointer, _ option: Int32, _ value: Int32) throws {
        var value = value
        guard unsafe zmq_setsockopt(socket, option, &value, MemoryLayout<Int32>.size) == 0 else {
            throw ZeroMQError.last("setting socket option \(option) to \(value)")
        }
    }

    static func set(_ socket: UnsafeMutableRawPointer, _ option: Int32, _ value: Int64) throws {
        var value = value
        guard unsafe zmq_setsockopt(socket, option, &value, MemoryLayout<Int64>.size) == 0 else {
            throw ZeroMQError.last("setting socket option \(option) to \(value)")
        }
    }

    static func set(_ socket: UnsafeMutableRawPointer, _ option: Int32, _ value: [UInt8]) throws {
        let result = unsafe value.withUnsafeBytes { unsafe zmq_setsockopt(socket, option, $0.baseAddress, $0.count) }
        // Never the value: it may be a key.
        guard result == 0 else { throw ZeroMQError.last("setting socket option \(option)") }
    }

    static func string(_ socket: UnsafeMutableRawPointer, _ option: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 1024)
        var size = buffer.count
        let result = unsafe buffer.withUnsafeMutableBytes {
            unsafe zmq_getsockopt(socket, option, $0.baseAddress, &size)
        }
        return result == 0 ? Z85.string(buffer) : ""
    }
}

/// Reads whole messages.
enum MessageReader {
    enum Result {
        case nothing
        case malformed
        case message(ZeroMQMessage)
    }

    /// Reads one message if there is one.
    ///
    /// A message with more frames than the limit beside the routing id, or with none, is malformed.
    static func read(_ socket: UnsafeMutableRawPointer, isRouter: Bool, limit: Int) -> Result {
        var message = ZeroMQMessage(frames: [])
        var isFirst = true
        var isTooLong = false
        while true {
            guard let frame = unsafe self.readFrame(socket, wantsUser: !isFirst || !isRouter) else {
                return isFirst ? .nothing : .malformed
            }
            if isFirst, isRouter {
                message.routingID = frame.bytes
            } else if message.frames.count < limit {
                message.frames.append(frame.bytes)
                message.userID = frame.userID
            } else {
                isTooLong = true
            }
            isFirst = false
            if !frame.hasMore { break }
        }
        return isTooLong || message.frames.isEmpty ? .malformed : .message(message)
    }

    /// Reads a message of two frames, or any, without looking at who sent it.
    static func readFrames(_ socket: UnsafeMutableRawPointer) -> [[UInt8]]? {
        var frames: [[UInt8]] = []
        while let frame = unsafe self.readFrame(socket, wantsUser: false) {
            frames.append(frame.bytes)
            if !frame.hasMore { return frames }
        }
        return nil
    }

    private static func readFrame(
        _ socket: UnsafeMutableRawPointer,
        wantsUser: Bool
    ) -> (bytes: [UInt8], hasMore: Bool, userID: String?)? {
        var part = zmq_msg_t()
        unsafe zmq_msg_init(&part)
        defer { unsafe zmq_msg_close(&part) }
        guard unsafe zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) >= 0 else { return nil }
        let size = unsafe zmq_msg_size(&part)
        var bytes: [UInt8] = []
        if size > 0, let start = unsafe zmq_msg_data(&part) {
            bytes = unsafe Array(UnsafeRawBufferPointer(start: start, count: size))
        }
        var userID: String?
        if wantsUser, let text = unsafe zmq_msg_gets(&part, "User-Id") { userID = unsafe String(cString: text) }
        return (bytes, unsafe zmq_msg_more(&part) != 0, userID)
    }
}
