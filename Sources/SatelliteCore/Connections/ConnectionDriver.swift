// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel
import NIOCore
import SMTP
import Synchronization

/// Makes one connection to a site and feeds it: tries the site's addresses in order, takes blocks of recipients, renders and
/// signs each when the connection asks for it, journals dot and outcome.
///
/// Lives on one event loop; nothing here waits.
final class ConnectionDriver: SMTPConnectionDelegate {
    private let request: OpenRequest
    private let connections: ConnectionPool
    private let context: LoopContext
    private let scheduler: SharedScheduler
    private let reports: Reports
    private var remaining: ArraySlice<Site.Candidate>
    private var connection: SMTPConnection?
    private var isReady = false
    private var hasWorked = false
    private var isDraining = false
    /// Whether the present connection is in plaintext because TLS failed with its host before.
    private var isFallback = false
    private var lastFailure: AttemptTrace?

    /// Taken, not begun.
    private var block: ArraySlice<QueuedRecipient> = []
    /// With the connection: the message under way, and perhaps the one whose envelope rides behind it.
    private var current: [(id: UInt64, recipient: QueuedRecipient, hasDot: Bool)] = []
    private var nextID: UInt64 = 1
    private var lastProgress: ContinuousClock.Instant = .now

    init(_ request: OpenRequest, connections: ConnectionPool, context: LoopContext) {
        self.request = request
        self.connections = connections
        self.context = context
        self.scheduler = context.scheduler
        self.reports = context.reports
        self.remaining = request.candidates[...]
    }

    /// Whether the connection has a message under way.
    var inFlight: Int { self.current.count }

    // MARK: Public API

    /// Begins with the first address.
    func start() { self.tryNext() }

    /// Something is there to pull.
    func wake() {
        guard !self.isDraining else { return }
        self.connection?.wake()
    }

    /// Requeues what was not begun, finishes what was, and leaves.
    func drain() {
        self.isDraining = true
        self.remaining = []
        self.requeueBlock()
        self.connection?.quit()
    }

    /// Leaves at once; what is past its final dot becomes uncertain.
    func abort() {
        self.isDraining = true
        self.remaining = []
        self.connection?.abort()
    }

    /// Requeues what waits behind a message that has been slow for `patience`.
    func sweep(now: ContinuousClock.Instant, patience: Duration) {
        guard !self.block.isEmpty, now - self.lastProgress > patience else { return }
        self.requeueBlock()
    }

    /// Returns what is of a revoked lease and has no final dot on its way.
    ///
    /// A message under way is cut off with its connection, which certainly keeps it from being delivered, unless one ahead
    /// of it waits for the answer to its final dot: then it is cut off when its own turn comes.
    func returnRevoked() {
        let recipients = self.block.filter(\.lease.isRevoked)
        if !recipients.isEmpty {
            self.block.removeAll(where: \.lease.isRevoked)
            self.scheduler.change { scheduler, _ in scheduler.returnRevoked(recipients, at: self.request.site) }
        }
        guard let first = self.current.first, first.recipient.lease.isRevoked, !first.hasDot else { return }
        self.connection?.abort()
    }

    // MARK: The connection's questions

