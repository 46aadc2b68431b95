// SPDX-License-Identifier: Apache-2.0

import Listening
public import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Opens connections to mail servers.
///
/// A connection lives on one event loop and pulls its transactions from its delegate there; no task, actor or future is
/// involved for a message.
public enum SMTPClient {
    /// Begins to connect; the delegate hears the rest.
    ///
    /// Must be called on `eventLoop`. If the connection cannot be made, `connectionClosed` says so, never before this
    /// call has returned. It is not even tried while the process has few descriptors left (``Descriptors/areShort``), which
    /// is reported as any other lack of resources.
    ///
    /// - Parameters:
    ///   - host: The server's name, for logs and as the name asked for in TLS.
    ///   - address: The server's numeric IPv4 or IPv6 address.
    ///   - port: The server's port.
    ///   - eventLoop: The loop on which everything about the connection happens; one of NIO's socket loops.
    ///   - configuration: How to behave.
    ///   - delegate: Kept until the connection is closed.
    /// - Returns: The connection, not yet open.
    @discardableResult
    public static func connect(
        host: String,
        address: String,
        port: Int = 25,
        on eventLoop: any EventLoop,
        configuration: SMTPClientConfiguration,
        delegate: any SMTPConnectionDelegate
    ) -> SMTPConnection {
        eventLoop.preconditionInEventLoop()
        let connection = SMTPConnection(eventLoop: eventLoop, host: host, address: address, port: port)
        let handler = SMTPClientHandler(connection: connection, configuration: configuration, delegate: delegate)
        let bound = NIOLoopBound(handler, eventLoop: eventLoop)
        guard !Descriptors.areShort else {
            eventLoop.execute { bound.value.connectFailed(.lacksResources(Self.fewDescriptors)) }
            return connection
        }
        do {
            let remote = try SocketAddress(ipAddress: address, port: port)
            var bootstrap = ClientBootstrap(group: eventLoop)
                .connectTimeout(TimeAmount(configuration.timeouts.connect))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(bound.value)
                    }
                }
            if let local = configuration.localAddress {
                bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: local, port: 0))
            }
            bootstrap.connect(to: remote).whenFailure { error in
                bound.value.connectFailed(Self.end(error, address, from: configuration.localAddress))
            }
        } catch {
            let end = Self.end(error, address, from: configuration.localAddress)
            eventLoop.execute { bound.value.connectFailed(end) }
        }
        return connection
    }

    private static let fewDescriptors =
        "few file descriptors are left; raise the limit (ulimit -n, LimitNOFILE=) or lower smtp.maxConnections"

    /// What a failure to connect says: something about the server or the way to it, or about this process only.
    ///
    /// `EADDRNOTAVAIL` is the host's lack of a free port for IPv4, or of the configured local address. For IPv6 it is what
    /// a host without IPv6 says of every such address, which is about the way to the server.
    static func end(_ error: any Error, _ address: String, from localAddress: String?) -> SMTPConnectionEnd {
        guard let failure = error as? IOError else { return .connectFailed(String(describing: error)) }
        let text = String(cString: strerror(failure.errnoCode))
        switch failure.errnoCode {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .lacksResources("opening a socket: \(text)")
        case EADDRNOTAVAIL where localAddress != nil:
            return .lacksResources("connecting from \(localAddress ?? ""): \(text)")
        case EADDRNOTAVAIL where !address.contains(":"), EAGAIN, EADDRINUSE:
            return .lacksResources("no free local port for \(address): \(text)")
        default: return .connectFailed(text)
        }
    }
}
