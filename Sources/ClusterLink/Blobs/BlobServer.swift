// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MailingModel
import SwiftProtobuf
import ZeroMQ

/// The master's side of the content socket: gives pieces of blobs to allowed satellites, one request after the other.
struct BlobServer {
    private let socket: ZeroMQSocket
    private let decisions: MasterLinkDecisions
    private let troubles: TroubleLog
    private var cache: BlobCache

    init(
        socket: ZeroMQSocket,
        _ decisions: MasterLinkDecisions,
        _ troubles: TroubleLog,
        _ configuration: MasterLinkConfiguration
    ) {
        self.socket = socket
        self.decisions = decisions
        self.troubles = troubles
        self.cache = BlobCache(limit: configuration.blobCacheBytes)
    }

    /// Serves until the task is cancelled.
    consuming func run() async {
        var server = self
        while let event = await server.socket.next() {
            guard case .message(let message) = event else { continue }
            guard let key = message.userID.flatMap({ try? Z85.decode(key: $0) }),
                server.decisions.record(key)?.enabled == true
            else {
                server.troubles.warn("keyNotAllowed", "a blob is asked for with a key that is no longer allowed")
                continue
            }
            guard let request = BlobRequest(decoding: message.frames) else {
                server.troubles.warn("garbage", "a request for a blob cannot be read")
                continue
            }
            let piece = await server.piece(request)
            _ = await server.socket.send(ZeroMQMessage(routingID: message.routingID, frames: [piece.encoded()]))
        }
    }

    private mutating func piece(_ request: BlobRequest) async -> Telstar_Cluster_V1_Piece {
        var blob = self.cache[request.hash]
        if blob == nil, let found = await self.decisions.blob(request.hash) {
            self.cache.insert(found, for: request.hash)
            blob = found
        }
        var piece = Telstar_Cluster_V1_Piece()
        piece.request = request.request
        guard let blob, request.offset <= UInt64(blob.count) else { return piece }
        let start = Int(request.offset)
        let end = min(blob.count, start + request.length)
        piece.found = true
        piece.total = UInt64(blob.count)
        piece.offset = request.offset
        piece.data = .init(blob[start..<end])
        return piece
    }
}

/// A request as read from the wire.
struct BlobRequest: Hashable {
    let request: UInt64
    let hash: BlobHash
    let offset: UInt64
    let length: Int

    init?(decoding frames: [[UInt8]]) {
        guard frames.count == 1, let wire = try? Telstar_Cluster_V1_PieceRequest(serializedBytes: frames[0]),
            let hash = BlobHash(bytes: Array(wire.hash)),
            (1...LinkProtocol.maximumPieceBytes).contains(Int(wire.length))
        else { return nil }
        self.request = wire.request
        self.hash = hash
        self.offset = wire.offset
        self.length = Int(wire.length)
    }
}

/// The blobs asked for last, within a bound.
struct BlobCache {
    private let limit: Int
    private var bytes = 0
    private var blobs: [BlobHash: [UInt8]] = [:]
    /// Least recently used first; short, since blobs are large.
    private var order: [BlobHash] = []

    init(limit: Int) { self.limit = limit }

    subscript(hash: BlobHash) -> [UInt8]? {
        mutating get {
            guard let blob = self.blobs[hash] else { return nil }
            if self.order.last != hash, let index = self.order.firstIndex(of: hash) {
                self.order.append(self.order.remove(at: index))
            }
            return blob
        }
    }

    mutating func insert(_ blob: [UInt8], for hash: BlobHash) {
        guard self.blobs[hash] == nil else { return }
        while !self.order.isEmpty, self.bytes + blob.count > self.limit {
            self.bytes -= self.blobs.removeValue(forKey: self.order.removeFirst())?.count ?? 0
        }
        self.blobs[hash] = blob
        self.order.append(hash)
        self.bytes += blob.count
    }
}
