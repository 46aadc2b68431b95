// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
@preconcurrency import Dispatch
import Foundation

/// The receiving end of `sd_notify`: reports when a child says `READY=1`, unless it says that it is a standby.
///
/// The socket has an abstract name, so nothing is left behind in the file system.
final class ReadinessSocket: Sendable {
    /// What the child finds in `NOTIFY_SOCKET`.
    let name: String
    /// Yields once for each `READY=1`.
    let readiness: AsyncStream<Void>

    private let source: any DispatchSourceRead

    /// Binds the socket.
    ///
    /// - Throws: If the system has no socket left.
    init(label: String) throws {
        let name = "telstar-\(getpid())-\(label)-\(UInt32.random(in: 0...UInt32.max))"
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw CocoaError(.fileReadUnknown) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = [UInt8(0)] + Array(name.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard bound == 0 else {
            close(descriptor)
            throw CocoaError(.fileWriteUnknown)
        }
        self.name = "@" + name
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        self.readiness = stream
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
        source.setEventHandler {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return }
            let lines = String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n")
            let isStandby = lines.contains { $0.hasPrefix("STATUS=\(SupervisorNotifier.standbyStatus)") }
            if lines.contains("READY=1"), !isStandby { continuation.yield() }
        }
        source.setCancelHandler {
            close(descriptor)
            continuation.finish()
        }
        source.resume()
        self.source = source
    }

    deinit { self.source.cancel() }
}
