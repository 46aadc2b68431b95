// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Metrics
import Synchronization

/// Counts of attempts by outcome, for the status and for metrics.
final class AttemptCounters: Sendable {
    struct Counts: Sendable {
        var delivered: UInt64 = 0
        var deferred: UInt64 = 0
        var failed: UInt64 = 0
        var unrenderable: UInt64 = 0
        var uncertain: UInt64 = 0

        var total: UInt64 { self.delivered + self.deferred + self.failed + self.unrenderable + self.uncertain }
    }

    private static let names = ["delivered", "deferred", "failed", "unrenderable", "uncertain"]

    private let counts = Mutex(Counts())
    private let counters: [Counter]
    private let gauges: [Gauge]

    init() {
        self.counters = Self.names.map { Counter(label: "telstar_satellite_attempts", dimensions: [("outcome", $0)]) }
        self.gauges = [
            Gauge(label: "telstar_satellite_connections"),
            Gauge(label: "telstar_satellite_waiting_recipients"),
            Gauge(label: "telstar_satellite_started_recipients"),
            Gauge(label: "telstar_satellite_unacknowledged_reports"),
            Gauge(label: "telstar_satellite_journal_available_octets"),
        ]
    }

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
        let values = [batch.delivered, batch.deferred, batch.failed, batch.unrenderable, batch.uncertain]
        for (counter, value) in zip(self.counters, values) where value > 0 { counter.increment(by: Int64(value)) }
    }

    /// Sets the gauges.
    func record(connections: Int, waiting: Int, started: Int, reports: Int, journalAvailable: Int) {
        for (gauge, value) in zip(self.gauges, [connections, waiting, started, reports, journalAvailable]) {
            gauge.record(Int64(value))
        }
    }
}
