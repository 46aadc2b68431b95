// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import SatelliteJournal
import Synchronization

/// The leases that an earlier process has left in the journal, until they are taken up.
///
/// What was never started is prepared at once. What was started waits for the first Welcome: only the master can see whether this
/// journal is the newest, or whether the recipients may have been sent under a newer one.
final class RecoveredLeases: Sendable {
    private struct State {
        var started: [Preparation] = []
        var wasWelcomed = false
        /// The master has said that a newer journal was seen.
        var isDistrusted = false
    }

    private let state: Mutex<State>
    private let scheduler: SharedScheduler
    private let preparer: Preparer
    private let logger: Logger

    /// Has the scheduler hold what the journal holds, and prepared what was never started.
    init(_ recovery: Recovery, scheduler: SharedScheduler, preparer: Preparer, logger: Logger) {
        self.scheduler = scheduler
        self.preparer = preparer
        self.logger = logger
        var state = State()
        let now = ContinuousClock.now
        for held in recovery.heldLeases {
            let lease = HeldLease(held.grant, since: now)
            let waiting = held.neverStarted.indices
            let started = held.started.indices
            guard !waiting.isEmpty || !started.isEmpty else { continue }
            scheduler.withLock { $0.hold(lease, waiting: waiting, started: started) }
            if !waiting.isEmpty { preparer.prepare(lease, waiting) }
            if !started.isEmpty { state.started.append(Preparation(lease: lease, indices: started)) }
        }
        self.state = Mutex(state)
    }

    /// Recipients that wait for the first Welcome.
    var count: Int { self.state.withLock { Self.count($0.started) } }

    /// Goes on with what was started, or reports it as uncertain if the master has seen a newer journal.
    ///
    /// Called at each Welcome: what the master says of a process once, it says at each of its connections.
    func takeUp(isDistrusted: Bool) {
        let (started, isFirst, isNewlyDistrusted) = self.state.withLock { state in
            defer {
                state.started = []
                state.wasWelcomed = true
                state.isDistrusted = state.isDistrusted || isDistrusted
            }
            return (state.started, !state.wasWelcomed, isDistrusted && !state.isDistrusted)
        }
        guard isDistrusted, !started.isEmpty || (isNewlyDistrusted && !isFirst) else {
            for preparation in started { self.preparer.prepare(preparation.lease, preparation.indices) }
            return
        }
        let inHand = isFirst ? 0 : self.scheduler.withLock { $0.startedCount }
        self.logger.error(
            "the master has seen a newer journal of this satellite: recipients found started are uncertain and are not sent",
            metadata: ["recipients": "\(inHand + Self.count(started))"]
        )
        for preparation in started {
            self.scheduler.change { scheduler, now in
                scheduler.distrust(preparation.lease, preparation.indices, now: now)
            }
        }
        // Only the whole machine, memory and all, can have been set back under a process that the master knows.
        if !isFirst { self.scheduler.change { scheduler, _ in scheduler.distrustAll() } }
    }

    private static func count(_ preparations: [Preparation]) -> Int { preparations.reduce(0) { $0 + $1.indices.count } }
}

extension Recovery {
    /// Says what was found in the journal, and what has become of it.
    func log(_ journalID: String, to logger: Logger) {
        if let damage = self.damage {
            logger.critical(
                "the journal was damaged; what could be read goes on, the files are set aside",
                metadata: ["damage": "\(damage)"]
            )
        }
        if self.isCopy {
            logger.error(
                "the journal's files were copied or restored; recipients found started are uncertain and are not sent",
                metadata: ["recipients": "\(self.uncertain.count)"]
            )
        } else if !self.uncertain.isEmpty {
            logger.warning(
                "recipients are uncertain: an earlier process ended between their final dot and the reply",
                metadata: ["recipients": "\(self.uncertain.count)"]
            )
        }
        logger.info(
            "journal opened",
            metadata: [
                "journal": "\(journalID)", "leases": "\(self.heldLeases.count)",
                "reports": "\(self.unacknowledged.count)",
            ]
        )
    }
}
