// SPDX-License-Identifier: Apache-2.0

import CUnbound
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A question on its way.
struct Lookup: Sendable {
    let name: String
    let type: DNSType
    let deadline: ContinuousClock.Instant
    let continuation: CheckedContinuation<DNSAnswer, Never>
}

/// The way from tasks to the lookup thread.
final class LookupQueue: Sendable {
    private struct State {
        var waiting: [Lookup] = []
        var unanswered = 0
        var isStopped = false
    }

    /// An eventfd, readable when there is something to take.
    let wake: Int32
    private let bound: Int
    private let timeout: Duration
    private let state = Mutex(State())

    init(bound: Int, timeout: Duration) throws {
        self.wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        self.bound = bound
        self.timeout = timeout
        guard self.wake >= 0 else { throw ResolverError("opening an eventfd: error \(errno)") }
    }

    deinit { close(self.wake) }

    // Optimised code has been seen to miss the way back to its caller's actor here; from `@concurrent` it is taken.
    /// Asks, and waits for the answer or the deadline.
    @concurrent
    func answer(_ name: String, _ type: DNSType) async -> DNSAnswer {
        let deadline = ContinuousClock.now + self.timeout
        return await withCheckedContinuation { continuation in
            let refusal = self.state.withLock { state -> DNSAnswer? in
                if state.isStopped { return .failure("the resolver is closed") }
                if state.unanswered >= self.bound { return .failure("too many lookups are waiting") }
                state.unanswered += 1
                state.waiting.append(Lookup(name: name, type: type, deadline: deadline, continuation: continuation))
                return nil
            }
            if let refusal { continuation.resume(returning: refusal) } else { eventfd_write(self.wake, 1) }
        }
    }

    /// Gives an answer to who asked.
    func give(_ answer: DNSAnswer, to lookup: Lookup) {
        self.state.withLock { $0.unanswered -= 1 }
        lookup.continuation.resume(returning: answer)
    }

    /// What has been asked since the last call; `nil` if the thread must end.
    func take() -> [Lookup]? {
        var count: eventfd_t = 0
        eventfd_read(self.wake, &count)
        return self.state.withLock { state in
            guard !state.isStopped else { return nil }
            defer { state.waiting.removeAll() }
            return state.waiting
        }
    }

    /// Ends the thread and answers what was not taken.
    func stop() {
        let waiting = self.state.withLock { state in
            state.isStopped = true
            defer { state.waiting.removeAll() }
            return state.waiting
        }
        for lookup in waiting { self.give(.failure("the resolver is closed"), to: lookup) }
        eventfd_write(self.wake, 1)
    }
}
