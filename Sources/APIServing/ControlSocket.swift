// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The operator's Unix socket.
enum ControlSocket {
    /// Leaves reading and writing to the file's owner.
    static func restrict(_ path: String) { chmod(path, 0o600) }
}
