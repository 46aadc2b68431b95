// SPDX-License-Identifier: Apache-2.0

public import Logging
public import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Counts the connections of a listener, checks new ones, and logs those that are refused or cut.
///
/// Used by every event loop at once. Of each kind one is logged in ten seconds at most; all are counted.
public final class ConnectionLedger: Sendable {
    /// Why a connection is not taken.
    public enum Refusal: String, CaseIterable, Hashable, Sendable {
        /// The listener has as many as it may have.
        case full
        /// The address has as many as it may have.
        case address
        /// The process has few file descriptors left.
        case descriptors
    }

    /// The numbers at one instant.
    public struct Counts: Hashable, Sendable {
        /// Connections that are open.
        public var open = 0
        /// Connections refused so far, by reason.
        public var refused = Dictionary(uniqueKeysWithValues: Refusal.allCases.map { ($0.rawValue, UInt64(0)) })
        /// Connections that were closed because a deadline had passed, by deadline.
        public var cut: [String: UInt64] = [:]
    }

    private struct State {
        var counts = Counts()
        /// Those that were accepted and are not closed, be they taken or being refused.
        var accepted = 0
        var byAddress: [String: Int] = [:]
        var logged: [String: (last: ContinuousClock.Instant, suppressed: Int)] = [:]
    }

    /// How many that are refused may stay for the time that their answer takes.
    private static let beingRefused = 16
    private static let logInterval = Duration.seconds(10)

    /// The listener's name in metrics and the log: the setting of its address.
    public let name: String
    /// The bounds and times in force.
    public let limits: ConnectionLimits
    private let logger: Logger
    private let reserve = DescriptorReserve()
    private let state = Mutex(State())

    /// Makes the ledger of one listener.
    ///
    /// - Parameters:
    ///   - name: The setting that names the listener's address.
    ///   - limits: Bounds and times; those that the limit of descriptors does not allow are lowered, which is logged.
    ///   - part: Which part of the process's descriptors the listener may take: 8, the default, is an eighth.
    ///   - logger: Hears of refused and cut connections.
    public init(name: String, limits: ConnectionLimits, part: Int = 8, logger: Logger) {
        self.name = name
        self.limits = limits.withinDescriptors(part: part)
        self.logger = logger
        guard self.limits.connections < limits.connections else { return }
        logger.notice(
            "fewer connections are accepted than configured: the limit of open files is low",
            metadata: [
                "listener": "\(name)", "connections": "\(self.limits.connections)",
                "configured": "\(limits.connections)", "limit": "\(Descriptors.limit)",
            ]
        )
    }

    /// The numbers now.
    public var counts: Counts { self.state.withLock { $0.counts } }

    // MARK: Checks