    func connectionReady(_ connection: SMTPConnection) {
        self.isReady = true
        self.lastProgress = .now
        if connection.isTLS { self.connections.tls.withLock { $0.worked(connection.host) } }
        self.scheduler.change { scheduler, now in scheduler.connectionReady(self.request.site, now: now) }
    }

    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction? {
        guard !self.isDraining else { return nil }
        while true {
            if self.block.isEmpty { self.block = self.scheduler.take(for: self.request)[...] }
            guard let recipient = self.block.popFirst() else { return nil }
            self.lastProgress = .now
            guard !recipient.lease.isRevoked else {
                self.scheduler.change { scheduler, _ in scheduler.returnRevoked([recipient], at: self.request.site) }
                continue
            }
            let id = self.nextID
            self.nextID += 1
            do {
                let transaction = try self.context.compose(recipient, id: id)
                self.current.append((id, recipient, false))
                return transaction
            } catch {
                guard let lack = error.lack else {
                    self.end(recipient, error.outcome)
                    continue
                }
                self.scheduler.change { scheduler, now in
                    scheduler.lacked(lack, now: now)
                    return scheduler.requeue([recipient], at: self.request.site, now: now)
                }
                self.drain()
                return nil
            }
        }
    }

    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64) {
        guard let index = self.current.firstIndex(where: { $0.id == id }) else {
            preconditionFailure("a final dot for transaction \(id), which is not under way")
        }
        let recipient = self.current[index].recipient
        guard !recipient.lease.isRevoked else { return connection.abort() }
        CrashPoint.reached(.satelliteBeforeDot)
        self.current[index].hasDot = true
        guard self.reports.recordDot(recipient) else { return connection.abort() }
        CrashPoint.reached(.satelliteAfterDot)
        if CrashPoint.isArmed {
            // The connection flushes in this turn of its loop: in the next one the dot is with the kernel.
            connection.eventLoop.execute { CrashPoint.reached(.satelliteAfterFinalDotWritten) }
        }
    }

    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd) {
        guard let index = self.current.firstIndex(where: { $0.id == id }) else {
            preconditionFailure("the end of transaction \(id), which is not under way")
        }
        let recipient = self.current.remove(at: index).recipient
        self.lastProgress = .now
        switch end {
        case .reply(let stage, let reply):
            self.hasWorked = true
            self.answered(recipient, AttemptTrace(stage, reply, host: connection.host))
        case .lost where recipient.lease.isRevoked:
            self.hasWorked = true
            self.scheduler.change { scheduler, _ in scheduler.returnRevoked([recipient], at: self.request.site) }
        case .lost(let stage, let reason):
            self.hasWorked = true
            self.end(recipient, .deferred(AttemptTrace(DeliveryStage(stage), reason, host: connection.host)))
        case .uncertain(let reason):
            self.hasWorked = true
            var trace = AttemptTrace(.finalDot, reason, host: connection.host)
            trace.stage = .finalDot
            trace.replyCode = nil
            self.end(recipient, .uncertain(trace))
        case .notStarted(let reason):
            let trace = AttemptTrace(.mail, reason, host: connection.host)
            self.scheduler.change { scheduler, now in
                scheduler.requeue(recipient, at: self.request.site, trace: trace, now: now)
            }
        }
    }

    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd) {
        self.connection = nil
        if self.isReady {
            if case .unavailable = reason {
                self.scheduler.change { scheduler, now in
                    scheduler.closedAsTooMany(self.request.site, now: now)
                    return SchedulerActions()
                }
            }
            return self.finish(reason, host: connection.host)
        }
        if case .lacksResources = reason { return self.leave(.lacking(reason.description)) }
        self.lastFailure = AttemptTrace(reason.stageOfFailure, reason, host: connection.host)
        if self.mayFallBack(from: reason, host: connection.host) {
            let again = Site.Candidate(host: connection.host, address: connection.address, port: connection.port)
            self.remaining = [again] + self.remaining
        } else {
            self.scheduler.change { scheduler, now in
                scheduler.addressFailed(connection.address, at: self.request.site, now: now)
                return SchedulerActions()
            }
        }
        self.tryNext()
    }

    /// Whether the host whose TLS failed is to be tried in plaintext now.
    private func mayFallBack(from reason: SMTPConnectionEnd, host: String) -> Bool {
        switch reason {
        case .tlsFailed, .tlsRefused: self.connections.tls.withLock { $0.failed(host, now: .now) }
        default: false
        }
    }

    // MARK: Inner steps

    private func tryNext() {
        guard !self.isDraining, let candidate = self.remaining.popFirst() else {
            let trace = self.lastFailure ?? AttemptTrace(stage: .connect, text: "the site has no usable address")
            return self.leave(self.isDraining ? .worked : .unreachable(trace))
        }
        let client = self.connections.client(for: candidate.host)
        self.isFallback = client.isFallback
        self.connection = SMTPClient.connect(
            host: candidate.host,
            address: candidate.address,
            port: candidate.port,
            on: self.context.loop,
            configuration: client.configuration,
            delegate: self
        )
    }

    /// Ends an attempt that a reply ended, and heeds what the reply means for others.
    private func answered(_ recipient: QueuedRecipient, _ trace: AttemptTrace) {
        let ruling = OutcomePolicy.ruling(trace)
        if self.isFallback, let host = trace.mxHost {
            if ruling.subject == .channel, ruling.site == .pause {
                self.connections.tls.withLock { $0.plaintextRefused(host) }
            } else if ruling.verdict == .delivered || ruling.subject == .recipient {
                self.connections.tls.withLock { $0.plaintextTaken(host) }
            }
        }
        self.end(recipient, OutcomePolicy.outcome(trace), clears: ruling.site == .goOn && ruling.subject != .channel)
        guard ruling.site != .goOn else { return }
        var isPaused = false
        self.scheduler.change { scheduler, now in
            let actions = scheduler.throttled(self.request.site, trace, ruling, now: now)
            isPaused = !actions.drain.isEmpty
            return actions
        }
        // At once: before the connection asks for the next recipient.
        if isPaused { self.drain() }
    }

    private func end(_ recipient: QueuedRecipient, _ outcome: DeliveryOutcome, clears: Bool = false) {
        CrashPoint.reached(.satelliteBeforeDone)
        guard let report = self.reports.recordDone(recipient, outcome) else { return }
        self.context.finish(FinishedAttempt(report: report, site: self.request.site, clears: clears))
    }

    private func requeueBlock() {
        guard !self.block.isEmpty else { return }
        let recipients = Array(self.block)
        self.block = []
        self.scheduler.change { scheduler, now in scheduler.requeue(recipients, at: self.request.site, now: now) }
    }

    private func finish(_ reason: SMTPConnectionEnd, host: String) {
        if case .finished = reason { self.hasWorked = true }
        self.leave(self.hasWorked ? .worked : .unproductive(AttemptTrace(.hello, reason, host: host)))
    }

    private func leave(_ result: DeliveryScheduler.ConnectionResult) {
        self.requeueBlock()
        self.connections.remove(self.request.id)
        self.scheduler.change { scheduler, now in
            scheduler.connectionEnded(self.request.id, at: self.request.site, result, now: now)
        }
    }
}

