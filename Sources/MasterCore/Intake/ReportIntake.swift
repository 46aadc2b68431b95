// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import MasterStore
import Synchronization

/// Applies reports, then acknowledges them; tries again for as long as the store fails.
final class ReportIntake: Sendable {
    private let store: MailingStore
    private let channel: any SatelliteChannel
    private let directory: SatelliteDirectory
    private let configuration: MasterConfiguration.Intake
    private let time: MasterTime
    private let health: StoreHealth
    private let rates: RateWindow
    private let logger: Logger
    private let queue: Mutex<ReportQueue>
    private let isStopping = Mutex(false)
    private let dropped = Mutex(0)
    private let unstarted = Mutex(0)
    private let signal = Signal()

    init(
        store: MailingStore,
        channel: any SatelliteChannel,
        directory: SatelliteDirectory,
        configuration: MasterConfiguration.Intake,
        time: MasterTime,
        health: StoreHealth,
        rates: RateWindow,
        logger: Logger
    ) {
        self.store = store
        self.channel = channel
        self.directory = directory
        self.configuration = configuration
        self.time = time
        self.health = health
        self.rates = rates
        self.logger = logger
        self.queue = Mutex(ReportQueue(maximum: configuration.maximumQueued))
    }

    /// Reports waiting, and when the oldest arrived.
    var waiting: (count: Int, oldest: Duration?) { self.queue.withLock { ($0.count, $0.oldest) } }

    /// Reports for deleted mailings or unknown recipients so far.
    var droppedCount: Int { self.dropped.withLock { $0 } }

    /// Reports of attempts that were made without permission to start, so far; 0 in health.
    var unstartedCount: Int { self.unstarted.withLock { $0 } }

    /// Queues reports; a satellite repeats those that don't fit, and those that come after the stop to the next master.
    func add(_ reports: [DeliveryReport], sequence: UInt64, from session: SatelliteSession) {
        // Otherwise the end would wait for as long as mail goes out.
        guard !self.isStopping.withLock({ $0 }) else { return }
        let batch = ReportQueue.Batch(
            session: session,
            sequence: sequence,
            reports: reports,
            arrived: self.time.elapsed()
        )
        if self.queue.withLock({ $0.add(batch) }) { self.signal.notify() }
    }

    /// A session has ended.
    func ended(_ session: SatelliteSession) { self.queue.withLock { $0.ended(session) } }

    /// Takes no more reports, and ends ``run(generation:applied:)`` once those that wait are applied, or at the next failure of the
    /// store.
    func stop() {
        self.isStopping.withLock { $0 = true }
        self.signal.notify()
    }

    /// Applies until stopped or cancelled.
    ///
    /// - Parameters:
    ///   - generation: Returns the generation of a satellite's counts, before its reports are applied.
    ///   - applied: Called with each batch after it is committed and acknowledged.
    func run(
        generation: @escaping @Sendable (SatelliteID) async -> Int,
        applied: @escaping @Sendable (ReportQueue.Work, IntakeResult, Int) async -> Void
    ) async {
        while !Task.isCancelled {
            let works = self.queue.withLock { $0.take(limit: self.configuration.maximumBatch) }
            if works.isEmpty {
                if self.isStopping.withLock({ $0 }) { return }
                await self.signal.wait()
                continue
            }
            await withTaskGroup { group in
                for work in works {
                    group.addTask {
                        let generation = await generation(work.satellite)
                        guard let result = await self.apply(work) else { return }
                        for (session, sequence) in work.acknowledgements {
                            _ = await self.channel.send(.reportsApplied(sequence: sequence), to: session)
                        }
                        await applied(work, result, generation)
                    }
                }
            }
        }
    }

    /// Applies until it succeeds; `nil` if it was stopped before.
    private func apply(_ work: ReportQueue.Work) async -> IntakeResult? {
        let reports = work.reports
        while true {
            do {
                CrashPoint.reached(.masterBeforeApply)
                let result = try await self.store.apply(
                    reports,
                    from: work.satellite,
                    at: self.time.now(),
                    journal: self.directory.sighting(of: work.satellite)
                )
                CrashPoint.reached(.masterAfterApply)
                self.count(result, from: work.satellite)
                self.health.succeeded("applying reports")
                return result
            } catch let error as StoreError where !error.isOutage {
                guard let result = await self.applySingly(reports, from: work.satellite) else { return nil }
                return result
            } catch {
                guard await self.waitAfter(error) else { return nil }
            }
        }
    }

    /// Applies reports one by one, because one of them cannot be applied at all: it must not hold up the others.
    private func applySingly(_ reports: [DeliveryReport], from satellite: SatelliteID) async -> IntakeResult? {
        var sum = IntakeResult()
        var rest = reports[...]
        while let report = rest.first {
            do {
                let result = try await self.store.apply([report], from: satellite, at: self.time.now())
                self.count(result, from: satellite)
                sum.add(result)
                rest.removeFirst()
            } catch let error as StoreError where !error.isOutage {
                self.logger.critical(
                    "a report cannot be applied and is given up; its recipient stays as it was",
                    metadata: [
                        "recipient": "\(report.recipient)", "lease": "\(report.lease)", "error": "\(error)",
                    ]
                )
                sum.dropped += 1
                self.dropped.withLock { $0 += 1 }
                rest.removeFirst()
            } catch {
                guard await self.waitAfter(error) else { return nil }
            }
        }
        self.health.succeeded("applying reports")
        return sum
    }

