// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel

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
