// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// Counts attempts to authenticate that failed, by address and by credential, and says when there were too many.
///
/// It is asked after a wrong secret only, so that a right one is never held up. Counts fall with time, so that a client that is
/// wrong now and then is not affected. Memory is bounded.
public final class FailedAttempts: Sendable {
    /// The bounds.
    public struct Limits: Sendable, Hashable {
        /// Failures of one address, and of one credential, that are answered like any other.
        public var burst = 20
        /// By how many a count falls each minute.
        public var perMinute = 20
        /// How many addresses and credentials are remembered, each.
        public var remembered = 10_000

        /// The default limits.
        public init() {}
    }

    /// The failures of an address or of a credential at an instant; falls by ``Limits/perMinute``.
    private struct Count {
        var failures: Double
        var at: Duration
    }

    private struct State {
        var addresses: [String: Count] = [:]
        var credentials: [String: Count] = [:]
        /// Failures since the last line of the log, and where they came from.
        var unlogged = 0
        var lastAddress = ""
        var logged: Duration?
    }

    private static let logInterval = Duration.seconds(60)

    private let limits: Limits
    private let elapsed: @Sendable () -> Duration
    private let logger: Logger
    private let state = Mutex(State())

    /// Counts from now on.
    ///
    /// - Parameters:
    ///   - limits: The bounds.
    ///   - elapsed: The time on a clock that nobody sets.
    ///   - logger: Gets one line a minute, with the number of failures.
    init(limits: Limits = Limits(), elapsed: @escaping @Sendable () -> Duration, logger: Logger) {
        self.limits = limits
        self.elapsed = elapsed
        self.logger = logger
    }

    /// How many addresses and credentials are remembered now.
    var remembered: Int { self.state.withLock { $0.addresses.count + $0.credentials.count } }

    /// Counts a failure.
    ///
    /// - Parameters:
    ///   - address: Whose attempt it was, an IPv6 address by its first half; `nil` for none.
    ///   - credential: The credential that was named; `nil` if it is not known to exist.
    /// - Returns: How long to wait before the next attempt; `nil` if there were few.
    public func failed(address: String?, credential: String?) -> Duration? {
        let now = self.elapsed()
        let (pause, report) = self.state.withLock { state -> (Duration?, (count: Int, address: String)?) in
            var failures = 0.0
            if let address { failures = self.count(address, in: &state.addresses, now) }
            if let credential { failures = max(failures, self.count(credential, in: &state.credentials, now)) }
            state.unlogged += 1
            state.lastAddress = address ?? "local"
            let report = self.dueReport(&state, now)
            // After the pause there is room for one more.
            let excess = failures + 1 - Double(self.limits.burst)
            return (excess > 1 ? .seconds(excess * 60 / Double(self.limits.perMinute)) : nil, report)
        }
        self.log(report)
        return pause
    }

    /// Logs what has failed since the last line, if it is a minute old; called now and then, so that the end of an attack is
    /// logged as well.
    func logRest() {
        let now = self.elapsed()
        self.log(self.state.withLock { $0.unlogged > 0 ? self.dueReport(&$0, now) : nil })
    }

    private func dueReport(_ state: inout State, _ now: Duration) -> (count: Int, address: String)? {
        guard state.logged.map({ now - $0 >= Self.logInterval }) ?? true else { return nil }
        defer { (state.unlogged, state.logged) = (0, now) }
        return (state.unlogged, state.lastAddress)
    }

    private func log(_ report: (count: Int, address: String)?) {
        guard let report else { return }
        self.logger.warning(
            "attempts to authenticate have failed",
            metadata: ["count": "\(report.count)", "last_address": "\(report.address)"]
        )
    }

    /// Adds one to a count that has drained meanwhile; returns how many there are.
    ///
    /// No count exceeds twice the burst, so that it takes a minute or two at most until a failure is answered as any other.
    private func count(_ key: String, in counts: inout [String: Count], _ now: Duration) -> Double {
        if counts[key] == nil, counts.count >= self.limits.remembered { self.forget(&counts, now) }
        let known = counts[key].map { self.drained($0, now) } ?? 0
        let failures = min(known + 1, Double(self.limits.burst * 2))
        counts[key] = Count(failures: failures, at: now)
        return failures
    }

    private func drained(_ count: Count, _ now: Duration) -> Double {
        max(0, count.failures - (now - count.at) / .seconds(60) * Double(self.limits.perMinute))
    }

    /// Makes room: drops what has drained, or, if that is little, the smaller half.
    private func forget(_ counts: inout [String: Count], _ now: Duration) {
        counts = counts.filter { self.drained($0.value, now) > 0 }
        guard counts.count > self.limits.remembered * 3 / 4 else { return }
        let kept = counts.sorted { self.drained($0.value, now) > self.drained($1.value, now) }
            .prefix(self.limits.remembered / 2)
        counts = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}
