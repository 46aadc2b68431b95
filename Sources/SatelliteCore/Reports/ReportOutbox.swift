// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MailingModel

/// Reports on their way to the master: numbered batches in a window, repeated until acknowledged: after each
/// reconnection, and when nothing was acknowledged for a while (a master whose queue was full has dropped them).
///
/// An acknowledgement covers every earlier number. So a batch goes out over the connection for which it was taken out or
/// not at all: over a later one, of which nothing is known here yet, its acknowledgement would cover earlier batches
/// that were lost with the former.
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
    private var connection: UInt64?
    /// When the master last acknowledged something, or was given something to acknowledge.
    private var progressed: ContinuousClock.Instant = .now

    init(batchSize: Int, window: Int) {
        self.batchSize = max(1, batchSize)
        self.window = max(1, window)
    }

    /// Reports that the master has not acknowledged.
    var backlog: Int { self.waiting.count + self.inFlight.reduce(0) { $0 + $1.reports.count } }

    /// Adds reports.
    mutating func append(_ reports: some Sequence<DeliveryReport>) { self.waiting.append(contentsOf: reports) }

    /// The next batch to be sent now and the only connection that may carry it, if the window allows one.
    mutating func next(now: ContinuousClock.Instant) -> (batch: Batch, connection: UInt64)? {
        guard let connection else { return nil }
        if self.unsent > 0 {
            defer { self.unsent -= 1 }
            return (self.inFlight[self.inFlight.count - self.unsent], connection)
        }
        guard self.inFlight.count < self.window, !self.waiting.isEmpty else { return nil }
        let count = min(self.batchSize, self.waiting.count)
        let batch = Batch(sequence: self.nextSequence, reports: Array(self.waiting.prefix(count)))
        self.waiting.removeFirst(count)
        self.nextSequence += 1
        if self.inFlight.isEmpty { self.progressed = now }
        self.inFlight.append(batch)
        return (batch, connection)
    }

    /// Takes out what the master has applied: every batch up to `sequence`.
    mutating func acknowledged(_ sequence: UInt64, now: ContinuousClock.Instant) -> [DeliveryReport] {
        var reports: [DeliveryReport] = []
        if let first = self.inFlight.first, first.sequence <= sequence { self.progressed = now }
        while let first = self.inFlight.first, first.sequence <= sequence {
            reports += first.reports
            self.inFlight.removeFirst()
        }
        self.unsent = min(self.unsent, self.inFlight.count)
        return reports
    }

    /// A master is there: everything unacknowledged is due again, in order.
    mutating func connected(_ connection: UInt64, now: ContinuousClock.Instant) {
        self.connection = connection
        self.unsent = self.inFlight.count
        self.progressed = now
    }

    /// The master is gone.
    mutating func disconnected() { self.connection = nil }

    /// Makes everything unacknowledged due again if nothing was acknowledged for so long.
    ///
    /// - Returns: Whether something is to be repeated.
    mutating func repeatOverdue(after patience: Duration, now: ContinuousClock.Instant) -> Bool {
        guard self.connection != nil, !self.inFlight.isEmpty, now - self.progressed >= patience else { return false }
        self.unsent = self.inFlight.count
        self.progressed = now
        return true
    }
}
