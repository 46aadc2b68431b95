// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization
import ZeroMQ

/// Counts trouble by kind and logs it at a bounded rate.
final class TroubleLog: Sendable {
    private struct State {
        var limits: [String: RateLimit] = [:]
        var counts: [String: UInt64] = [:]
    }

    let logger: Logger
    private let interval: Duration
    private let state = Mutex(State())

    init(_ logger: Logger, every interval: Duration) {
        self.logger = logger
        self.interval = interval
    }

    var counts: [String: UInt64] { self.state.withLock { $0.counts } }

    /// Counts one, and logs it unless one of its kind was logged a short while ago.
    ///
    /// - Returns: Whether it was logged.
    @discardableResult
    func warn(_ kind: String, _ text: String, _ metadata: Logger.Metadata = [:]) -> Bool {
        let suppressed = self.state.withLock { state in
            state.counts[kind, default: 0] &+= 1
            return state.limits[kind, default: RateLimit()].pass(every: self.interval)
        }
        guard let suppressed else { return false }
        var metadata = metadata
        metadata["reason"] = "\(text)"
        if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
        self.logger.warning("cluster link error", metadata: metadata)
        return true
    }
}
