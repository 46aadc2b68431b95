// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import NIOCore
import Synchronization

/// A file, or standard input, as pieces to be sent; read as they are asked for, once.
final class FilePieces: AsyncSequence, Sendable {
    private static let bytes = 256 * 1_024

    /// How many bytes it has; `nil` for standard input and for pipes.
    let size: Int?
    /// Name, size and time of the file, the same as long as nobody writes to it; `nil` for standard input and for pipes.
    let identity: String?
    private let descriptor: Int32
    private let handedOut = Mutex(0)

    /// Bytes handed out so far.
    var sent: Int { self.handedOut.withLock { $0 } }

    /// Opens the file; `-` is standard input.
    init(path: String) throws {
        guard path != "-" else {
            (self.descriptor, self.size, self.identity) = (STDIN_FILENO, nil, nil)
            return
        }
        let descriptor = try NamedFile.open(path, reading: "the file of recipients")
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw StartFailure(
                .unreadableFile,
                "the file of recipients \(path) cannot be read: \(NamedFile.reason(errno))"
            )
        }
        self.descriptor = descriptor
        guard status.st_mode & S_IFMT == S_IFREG else {
            (self.size, self.identity) = (nil, nil)
            return
        }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        self.size = Int(status.st_size)
        self.identity = "\(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) \(name)"
    }

    deinit { if self.descriptor != STDIN_FILENO { close(self.descriptor) } }

    func makeAsyncIterator() -> Iterator { Iterator(pieces: self) }

    struct Iterator: AsyncIteratorProtocol {
        let pieces: FilePieces

        func next() async throws -> ByteBuffer? { try self.pieces.read() }
    }

    private func read() throws -> ByteBuffer? {
        var buffer = ByteBuffer()
        let count = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.bytes) { memory in
            while true {
                let count = Glibc.read(self.descriptor, memory.baseAddress, Self.bytes)
                if count >= 0 { return count }
                if errno == EINTR { continue }
                throw StartFailure(
                    .unreadableFile,
                    "the file of recipients cannot be read to its end: \(NamedFile.reason(errno))"
                )
            }
        }
        self.handedOut.withLock { $0 += count }
        return count > 0 ? buffer : nil
    }
}

/// Cuts what arrives in pieces into lines.
struct LineSplitter {
    private var rest: [UInt8] = []

    /// Takes in a piece.
    mutating func feed(_ bytes: some Sequence<UInt8>) { self.rest += bytes }

    /// The next whole line without its end.
    mutating func next() -> [UInt8]? {
        guard let end = self.rest.firstIndex(of: 0x0A) else { return nil }
        defer { self.rest.removeFirst(end + 1) }
        return Array(self.rest[..<end])
    }
}
