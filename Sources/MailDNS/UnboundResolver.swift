// SPDX-License-Identifier: Apache-2.0

import CUnbound
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Asks the DNS by libunbound, which caches, retries and, if configured, validates.
///
/// Questions go to a thread of the resolver's own; the caller's task is suspended meanwhile. Ends when it is released.
public final class UnboundResolver: MailResolver {
    private let policy: AddressPolicy
    private let lookups: LookupQueue

    /// Sets libunbound up and starts the thread; nothing is asked yet.
    ///
    /// - Throws: ``ResolverError`` if a file or address of the configuration cannot be read.
    public init(_ configuration: UnboundConfiguration) throws {
        self.policy = configuration.addressPolicy
        self.lookups = try LookupQueue(
            bound: configuration.waitingLookups + configuration.parallelLookups,
            timeout: configuration.timeout
        )
        try LookupThread.start(self.lookups, configuration)
    }

    deinit { self.lookups.stop() }

    /// The hosts that take mail for a domain, RFC 5321 §5.1 and RFC 7505.
    public func route(for asciiDomain: String) async -> MailRoute {
        let lookups = self.lookups
        return await MailRouting.route(for: asciiDomain, policy: self.policy) { name, type in
            await lookups.answer(name, type)
        }
    }

    /// The TXT records of a name.
    public func textRecords(_ name: String) async -> [String] {
        let name = MailRouting.normalised(name)
        guard MailRouting.isName(name), case .records(let records, _) = await self.lookups.answer(name, .txt) else {
            return []
        }
        return records.compactMap { if case .text(let text) = $0 { text } else { nil } }
    }
}

/// Whom to ask, and the bounds.
public struct UnboundConfiguration: Sendable, Hashable {
    /// Servers that answer for the whole DNS, as `192.0.2.1` or `192.0.2.1@5353`, tried in turn.
    public var forwardTo: [String] = []
    /// A file in the form of `/etc/resolv.conf` that names such servers; used if ``forwardTo`` is empty.
    ///
    /// If it is `nil` too, the root servers are asked and the way down is walked from there.
    public var resolvConf: String?
    /// A file with the root servers' addresses, instead of those built in.
    public var rootHints: String?
    /// A file with DNSSEC trust anchors; forged answers then are failures.
    ///
    /// `nil` does not validate.
    public var trustAnchors: String?
    /// How long one question may take, waiting included.
    public var timeout: Duration = .seconds(15)
    /// Questions under way, at most.
    public var parallelLookups = 256
    /// Questions waiting for their turn, at most; further ones fail at once, temporarily.
    public var waitingLookups = 16_384
    /// Bytes of the message cache, and again of the record cache, in libunbound.
    public var cacheBytes = 32 * 1_048_576
    /// Which addresses may be connected to.
    public var addressPolicy: AddressPolicy = .publicOnly

    /// The defaults: recursion from the root, public addresses only.
    public init() {}
}

/// Why a resolver could not be set up.
public struct ResolverError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was being done and why it failed.
    public let description: String

    init(_ description: String) { self.description = description }
}

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
