// SPDX-License-Identifier: Apache-2.0

public import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Reports the daemon's state to the service manager, in systemd's protocol; does nothing where none listens.
///
/// Source: sd_notify(3).
public struct SupervisorNotifier: Sendable {
    /// What the status of a daemon begins with that has started, but leaves the work to another until its turn comes.
    public static let standbyStatus = "standby"

    private let path: String?
    /// How often the service manager wants to hear from the daemon, or `nil` if it does not watch.
    public let watchdogInterval: Duration?

    /// Finds the service manager in the process's environment.
    public init(environment: [String: String]) {
        self.path = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let isForThisProcess = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        self.watchdogInterval = isForThisProcess && microseconds > 0 ? .microseconds(microseconds) : nil
    }

    /// Says that the daemon has started.
    public func ready(status: String = "") { self.send(["READY=1"] + Self.lines(status)) }

    /// Says that the daemon is stopping.
    public func stopping(status: String = "") { self.send(["STOPPING=1"] + Self.lines(status)) }

    /// Says in one line what the daemon is doing.
    public func status(_ status: String) { self.send(Self.lines(status)) }

    /// Says that the daemon is alive.
    public func alive() { self.send(["WATCHDOG=1"]) }

    /// Asks for more time to start or stop, counted from now.
    public func extendTimeout(by duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.send(["EXTEND_TIMEOUT_USEC=\(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)"])
    }

    private static func lines(_ status: String) -> [String] {
        let line = status.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.isEmpty ? [] : ["STATUS=\(line)"]
    }

    /// Sends assignments in one datagram; a manager that does not listen is nothing the daemon could help.
    private func send(_ assignments: [String]) {
        guard let path = self.path, !assignments.isEmpty, let address = LocalAddress(path: path) else { return }
        let descriptor = socket(AF_UNIX, Self.datagram, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        let message = Array(assignments.joined(separator: "\n").utf8)
        address.withSocketAddress { pointer, length in
            _ = sendto(descriptor, message, message.count, 0, pointer, length)
        }
    }

    #if canImport(Glibc)
    private static let datagram = Int32(SOCK_DGRAM.rawValue)
    #else
    private static let datagram = SOCK_DGRAM
    #endif
}

/// Keeps the service manager's watchdog content for as long as the process's tasks get to run.
public struct WatchdogService: Service {
    private let notifier: SupervisorNotifier

    /// Makes the service; without a watching manager it only waits for the end.
    public init(notifier: SupervisorNotifier) {
        self.notifier = notifier
    }

    /// Reports twice in each interval until shutdown.
    public func run() async throws {
        guard let interval = self.notifier.watchdogInterval else {
            try await gracefulShutdown()
            return
        }
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                self.notifier.alive()
                try await Task.sleep(for: interval / 2, clock: .continuous)
            }
        }
    }
}

/// The address of a Unix socket; a name that begins with `@` is an abstract one.
struct LocalAddress {
    private let address: sockaddr_un
    private let length: socklen_t

    init?(path: String) {
        var bytes = Array(path.utf8)
        var address = sockaddr_un()
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < room else { return nil }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        self.address = address
        // A path ends with a NUL that counts; an abstract name is as long as it is.
        let start = MemoryLayout<sockaddr_un>.size - room
        self.length = socklen_t(start + bytes.count + (isAbstract ? 0 : 1))
    }

    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: self.address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, self.length) }
        }
    }
}
