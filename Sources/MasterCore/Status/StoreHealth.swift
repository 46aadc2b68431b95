// SPDX-License-Identifier: Apache-2.0

import Logging
import MasterStore
import Synchronization

/// Whether the store answers; one log line when it stops and one when it is back.
final class StoreHealth: Sendable {
    private struct State {
        /// Consecutive failures, by caller.
        var failures: [String: Int] = [:]
        var reason: String?
    }

    private let state = Mutex(State())
    private let first: Duration
    private let longest: Duration
    private let logger: Logger

    init(configuration: MasterConfiguration.Intake, logger: Logger) {
        self.first = configuration.firstRetry
        self.longest = configuration.longestRetry
        self.logger = logger
    }

    /// Why the store is not trusted to answer, or `nil`.
    var problem: String? { self.state.withLock { $0.reason } }

    /// Notes a failure.
    ///
    /// - Parameters:
    ///   - error: What the store threw.
    ///   - work: What failed, as a phrase that follows "while".
    /// - Returns: How long to wait before the next try.
    func failed(_ error: any Error, while work: String) -> Duration {
        let (count, isNew) = self.state.withLock { state -> (Int, Bool) in
            let isNew = state.reason == nil
            state.failures[work, default: 0] += 1
            state.reason = "the store fails while \(work): \(error)"
            return (state.failures[work] ?? 1, isNew)
        }
        if isNew {
            self.logger.error(
                "the store fails; nothing is acknowledged and everything is tried again until it answers",
                metadata: ["work": "\(work)", "error": "\(error)"]
            )
        }
        return min(self.longest, self.first * Double(UInt64(1) << UInt64(min(count - 1, 20))))
    }

    /// Notes a failure and waits before the next try; returns at once if it is only the task that was cancelled.
    func pause(after error: any Error, while work: String, by time: MasterTime) async {
        if error is CancellationError { return }
        let wait = self.failed(error, while: work)
        // Cancelled is as good as over.
        try? await time.sleep(until: time.elapsed() + wait)
    }

    /// Notes a success.
    func succeeded(_ work: String) {
        let isBack = self.state.withLock { state -> Bool in
            guard state.failures.removeValue(forKey: work) != nil, state.failures.isEmpty else { return false }
            state.reason = nil
            return true
        }
        if isBack { self.logger.notice("the store answers again", metadata: ["work": "\(work)"]) }
    }
}
