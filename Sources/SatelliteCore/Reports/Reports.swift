// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DequeModule
import Glibc
import Logging
import MailingModel
import SatelliteJournal
import Synchronization

/// What attempts come to: written to the journal, counted, and reported to the master until it has acknowledged it.
///
/// Dots and ends of attempts are recorded on event loops, many at a time are published from one. Where the journal cannot be
/// written nothing is reported, and the satellite stops.
final class Reports: Sendable {
    private let journal: Journal
    private let condition: Condition
    private let logger: Logger
    private let patience: Duration
    private let outbox: Mutex<ReportOutbox>
    private let counters: Mutex<AttemptCounters>
    private let ready = Signal()

    /// Begins with what an earlier process has left to be reported.
    init(
        _ journal: Journal,
        _ recovery: Recovery,
        configuration: SatelliteConfiguration,
        condition: Condition,
        logger: Logger
    ) {
        self.journal = journal
        self.condition = condition
        self.logger = logger
        self.patience = configuration.reportRepetition
        var outbox = ReportOutbox(batchSize: configuration.reportBatch, window: configuration.reportsInFlight)
        outbox.append(recovery.unacknowledged)
        outbox.append(recovery.uncertain)
        self.outbox = Mutex(outbox)
        self.counters = Mutex(AttemptCounters(tick: configuration.tick))
    }

    // MARK: Attempts

    /// Hands the record of an imminent final dot to the journal.
    ///
    /// - Returns: Whether the dot may be sent.
    func recordDot(_ recipient: QueuedRecipient) -> Bool {
        do {
            try self.journal.recordDot(recipient.lease.serial, entry: recipient.index)
            return true
        } catch {
            self.condition.fail(error)
            return false
        }
    }

    /// Hands the end of an attempt to the journal; ``publish(_:)`` follows.
    ///
    /// - Returns: Its report; `nil` if that failed, and the process is about to stop.
    func recordDone(_ recipient: QueuedRecipient, _ outcome: DeliveryOutcome) -> DeliveryReport? {
        let now = WallClock.now()
        do {
            try self.journal.recordDone(recipient.lease.serial, entry: recipient.index, outcome, endedAt: now)
            return recipient.report(outcome, endedAt: now)
        } catch {
            self.condition.fail(error)
            return nil
        }
    }

    /// Reports attempts whose ends the journal has been handed, once it has written them.
    ///
    /// - Returns: Whether it has.
    func publish(_ reports: [DeliveryReport]) -> Bool {
        do {
            try self.journal.flush()
        } catch {
            self.condition.fail(error)
            return false
        }
        CrashPoint.reached(.satelliteAfterDone)
        self.outbox.withLock { $0.append(reports) }
        self.ready.notify()
        self.counters.withLock { $0.add(reports) }
        return true
    }

    // MARK: The master

    /// A master is there: everything unacknowledged is sent over this connection.
    func connected(_ connection: UInt64) {
        self.outbox.withLock { $0.connected(connection, now: .now) }
        self.ready.notify()
    }

    /// The master is gone.
    func disconnected() { self.outbox.withLock { $0.disconnected() } }

    /// Takes out what the master has applied, every batch up to `sequence`; more may be sent then.
    func acknowledged(_ sequence: UInt64) -> [DeliveryReport] {
        let reports = self.outbox.withLock { $0.acknowledged(sequence, now: .now) }
        self.ready.notify()
        return reports
    }

    /// Sends batches as the window allows, until the task is cancelled.
    func send(over uplink: any MasterUplink) async {
        for await _ in self.ready.stream {
            while let (batch, connection) = self.outbox.withLock({ $0.next(now: .now) }) {
                await uplink.transmit(.reports(sequence: batch.sequence, batch.reports), over: connection)
            }
        }
    }

    /// Repeats what was not acknowledged for long, and measures the rate of attempts; called once a tick.
    func tick(_ now: ContinuousClock.Instant) {
        if self.outbox.withLock({ $0.repeatOverdue(after: self.patience, now: now) }) {
            self.logger.warning("the master has not acknowledged reports for a while; they are repeated")
        }
        self.ready.notify()
        self.counters.withLock { $0.measure() }
    }

    // MARK: For the status

    /// Reports that the master has not acknowledged.
    var backlog: Int { self.outbox.withLock { $0.backlog } }

    /// Attempts since the start of the process.
    var counts: AttemptCounters { self.counters.withLock { $0 } }
}

/// Counts of attempts by outcome since the start of the process, for the status; metrics are made of it.
struct AttemptCounters: Sendable {
    private(set) var delivered: UInt64 = 0
    private(set) var deferred: UInt64 = 0
    private(set) var failed: UInt64 = 0
    private(set) var unrenderable: UInt64 = 0
    private(set) var uncertain: UInt64 = 0
    /// The total at each tick of the last minute, the oldest first.
    private var totals: [UInt64] = []
    private let ticksPerMinute: Int

    init(tick: Duration) { self.ticksPerMinute = max(1, Int(60 / max(0.01, tick / .seconds(1)))) }

    var total: UInt64 { self.delivered + self.deferred + self.failed + self.unrenderable + self.uncertain }

    /// Attempts that ended within the last minute.
    var lastMinute: Int { Int(clamping: self.total - (self.totals.first ?? self.total)) }

    /// Counts a batch.
    mutating func add(_ reports: [DeliveryReport]) {
        for report in reports {
            switch report.outcome {
            case .delivered: self.delivered += 1
            case .deferred: self.deferred += 1
            case .failed: self.failed += 1
            case .unrenderable: self.unrenderable += 1
            case .uncertain: self.uncertain += 1
            }
        }
    }

    /// Takes note of the present total; called once a tick.
    mutating func measure() {
        self.totals.append(self.total)
        if self.totals.count > self.ticksPerMinute {
            self.totals.removeFirst(self.totals.count - self.ticksPerMinute)
        }
    }
}

/// The civil clock, for what people read; no wait is measured by it.
enum WallClock {
    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}

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
