// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Synchronization

/// Counts of attempts by outcome, for the status; metrics are made of it.
final class AttemptCounters: Sendable {
    struct Counts: Sendable {
        var delivered: UInt64 = 0
        var deferred: UInt64 = 0
        var failed: UInt64 = 0
        var unrenderable: UInt64 = 0
        var uncertain: UInt64 = 0

        var total: UInt64 { self.delivered + self.deferred + self.failed + self.unrenderable + self.uncertain }
    }

    private let counts = Mutex(Counts())

    var values: Counts { self.counts.withLock { $0 } }

    /// Counts a batch.
    func add(_ attempts: [FinishedAttempt]) {
        var batch = Counts()
        for attempt in attempts {
            switch attempt.report.outcome {
            case .delivered: batch.delivered += 1
            case .deferred: batch.deferred += 1
            case .failed: batch.failed += 1
            case .unrenderable: batch.unrenderable += 1
            case .uncertain: batch.uncertain += 1
            }
        }
        self.counts.withLock { counts in
            counts.delivered += batch.delivered
            counts.deferred += batch.deferred
            counts.failed += batch.failed
            counts.unrenderable += batch.unrenderable
            counts.uncertain += batch.uncertain
        }
    }
}
