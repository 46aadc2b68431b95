// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Synchronization

/// Counts of the last minute, second by second.
final class RateWindow: Sendable {
    /// The kinds of events that are counted.
    struct Counts: Sendable, Hashable {
        var attempts = 0
        var delivered = 0
        var deferred = 0
        var failed = 0
        var leased = 0

        /// Counts one report.
        mutating func count(_ outcome: DeliveryOutcome) {
            self.attempts += 1
            switch outcome {
            case .delivered: self.delivered += 1
            case .deferred: self.deferred += 1
            case .failed, .unrenderable, .uncertain: self.failed += 1
            }
        }

        mutating func add(_ other: Counts) {
            self.attempts += other.attempts
            self.delivered += other.delivered
            self.deferred += other.deferred
            self.failed += other.failed
            self.leased += other.leased
        }
    }

    private struct Slot {
        var second: Int64 = -1
        var counts = Counts()
    }

    private let slots = Mutex([Slot](repeating: Slot(), count: 60))
    private let time: MasterTime

    init(time: MasterTime) { self.time = time }

    /// Adds to the second of now.
    func add(_ counts: Counts) {
        let second = self.time.elapsed().components.seconds
        self.slots.withLock { slots in
            let index = Int(second % 60)
            if slots[index].second != second { slots[index] = Slot(second: second) }
            slots[index].counts.add(counts)
        }
    }

    /// The sum of the last sixty seconds.
    var lastMinute: Counts {
        let second = self.time.elapsed().components.seconds
        return self.slots.withLock { slots in
            var sum = Counts()
            for slot in slots where slot.second >= 0 && slot.second > second - 60 { sum.add(slot.counts) }
            return sum
        }
    }
}
