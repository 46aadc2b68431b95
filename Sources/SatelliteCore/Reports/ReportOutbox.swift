// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MailingModel

/// Reports on their way to the master: numbered batches in a window, repeated after each reconnection until acknowledged.
///
/// Pure. Everything in it is in the journal, so that it needs no bound of its own: what is started is bounded.
struct ReportOutbox {
    struct Batch: Sendable, Equatable {
        var sequence: UInt64
        var reports: [DeliveryReport]
    }

    private let batchSize: Int
    private let window: Int
    private var waiting = Deque<DeliveryReport>()
    private var inFlight = Deque<Batch>()
    private var unsent = 0
    private var nextSequence: UInt64 = 1
    private(set) var isConnected = false

    init(batchSize: Int, window: Int) {
        self.batchSize = max(1, batchSize)
        self.window = max(1, window)
    }

    /// Reports that the master has not acknowledged.
    var backlog: Int { self.waiting.count + self.inFlight.reduce(0) { $0 + $1.reports.count } }

    /// Adds reports.
    mutating func append(_ reports: some Sequence<DeliveryReport>) { self.waiting.append(contentsOf: reports) }

    /// The next batch to be sent now, if the window allows one.
    mutating func next() -> Batch? {
        guard self.isConnected else { return nil }
        if self.unsent > 0 {
            defer { self.unsent -= 1 }
            return self.inFlight[self.inFlight.count - self.unsent]
        }
        guard self.inFlight.count < self.window, !self.waiting.isEmpty else { return nil }
        let count = min(self.batchSize, self.waiting.count)
        let batch = Batch(sequence: self.nextSequence, reports: Array(self.waiting.prefix(count)))
        self.waiting.removeFirst(count)
        self.nextSequence += 1
        self.inFlight.append(batch)
        return batch
    }

    /// Takes out what the master has applied: every batch up to `sequence`.
    mutating func acknowledged(_ sequence: UInt64) -> [DeliveryReport] {
        var reports: [DeliveryReport] = []
        while let first = self.inFlight.first, first.sequence <= sequence {
            reports += first.reports
            self.inFlight.removeFirst()
        }
        self.unsent = min(self.unsent, self.inFlight.count)
        return reports
    }

    /// A master is there: everything unacknowledged is due again, in order.
    mutating func connected() {
        self.isConnected = true
        self.unsent = self.inFlight.count
    }

    /// The master is gone.
    mutating func disconnected() { self.isConnected = false }
}
