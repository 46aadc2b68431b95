// SPDX-License-Identifier: Apache-2.0

import SwiftProtobuf

/// The first frame of every control message.
struct WireHeader: Hashable, Sendable {
    var protocolVersion: UInt32 = LinkProtocol.supportedVersions.lowerBound
    var incarnation: UInt64
    var handshakeNumber: UInt32
    var sequence: UInt64
    var ack: UInt64
    /// 0 of 0 for a whole body, else from 1.
    var part: UInt32 = 0
    var parts: UInt32 = 0

    init(incarnation: UInt64, handshakeNumber: UInt32, sequence: UInt64, ack: UInt64) {
        self.incarnation = incarnation
        self.handshakeNumber = handshakeNumber
        self.sequence = sequence
        self.ack = ack
    }

    init(decoding bytes: [UInt8]) throws(WireError) {
        guard bytes.count <= 128 else { throw WireError("a header of \(bytes.count) bytes") }
        let wire: Telstar_Cluster_V1_FrameHeader = try WireError.wrap { try .init(serializedBytes: bytes) }
        guard wire.sequence > 0, wire.part <= wire.parts, (wire.part == 0) == (wire.parts == 0) else {
            throw WireError("a header with impossible numbers")
        }
        self.protocolVersion = wire.protocolVersion
        self.incarnation = wire.incarnation
        self.handshakeNumber = wire.handshakeNumber
        self.sequence = wire.sequence
        self.ack = wire.ack
        self.part = wire.part
        self.parts = wire.parts
    }

    func encoded() -> [UInt8] {
        var wire = Telstar_Cluster_V1_FrameHeader()
        wire.protocolVersion = self.protocolVersion
        wire.incarnation = self.incarnation
        wire.handshakeNumber = self.handshakeNumber
        wire.sequence = self.sequence
        wire.ack = self.ack
        wire.part = self.part
        wire.parts = self.parts
        return wire.encoded()
    }
}

/// What a decoder found wrong with bytes from outside.
struct WireError: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func wrap<Value>(_ decode: () throws -> Value) throws(WireError) -> Value {
        do {
            return try decode()
        } catch {
            throw WireError("bytes that are not a message of this protocol")
        }
    }
}

extension SwiftProtobuf.Message {
    /// The wire form.
    ///
    /// proto3 has no required fields, so that encoding can only fail past two gigabytes, which the
    /// link's bounds exclude; an empty body is then dropped by the receiver.
    func encoded() -> [UInt8] { (try? self.serializedBytes()) ?? [] }
}

/// Puts the parts of long messages together; parts of one message follow each other without anything between them.
struct PartAssembler: Sendable {
    private let limit: Int
    private var bytes: [UInt8] = []
    private var nextPart: UInt32 = 0
    private var parts: UInt32 = 0

    /// - Parameter limit: Bytes of a whole message, at most.
    init(limit: Int) { self.limit = limit }

    /// Takes one frame's body.
    ///
    /// - Returns: The whole body if this was the last part; `nil` if more must come.
    mutating func take(_ body: [UInt8], part: UInt32, of parts: UInt32) throws(WireError) -> [UInt8]? {
        guard parts > 0 else {
            self.forget()
            return body
        }
        if part == 1 {
            self.forget()
            self.parts = parts
            self.nextPart = 1
        }
        guard part == self.nextPart, parts == self.parts else {
            self.forget()
            throw WireError("part \(part) of \(parts) out of order")
        }
        guard self.bytes.count + body.count <= self.limit else {
            self.forget()
            throw WireError("a message of more than \(self.limit) bytes")
        }
        self.bytes += body
        guard part == parts else {
            self.nextPart += 1
            return nil
        }
        defer { self.forget() }
        return self.bytes
    }

    /// Cuts a body into the parts that frames carry; one that fits is returned alone.
    static func split(_ body: [UInt8]) -> [[UInt8]] {
        guard body.count > LinkProtocol.maximumFrameBytes else { return [body] }
        return stride(from: 0, to: body.count, by: LinkProtocol.maximumFrameBytes).map { start in
            Array(body[start..<min(start + LinkProtocol.maximumFrameBytes, body.count)])
        }
    }

    private mutating func forget() {
        self.bytes = []
        self.nextPart = 0
        self.parts = 0
    }
}