    /// Waits before the next try; returns `false` if the intake was stopped.
    private func waitAfter(_ error: any Error) async -> Bool {
        let wait = self.health.failed(error, while: "applying reports")
        if Task.isCancelled || self.isStopping.withLock({ $0 }) { return false }
        do {
            try await self.time.sleep(until: self.time.elapsed() + wait)
            return true
        } catch {
            return false  // Cancelled: the satellites keep what was not acknowledged.
        }
    }

    private func count(_ result: IntakeResult, from satellite: SatelliteID) {
        self.dropped.withLock { $0 += result.dropped }
        if result.unstarted > 0 {
            self.unstarted.withLock { $0 += result.unstarted }
            self.logger.error(
                "a satellite talked to mail servers about recipients that it had no permission to start",
                metadata: ["satellite": "\(satellite)", "recipients": "\(result.unstarted)"]
            )
        }
        // Repeated reports were counted when they came first.
        guard result.applied > 0 else { return }
        var counts = RateWindow.Counts()
        for outcome in result.outcomes { counts.count(outcome) }
        self.rates.add(counts)
    }
}

extension StoreError {
    /// Whether the store as a whole fails, so that the same call may succeed later.
    var isOutage: Bool {
        switch self.code {
        case .full, .database, .locked, .fenced, .refused: true
        case .unknownMailing, .mailingFinished, .unknownRecord, .conflict, .newerSchema, .corrupt: false
        }
    }
}

extension IntakeResult {
    /// Adds the result of another batch.
    mutating func add(_ other: IntakeResult) {
        self.outcomes += other.outcomes
        self.unstarted += other.unstarted
        self.repeated += other.repeated
        self.dropped += other.dropped
        self.requeued += other.requeued
        self.mailings.formUnion(other.mailings)
        self.closedLeases += other.closedLeases
        if let retry = other.earliestRetry { self.earliestRetry = min(self.earliestRetry ?? retry, retry) }
    }
}

/// A bounded queue of reports that wait for the store; pure.
///
/// What does not fit is dropped, and with it everything later from the same session until the dropped batch comes again:
/// an acknowledgement covers all earlier numbers, so none may be skipped.
struct ReportQueue: Sendable {
    /// A numbered batch of reports from one satellite.
    struct Batch: Sendable {
        var session: SatelliteSession
        var sequence: UInt64
        var reports: [DeliveryReport]
        /// When it arrived, on the measuring clock.
        var arrived: Duration
    }

    /// Batches of one satellite that are applied together.
    struct Work: Sendable {
        var satellite: SatelliteID
        var batches: [Batch]

        var reports: [DeliveryReport] { self.batches.flatMap(\.reports) }

        /// What each session may be sent, in order of arrival.
        var acknowledgements: [(session: SatelliteSession, sequence: UInt64)] {
            var result: [(session: SatelliteSession, sequence: UInt64)] = []
            for batch in self.batches {
                if let index = result.firstIndex(where: { $0.session == batch.session }) {
                    result[index].sequence = max(result[index].sequence, batch.sequence)
                } else {
                    result.append((batch.session, batch.sequence))
                }
            }
            return result
        }
    }

    let maximum: Int
    /// Reports waiting.
    private(set) var count = 0
    private var batches: [SatelliteID: [Batch]] = [:]
    private var holes: [SatelliteSession: UInt64] = [:]

    init(maximum: Int) { self.maximum = max(maximum, 1) }

    /// When the oldest waiting batch arrived.
    var oldest: Duration? { self.batches.values.compactMap { $0.first?.arrived }.min() }

    /// Queues a batch; returns `false` if it was dropped.
    mutating func add(_ batch: Batch) -> Bool {
        if let hole = self.holes[batch.session] {
            guard batch.sequence <= hole else { return false }
        }
        // A satellite repeats what was not acknowledged in time; what still waits here need not wait twice.
        let isRepeated = self.batches[batch.session.satellite]?.contains {
            $0.session == batch.session && $0.sequence == batch.sequence
        }
        if isRepeated == true { return false }
        // An empty queue takes a batch of any size: otherwise one that is too long would never get in.
        guard self.count == 0 || self.count + batch.reports.count <= self.maximum else {
            self.holes[batch.session] = min(self.holes[batch.session] ?? batch.sequence, batch.sequence)
            return false
        }
        if self.holes[batch.session] == batch.sequence { self.holes[batch.session] = nil }
        self.batches[batch.session.satellite, default: []].append(batch)
        self.count += batch.reports.count
        return true
    }

    /// Removes and returns the next batches of each satellite.
    ///
    /// - Parameter limit: Reports of one satellite at most; a single longer batch is taken whole.
    /// - Returns: One piece of work for each satellite with something waiting.
    mutating func take(limit: Int) -> [Work] {
        var works: [Work] = []
        for satellite in self.batches.keys.sorted() {
            guard var waiting = self.batches[satellite] else { continue }
            var size = 0
            var end = 0
            while end < waiting.count, end == 0 || size + waiting[end].reports.count <= limit {
                size += waiting[end].reports.count
                end += 1
            }
            works.append(Work(satellite: satellite, batches: Array(waiting[..<end])))
            waiting.removeFirst(end)
            self.batches[satellite] = waiting.isEmpty ? nil : waiting
            self.count -= size
        }
        return works
    }

    /// Forgets a session that has ended; what it sent is still applied.
    mutating func ended(_ session: SatelliteSession) { self.holes[session] = nil }
}
