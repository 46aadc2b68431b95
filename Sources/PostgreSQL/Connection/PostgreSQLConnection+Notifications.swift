// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL

/// What NOTIFY sent on a channel.
public struct PostgreSQLNotification: Sendable, Hashable {
    /// The channel's name.
    public let channel: String
    /// The text, empty if there was none.
    public let payload: String
    /// The process that sent it; it may be our own.
    public let backendPID: Int32
}

extension PostgreSQLConnection {
    /// How many notifications wait to be taken; of more, the oldest are dropped.
    static var waitingNotifications: Int { 10_000 }

    /// Has the server send what is notified on a channel from now on.
    ///
    /// Inside a transaction it starts with COMMIT.
    public func listen(to channel: String) throws {
        let quoted = channel.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
        try self.execute(script: "LISTEN \"\(quoted)\"")
    }

    /// Waits for notifications.
    ///
    /// - Returns: All that have come, in order; none if none came until the instant. At most 10,000 are kept.
    /// - Throws: ``PostgreSQLError`` with ``PostgreSQLError/Code/connectionLost`` or
    ///   ``PostgreSQLError/Code/cancelled``.
    public func waitForNotifications(until instant: ContinuousClock.Instant) throws -> [PostgreSQLNotification] {
        let doing = "waiting for notifications"
        while true {
            self.absorb()
            if !self.notifications.isEmpty {
                defer { self.notifications.removeAll() }
                return self.notifications
            }
            if let failure { throw PostgreSQLError(failure.code, doing, failure.message) }
            if self.cancellation.isCancelled { throw PostgreSQLError(.cancelled, doing, "the wait was given up") }
            var until = self.deadline.map { min($0, instant) } ?? instant
            guard ContinuousClock.now < until else { return [] }
            if let next = self.housekeeping?() { until = min(until, next) }
            _ = self.wake.sleep(self.socket, until: until)
        }
    }

    /// Takes what libpq has read of notifications.
    func collectNotifications(_ handle: OpaquePointer) {
        while let notification = PQnotifies(handle) {
            defer { PQfreemem(notification) }
            let taken = PostgreSQLNotification(
                channel: notification.pointee.relname.map { String(cString: $0) } ?? "",
                payload: notification.pointee.extra.map { String(cString: $0) } ?? "",
                backendPID: notification.pointee.be_pid
            )
            if let onNotification {
                onNotification(taken)
            } else {
                if self.notifications.count >= Self.waitingNotifications { self.notifications.removeFirst() }
                self.notifications.append(taken)
            }
        }
    }

    /// The descriptor to poll, -1 if there is none.
    var socket: Int32 { PQsocket(self.handle) }
}