extension AttemptTrace {
    /// What a server's reply says about an attempt.
    init(_ stage: SMTPStage, _ reply: SMTPReply, host: String) {
        self.init(
            stage: DeliveryStage(stage),
            replyCode: reply.code,
            enhancedStatus: reply.enhancedStatus?.description,
            text: reply.text,
            mxHost: host
        )
    }

    /// Reply code and text in one bounded line, for logs and the status.
    var summary: String {
        let text = self.text.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(300)
        return self.replyCode.map { "\($0) \(text)" } ?? String(text)
    }

    /// What the end of a connection says about an attempt.
    init(_ stage: DeliveryStage, _ end: SMTPConnectionEnd, host: String) {
        switch end {
        case .greetingRefused(let reply): self.init(.greeting, reply, host: host)
        case .helloRefused(let reply): self.init(.hello, reply, host: host)
        case .unavailable(let reply): self.init(.mail, reply, host: host)
        case .tlsRefused(let reply): self.init(.tls, reply, host: host)
        default: self.init(stage: stage, text: String(end.description.prefix(1_000)), mxHost: host)
        }
    }
}

extension DeliveryStage {
    init(_ stage: SMTPStage) {
        switch stage {
        case .connect: self = .connect
        case .greeting: self = .greeting
        case .hello: self = .hello
        case .tls: self = .tls
        case .mail, .idle: self = .mail
        case .recipient: self = .recipient
        case .data: self = .data
        case .content: self = .content
        case .finalDot: self = .finalDot
        }
    }
}

extension SMTPConnectionEnd {
    /// How far a connection came that was never ready.
    var stageOfFailure: DeliveryStage {
        switch self {
        case .connectFailed, .lacksResources: .connect
        case .greetingRefused: .greeting
        case .helloRefused: .hello
        case .tlsFailed, .tlsRefused: .tls
        case .timedOut(let stage), .closedByPeer(let stage): stage == .idle ? .hello : DeliveryStage(stage)
        case .unavailable, .outOfStep, .transport, .finished: .greeting
        }
    }
}
