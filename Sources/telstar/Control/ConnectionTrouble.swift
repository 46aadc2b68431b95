// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import DaemonSupport
import Foundation
import NIOCore
import NIOPosix
import NIOSSL

/// What went wrong on the way to a master, as text.
enum ConnectionTrouble {
    /// The reason, without the names of the libraries' types.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: self.system(error.errnoCode)
        case let error as NIOConnectionError: self.connecting(error)
        case let error as HTTPClientError: self.talking(error)
        case let error as UnexpectedCertificate: error.description
        case let error as StartFailure: error.description
        case is NIOSSLError, is BoringSSLError:
            "no TLS can be agreed on; is this address the one of the API over HTTPS?"
        case let error as SocketAddressError: self.address(error)
        case is CancellationError: "it was cancelled"
        case is NIOTooManyBytesError: "the answer is too large"
        case is ChannelError: "the other side closed the connection"
        default: "\(error)"
        }
    }

    private static func system(_ number: Int32) -> String {
        switch number {
        case ECONNREFUSED: "nobody listens there (connection refused)"
        case EHOSTUNREACH, ENETUNREACH: "there is no route to that host (\(String(cString: strerror(number))))"
        case ETIMEDOUT: "that host does not answer (timed out)"
        case ECONNRESET, EPIPE: "the other side closed the connection"
        default: String(cString: strerror(number))
        }
    }

    private static func connecting(_ error: NIOConnectionError) -> String {
        if let failure = error.connectionErrors.first { return self.reason(failure.error) }
        return "the host name \(error.host) is not known"
    }

    private static func talking(_ error: HTTPClientError) -> String {
        switch error {
        case .connectTimeout: "that host does not answer (no connection in time)"
        case .readTimeout, .deadlineExceeded, .writeTimeout: "it does not answer in time"
        case .remoteConnectionClosed: "the other side closed the connection without an answer"
        case .tlsHandshakeTimeout, .socksHandshakeTimeout, .httpProxyHandshakeTimeout:
            "no TLS is agreed on in time; is this address the one of the API over HTTPS?"
        case .cancelled: "it was cancelled"
        case .invalidURL, .emptyHost, .emptyScheme, .missingSocketPath: "that is no URL"
        default:
            "what answers does not speak HTTP as expected (\(error.shortDescription))"
        }
    }

    private static func address(_ error: SocketAddressError) -> String {
        switch error {
        case .unknown(let host, _): "the host name \(host) is not known"
        case .unsupported, .unixDomainSocketPathTooLong: "that address cannot be connected to"
        default: "that address cannot be connected to"
        }
    }
}
