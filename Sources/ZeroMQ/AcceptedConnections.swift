// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Bounds the connections that libzmq has accepted for one socket, in all and from one address.
///
/// libzmq itself takes as many as the process has descriptors, handshake or none. A connection beyond the bound is shut
/// down as soon as libzmq reports it; libzmq then reads its end and closes it. The descriptor may have been closed and
/// given to another connection of the process in between, so it is looked at first: only one whose own end is the
/// listener's port is shut down, and a satellite that is hit by mistake connects again.
struct AcceptedConnections {
    private let bound: Int
    private let port: String?
    /// The peers' addresses by descriptor.
    private var open: [Int32: String] = [:]
    private var byAddress: [String: Int] = [:]

    /// - Parameters:
    ///   - bound: Connections in all; one address may have half of them.
    ///   - endpoint: The socket's, such as `tcp://127.0.0.1:33620`.
    init(bound: Int, endpoint: String) {
        self.bound = bound
        self.port = endpoint.hasPrefix("tcp://") ? endpoint.split(separator: ":").last.map { String($0) } : nil
    }

    var count: Int { self.open.count }

    /// libzmq has accepted a connection.
    ///
    /// - Returns: The peer's address if the connection was one too many, and was shut down.
    mutating func accepted(_ descriptor: Int32) -> String? {
        self.closed(descriptor)
        let address = Self.name(descriptor, isPeer: true)?.host ?? ""
        self.open[descriptor] = address
        let ofAddress = self.byAddress[address, default: 0] + 1
        self.byAddress[address] = ofAddress
        guard self.open.count > self.bound || ofAddress > max(1, self.bound / 2) else { return nil }
        guard let port = self.port, Self.name(descriptor, isPeer: false)?.port == port else { return nil }
        shutdown(descriptor, Int32(SHUT_RDWR))
        return address
    }

    /// libzmq is about to close a connection.
    mutating func closed(_ descriptor: Int32) {
        guard let address = self.open.removeValue(forKey: descriptor) else { return }
        let rest = self.byAddress[address, default: 1] - 1
        self.byAddress[address] = rest > 0 ? rest : nil
    }

    /// One end of a connection, in numbers; `nil` if the descriptor is none.
    private static func name(_ descriptor: Int32, isPeer: Bool) -> (host: String, port: String)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var host = [CChar](repeating: 0, count: 64)
        var port = [CChar](repeating: 0, count: 16)
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer -> Int32 in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Int32 in
                let known =
                    isPeer
                    ? unsafe getpeername(descriptor, address, &length)
                    : unsafe getsockname(descriptor, address, &length)
                guard known == 0 else { return known }
                return unsafe getnameinfo(
                    address,
                    length,
                    &host,
                    socklen_t(host.count),
                    &port,
                    socklen_t(port.count),
                    NI_NUMERICHOST | NI_NUMERICSERV
                )
            }
        }
        guard result == 0 else { return nil }
        func text(_ characters: [CChar]) -> String {
            String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return (text(host), text(port))
    }
}
