// SPDX-License-Identifier: Apache-2.0

internal import CPostgreSQL
internal import Synchronization

/// Gives up, from any thread, what a connection is doing.
///
/// It does not reach for the server itself, which could hit a later statement: it notifies the thread that waits for the
/// answer, and that one asks the server to cancel and goes on only when the request has been delivered.
public final class PostgreSQLCancellation: Sendable {
    private struct State {
        var isCancelled = false
        var wake: Wake?
    }

    private let state = Mutex(State())

    /// Makes a handle that nobody listens to yet.
    init(wake: Wake? = nil) { self.state.withLock { $0.wake = wake } }

    /// Whether it has been given up.
    public var isCancelled: Bool { self.state.withLock { $0.isCancelled } }

    /// Cancels the statement that is running, and refuses those that follow under this handle.
    ///
    /// Returns at once. ROLLBACK is not refused.
    public func cancel() {
        let wake = self.state.withLock { state in
            state.isCancelled = true
            return state.wake
        }
        wake?.signal()
    }

    /// Sets whom to wake.
    func bind(_ wake: Wake?) { self.state.withLock { $0.wake = wake } }
}

/// One request to the server to cancel what a connection runs, delivered by a thread of its own.
///
/// libpq's call for it blocks without a limit, which the thread of a connection must not.
final class CancelRequest: Sendable {
    private let done = Mutex(false)

    /// Whether the server has taken the request, or cannot be reached.
    var isDone: Bool { self.done.withLock { $0 } }

    /// Starts delivery.
    init(_ connection: OpaquePointer, wake: Wake) {
        // The pointer crosses as a number because pointers are not Sendable. It is a copy of the server's address and
        // key, made here, used by the other thread alone and freed by it.
        let bits = PQgetCancel(connection).map { UInt(bitPattern: $0) } ?? 0
        do {
            try OwnThread.start {
                if let request = OpaquePointer(bitPattern: bits) {
                    var message = [CChar](repeating: 0, count: 256)
                    // A failure shows by the statement going on; the request is then repeated or the line dropped.
                    _ = PQcancel(request, &message, Int32(message.count))
                    PQfreeCancel(request)
                }
                self.done.withLock { $0 = true }
                wake.signal()
            }
        } catch {
            PQfreeCancel(OpaquePointer(bitPattern: bits))
            self.done.withLock { $0 = true }
        }
    }
}
