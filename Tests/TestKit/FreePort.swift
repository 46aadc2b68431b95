// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// Finds ports of 127.0.0.1 on which nobody listens.
///
/// They lie below those of outgoing connections, which might take one of their own range while its server restarts.
public enum FreePort {
    /// There is no free port.
    public struct NoneLeft: Error {}

    /// A transport protocol.
    public enum Transport: Sendable {
        /// TCP.
        case tcp
        /// UDP.
        case udp
    }

    /// A port that was free when it was tried.
    public static func pick(_ transport: Transport = .tcp) throws -> Int {
        let range = try String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)
        let firstOutgoing = range.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) } ?? 32_768
        for _ in 0..<1_000 {
            let port = Int.random(in: 10_240..<max(11_240, firstOutgoing))
            if self.isFree(port, transport) { return port }
        }
        throw NoneLeft()
    }

    private static func isFree(_ port: Int, _ transport: Transport) -> Bool {
        let kind = transport == .tcp ? SOCK_STREAM : SOCK_DGRAM
        let descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