    /// Checks a connection that was just accepted, before anything is built for it.
    ///
    /// - Returns: Whether it may go on to ``admit(_:)``; if not, it is to be closed at once.
    func accept(_ channel: any Channel) -> Bool {
        let areShort = Descriptors.areShort
        let refusal = self.state.withLock { state -> Refusal? in
            if areShort { return .descriptors }
            if state.accepted >= self.limits.connections + Self.beingRefused { return .full }
            state.accepted += 1
            return nil
        }
        if let refusal {
            self.refused(refusal, from: channel.remoteAddress)
            return false
        }
        self.reserve.take()
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.accepted -= 1 } }
        return true
    }

    /// Takes a connection, which is counted until it is closed, or says why not.
    ///
    /// - Parameter channel: The connection's.
    /// - Returns: `nil` if it is taken.
    public func admit(_ channel: any Channel) -> Refusal? {
        let address = channel.remoteAddress.flatMap(Self.origin)
        let refusal = self.state.withLock { state -> Refusal? in
            if state.counts.open >= self.limits.connections { return .full }
            if let address {
                let count = state.byAddress[address, default: 0]
                if count >= self.limits.connectionsPerAddress { return .address }
                state.byAddress[address] = count + 1
            }
            state.counts.open += 1
            return nil
        }
        if let refusal {
            self.refused(refusal, from: channel.remoteAddress)
            return refusal
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { state in
                state.counts.open -= 1
                guard let address else { return }
                let count = state.byAddress[address, default: 1] - 1
                state.byAddress[address] = count > 0 ? count : nil
            }
        }
        return nil
    }

    /// Whose connection it is: an IPv4 address, or the first half of an IPv6 address; `nil` for a Unix socket.
    package static func origin(_ address: SocketAddress) -> String? {
        switch address {
        case .v4: return address.ipAddress
        case .v6:
            guard let text = address.ipAddress else { return nil }
            var parsed = in6_addr()
            // A scope, as in fe80::1%eth0, is not part of the address.
            guard inet_pton(AF_INET6, String(text.prefix { $0 != "%" }), &parsed) == 1 else { return text }
            return withUnsafeBytes(of: parsed) { buffer in
                let bytes = Array(buffer)
                let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
                if isMapped { return bytes[12...].map(String.init).joined(separator: ".") }
                return bytes[..<8].map { String($0, radix: 16) }.joined(separator: ":") + "/64"
            }
        case .unixDomainSocket: return nil
        }
    }

    // MARK: Logging

    private func refused(_ reason: Refusal, from address: SocketAddress?) {
        let why =
            switch reason {
            case .full: "as many connections as \(self.limits.connections) are open"
            case .address: "this address has \(self.limits.connectionsPerAddress) connections open"
            case .descriptors: "the process has few file descriptors left"
            }
        self.log(reason.rawValue, { $0.refused[reason.rawValue, default: 0] += 1 }) { metadata in
            self.logger.warning(
                "a connection is refused",
                metadata: metadata.merging(["reason": "\(why)", "address": "\(Self.text(address))"]) { $1 }
            )
        }
    }

    /// A connection was closed because a deadline had passed.
    ///
    /// - Parameters:
    ///   - deadline: Which one, as a label for metrics.
    ///   - reason: What was waited for.
    ///   - address: Whose connection it was.
    public func cut(_ deadline: String, _ reason: String, from address: SocketAddress?) {
        self.log(deadline, { $0.cut[deadline, default: 0] += 1 }) { metadata in
            self.logger.info(
                "a connection is closed",
                metadata: metadata.merging(["reason": "\(reason)", "address": "\(Self.text(address))"]) { $1 }
            )
        }
    }

    /// The system did not give us a connection that waits.
    func acceptFailed(_ error: any Error) {
        // Whatever is missing, a few descriptors more can only help.
        self.reserve.release()
        self.log("accept", { $0.refused[Refusal.descriptors.rawValue, default: 0] += 1 }) { metadata in
            self.logger.error(
                "connections cannot be accepted; trying again",
                metadata: metadata.merging(["reason": "\(ListeningError.reason(error))"]) { $1 }
            )
        }
    }

    private func log(_ kind: String, _ count: (inout Counts) -> Void, _ log: (Logger.Metadata) -> Void) {
        let now = ContinuousClock.now
        let (suppressed, open) = self.state.withLock { state -> (Int?, Int) in
            count(&state.counts)
            if let logged = state.logged[kind], now - logged.last < Self.logInterval {
                state.logged[kind]?.suppressed += 1
                return (nil, state.counts.open)
            }
            defer { state.logged[kind] = (now, 0) }
            return (state.logged[kind]?.suppressed ?? 0, state.counts.open)
        }
        guard let suppressed else { return }
        var metadata: Logger.Metadata = ["listener": "\(self.name)", "open": "\(open)"]
        if suppressed > 0 { metadata["more"] = "\(suppressed)" }
        log(metadata)
    }

    private static func text(_ address: SocketAddress?) -> String { address?.ipAddress ?? "local" }
}
