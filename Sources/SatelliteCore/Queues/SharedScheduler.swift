// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
import MailingModel
import Synchronization

/// The delivery scheduler behind its lock, for everybody who changes it; carries out what each change asks for.
///
/// Actions are carried out after the lock was let go, by the thread that made the change, and may lead to further changes.
final class SharedScheduler: Sendable {
    private let scheduler: Mutex<DeliveryScheduler>
    private let connections: ConnectionPool
    private let reports: Reports
    private let inbox: LeaseInbox
    private let logger: Logger
    /// There may be something to request start permission for.
    private let starting = Signal()

    /// - Parameters:
    ///   - scheduler: With what an earlier process has left.
    ///   - connections: Opens, wakes and drains connections.
    ///   - reports: Takes attempts that end without a connection.
    ///   - inbox: Takes recipients that are returned, or were refused.
    ///   - logger: Takes which sites are left alone.
    init(
        _ scheduler: DeliveryScheduler,
        connections: ConnectionPool,
        reports: Reports,
        inbox: LeaseInbox,
        logger: Logger
    ) {
        self.scheduler = Mutex(scheduler)
        self.connections = connections
        self.reports = reports
        self.inbox = inbox
        self.logger = logger
    }

    /// Changes the scheduler and carries out what follows; from any thread.
    func change(_ body: (inout DeliveryScheduler, ContinuousClock.Instant) -> SchedulerActions) {
        let now = ContinuousClock.now
        let actions = self.scheduler.withLock { scheduler in body(&scheduler, now) }
        self.perform(actions)
    }

    /// Looks at the scheduler, or changes what asks for no action.
    func withLock<Result: Sendable>(_ body: (inout DeliveryScheduler) -> Result) -> Result {
        self.scheduler.withLock { body(&$0) }
    }

    /// Gives a connection its next block; an empty one marks it idle.
    func take(for request: OpenRequest) -> [QueuedRecipient] {
        let recipients = self.scheduler.withLock { $0.take(for: request.id, at: request.site, now: .now) }
        if !recipients.isEmpty { self.starting.notify() }
        return recipients
    }

    /// Reports attempts that connections have made and the journal has been handed, and counts them.
    func ended(_ attempts: [FinishedAttempt]) {
        guard self.reports.publish(attempts.map(\.report)) else { return }
        let ended = attempts.map { (site: $0.site, lease: $0.report.lease, clears: $0.clears) }
        self.change { scheduler, now in scheduler.ended(ended, now: now) }
    }

    // MARK: Start requests

    /// Requests start permission whenever there may be something to request it for, until the task is cancelled.
    func requestStarts(over uplink: any MasterUplink) async {
        for await _ in self.starting.stream {
            let plan = self.scheduler.withLock { $0.planStarts(now: .now) }
            for (lease, entries) in plan { await uplink.transmit(.start(lease, entries)) }
        }
    }

    /// There may be something to request start permission for.
    func notifyStarts() { self.starting.notify() }

    // MARK: Carrying out

    private func perform(_ actions: SchedulerActions) {
        guard !actions.isEmpty else { return }
        if !actions.wake.isEmpty { self.connections.forEach(of: actions.wake) { $0.wake() } }
        for request in actions.open {
            if self.connections.open(request) { continue }
            // Not running yet, or not any more: another request would fare no better.
            self.scheduler.withLock { $0.notOpened(request) }
        }
        if !actions.drain.isEmpty { self.connections.forEach(of: actions.drain) { $0.drain() } }
        for pause in actions.pauses { self.log(pause) }
        if !actions.finished.isEmpty {
            _ = self.reports.publish(
                actions.finished.compactMap { self.reports.recordDone($0.recipient, $0.outcome) }
            )
        }
        if !actions.returned.isEmpty || !actions.refused.isEmpty {
            self.inbox.add(returned: actions.returned, refused: actions.refused)
        }
        if actions.recall { self.connections.forEach { $0.returnRevoked() } }
        if actions.mayStart { self.starting.notify() }
    }

    private func log(_ pause: SitePause) {
        var metadata: Logger.Metadata = [
            "site": "\(pause.site)", "stage": "\(pause.trace.stage.rawValue)", "reason": "\(pause.trace.summary)",
            "about": "\(pause.subject.rawValue)", "seconds": "\(Int((pause.duration / .seconds(1)).rounded(.up)))",
            "waiting_again": "\(pause.held)", "deferred": "\(pause.deferred)",
        ]
        if let host = pause.trace.mxHost { metadata["mx"] = "\(host)" }
        guard pause.subject != .configuration else {
            return self.logger.error(
                "a site objects to how this satellite or the sender's domain is set up; it is left alone for a while",
                metadata: metadata
            )
        }
        // A host that does not answer is everyday for a large audience; a reply is worth reading.
        let level: Logger.Level = pause.trace.replyCode == nil ? .info : .warning
        self.logger.log(level: level, "a site cannot be used and is left alone for a while", metadata: metadata)
    }
}

/// What is to be done after a change of the scheduler; carried out without its lock.
struct SchedulerActions: Sendable {
    /// Connections that have something to pull.
    var wake: [ConnectionID] = []
    /// Connections to open.
    var open: [OpenRequest] = []
    /// Attempts that ended without a connection.
    var finished: [(recipient: QueuedRecipient, outcome: DeliveryOutcome)] = []
    /// Recipients returned to the master.
    var returned: [(lease: LeaseSerial, entries: EntryBitmap)] = []
    /// Connections that take nothing more and leave when what they have begun is over.
    var drain: [ConnectionID] = []
    /// Sites that were paused.
    var pauses: [SitePause] = []
    /// Recipients that the master refused: the journal closes them, nobody needs to be notified.
    var refused: [(lease: LeaseSerial, entries: EntryBitmap)] = []
    /// Whether there may be something to request permission for.
    var mayStart = false
    /// Whether connections may hold recipients of revoked leases.
    var recall = false

    var isEmpty: Bool {
        self.wake.isEmpty && self.open.isEmpty && self.drain.isEmpty && self.pauses.isEmpty && self.finished.isEmpty
            && self.returned.isEmpty && self.refused.isEmpty
            && !self.mayStart && !self.recall
    }

    /// Adds what another change asks for.
    mutating func append(_ other: SchedulerActions) {
        self.wake += other.wake
        self.open += other.open
        self.drain += other.drain
        self.pauses += other.pauses
        self.finished += other.finished
        self.returned += other.returned
        self.refused += other.refused
        self.mayStart = self.mayStart || other.mayStart
        self.recall = self.recall || other.recall
    }
}

/// A site is left alone for a while.
struct SitePause: Sendable {
    /// The site's name.
    var site: String
    /// What was met.
    var trace: AttemptTrace
    /// Whom it is about.
    var subject: OutcomePolicy.Subject
    /// For how long.
    var duration: Duration
    /// Started recipients that nobody had tried: they go back to the site's queue.
    var held: Int
    /// Recipients whose attempt is deferred, because the site has been failing for long.
    var deferred: Int
}

/// A connection to be opened.
struct OpenRequest: Sendable {
    var id: ConnectionID
    var site: String
    var candidates: [Site.Candidate]
}

/// Identifies a connection within the process.
struct ConnectionID: Hashable, Sendable {
    let number: UInt64
}
