// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation

/// Finds TCP ports that nobody listens on, below those that the system gives to outgoing connections.
///
/// A port from the system's own range would be free now and might be lent to somebody's outgoing connection while its
/// server restarts: the server could then not bind it again for as long as that connection lives.
enum FreePort {
    /// Ports of 127.0.0.1 that were free just now, all different.
    ///
    /// - Throws: If none is found.
    static func pick(_ count: Int) throws -> [Int] {
        // All are held until the last is found, so that none is given twice.
        var held: [Int32] = []
        defer { held.forEach { _ = close($0) } }
        var ports: [Int] = []
        let range = Self.lowest..<max(Self.lowest + 1_000, Self.firstOutgoing())
        for _ in 0..<range.count where ports.count < count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw Self.failure }
            held.append(descriptor)
            let port = Int.random(in: range)
            if try Self.bind(descriptor, to: port) {
                ports.append(port)
            } else {
                _ = close(held.removeLast())
            }
        }
        guard ports.count == count else {
            throw StartFailure(.unavailable, "no \(count) free ports were found on 127.0.0.1")
        }
        return ports
    }

    /// Above the ports of well-known services.
    private static let lowest = 10_240

    /// The first port of the range from which outgoing connections are served.
    private static func firstOutgoing() -> Int {
        let text = try? String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)
        // Linux's default where it does not say.
        return text?.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) } ?? 32_768
    }

    private static var failure: StartFailure {
        StartFailure(.unavailable, "free ports cannot be looked for on 127.0.0.1: \(NamedFile.reason(errno))")
    }

    /// - Returns: `false` if somebody has the port.
    private static func bind(_ descriptor: Int32, to port: Int) throws -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Foundation.bind(descriptor, $0, length) == 0 }
        }
        guard isBound || errno == EADDRINUSE || errno == EACCES else {
            throw Self.failure
        }
        return isBound
    }
}
