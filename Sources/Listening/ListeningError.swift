// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Why a listener does not listen, or listens no more, in one line for the operator.
public struct ListeningError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What failed, at which address, and why.
    public let description: String

    /// An address that cannot be listened on.
    ///
    /// - Parameters:
    ///   - key: The setting that names the address.
    ///   - address: As the setting has it.
    ///   - error: What the system said.
    public init(key: String, address: String, cannotListen error: any Error) {
        self.description = "\(key): cannot listen on \(address): \(Self.reason(error))"
    }

    /// A listener that ended although nobody asked it to.
    ///
    /// - Parameters:
    ///   - key: The setting that names the address.
    ///   - address: As the setting has it.
    ///   - reason: What is known of the cause.
    public init(key: String, address: String, ended reason: String) {
        self.description = "\(key): the listener on \(address) has ended: \(reason)"
    }

    /// What the system says, with a remedy where there is one.
    static func reason(_ error: any Error) -> String {
        if let error = error as? IOError {
            switch error.errnoCode {
            case EADDRINUSE: return "the address is in use by another process"
            case EADDRNOTAVAIL: return "this machine does not have the address"
            case EACCES: return "permission denied (ports below 1024 and the folder of a socket need rights)"
            case EAFNOSUPPORT: return "this machine does not have addresses of that kind"
            case ENOENT, ENOTDIR: return "the folder does not exist"
            case EMFILE, ENFILE: return "no file descriptor is free; raise the limit (ulimit -n, LimitNOFILE=)"
            default: return String(cString: strerror(error.errnoCode))
            }
        }
        if let error = error as? SocketAddressError.UnknownHost {
            return "the host name \(error.host) cannot be resolved"
        }
        if let error = error as? SocketAddressError {
            switch error {
            case .unixDomainSocketPathTooLong: return "the path is too long for a Unix socket"
            default: return "it is not an address of this machine"
            }
        }
        if error is UnixDomainSocketPathWrongType { return "the file at the path is not a socket; move it away" }
        return "\(error)"
    }
}
