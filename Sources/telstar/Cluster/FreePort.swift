// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Finds TCP ports that nobody listens on.
enum FreePort {
    /// Ports of 127.0.0.1 that were free a moment ago, all different.
    ///
    /// - Throws: If the system gives none.
    static func pick(_ count: Int) throws -> [Int] {
        // All are held until the last is found, so that none is given twice.
        var held: [Int32] = []
        defer { held.forEach { _ = close($0) } }
        var ports: [Int] = []
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EMFILE) }
            held.append(descriptor)
            ports.append(try Self.bindAnywhere(descriptor))
        }
        return ports
    }

    private static func bindAnywhere(_ descriptor: Int32) throws -> Int {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let named = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard named else { throw POSIXError(.init(rawValue: errno) ?? .EADDRINUSE) }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
