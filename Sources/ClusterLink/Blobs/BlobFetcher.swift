// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import MailingModel
import SwiftProtobuf
import Synchronization
import ZeroMQ

/// The satellite's side of one master's content socket: asks for the pieces of blobs, several ahead, and checks the hash.
final class BlobFetcher: Sendable {
    private struct State {
        var transfers: [UInt64: BoundedQueue<Telstar_Cluster_V1_Piece>] = [:]
        var lastTransfer: UInt64 = 0
    }

    private let socket: ZeroMQSocket
    private let configuration: SatelliteLinkConfiguration
    private let troubles: TroubleLog
    private let state = Mutex(State())

    init(socket: ZeroMQSocket, _ configuration: SatelliteLinkConfiguration, _ troubles: TroubleLog) {
        self.socket = socket
        self.configuration = configuration
        self.troubles = troubles
    }

    /// Takes answers until the task is cancelled.
    func run() async {
        while let event = await self.socket.next() {
            switch event {
            case .message(let message):
                guard message.frames.count == 1,
                    let piece = try? Telstar_Cluster_V1_Piece(serializedBytes: message.frames[0]),
                    piece.data.count <= LinkProtocol.maximumPieceBytes
                else {
                    self.troubles.warn("garbage", "a piece of a blob cannot be read")
                    continue
                }
                // One that is too late, or was not asked for, belongs to no transfer; the queue is never full, because
                // a transfer asks for no more pieces than it holds.
                self.state.withLock { $0.transfers[piece.request] }?.push(piece)
            case .disconnected:
                // Answers under way are lost; the callers learn it now and not by the timeout.
                self.socket.discardOutgoing()
                let transfers = self.state.withLock { Array($0.transfers.values) }
                for transfer in transfers { transfer.finish() }
            case .failure(let failure, let address, _):
                self.troubles.warn("content", "cannot connect to \(address) for content: \(failure)")
            case .connected, .undeliverable: break
            }
        }
    }

    /// Fetches a blob.
    func blob(_ hash: BlobHash) async throws -> [UInt8] {
        let answers = BoundedQueue<Telstar_Cluster_V1_Piece>(capacity: max(1, self.configuration.piecesAhead) * 2)
        let transfer = self.state.withLock { state in
            state.lastTransfer += 1
            state.transfers[state.lastTransfer] = answers
            return state.lastTransfer
        }
        defer { self.state.withLock { $0.transfers[transfer] = nil } }
        let bytes = try await self.fetch(hash, transfer, answers)
        guard Array(SHA256.hash(data: bytes)) == hash.bytes else {
            throw ClusterLinkError(.corruptBlob, "blob \(hash): the bytes received have another hash")
        }
        return bytes
    }

    private func fetch(
        _ hash: BlobHash,
        _ transfer: UInt64,
        _ answers: BoundedQueue<Telstar_Cluster_V1_Piece>
    ) async throws -> [UInt8] {
        let size = LinkProtocol.maximumPieceBytes
        var bytes: [UInt8] = []
        var pieces: [Int: [UInt8]] = [:]
        var asked = 0
        var total: Int?
        while total.map({ bytes.count < $0 }) ?? true {
            // The first piece alone gives the length; then so many more are asked for ahead.
            let window = total == nil ? 1 : self.configuration.piecesAhead
            while asked - (bytes.count / size + pieces.count) < window, total.map({ asked * size < $0 }) ?? true {
                try await self.ask(hash, transfer, offset: asked * size)
                asked += 1
            }
            let piece = try await self.answer(answers, hash)
            guard piece.found else { throw ClusterLinkError(.noSuchBlob, "the master has no blob \(hash)") }
            guard piece.total <= UInt64(self.configuration.maximumBlobBytes) else {
                throw ClusterLinkError(.blobTooLarge, "blob \(hash) has \(piece.total) bytes")
            }
            let length = Int(piece.total)
            guard total ?? length == length, piece.offset <= piece.total, Int(piece.offset) % size == 0,
                piece.data.count == min(size, length - Int(piece.offset)), Int(piece.offset) >= bytes.count
            else { throw ClusterLinkError(.malformed, "the master's pieces of blob \(hash) do not fit together") }
            total = length
            pieces[Int(piece.offset)] = Array(piece.data)
            while let next = pieces.removeValue(forKey: bytes.count), !next.isEmpty { bytes += next }
        }
        return bytes
    }

    private func ask(_ hash: BlobHash, _ transfer: UInt64, offset: Int) async throws {
        var request = Telstar_Cluster_V1_PieceRequest()
        request.request = transfer
        request.hash = .init(hash.bytes)
        request.offset = UInt64(offset)
        request.length = UInt32(LinkProtocol.maximumPieceBytes)
        guard await self.socket.send(ZeroMQMessage(frames: [request.encoded()])) else {
            try Task.checkCancellation()
            throw ClusterLinkError(.notConnected, "the link has stopped")
        }
    }

    private func answer(
        _ answers: BoundedQueue<Telstar_Cluster_V1_Piece>,
        _ hash: BlobHash
    ) async throws -> Telstar_Cluster_V1_Piece {
        let timeout = self.configuration.pieceTimeout
        let (piece, isLate) = await withTaskGroup(of: (Telstar_Cluster_V1_Piece?, Bool).self) { group in
            group.addTask { (await answers.next(), false) }
            group.addTask { (nil, (try? await Task.sleep(for: timeout)) != nil) }
            defer { group.cancelAll() }
            return await group.next() ?? (nil, false)
        }
        if let piece { return piece }
        try Task.checkCancellation()
        throw isLate
            ? ClusterLinkError(.timeout, "no piece of blob \(hash) came within \(timeout)")
            : ClusterLinkError(.notConnected, "the connection was lost while fetching blob \(hash)")
    }
}
