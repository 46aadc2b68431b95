// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore

/// Composes the status of the master and its cluster from what its parts know now.
struct StatusComposer: Sendable {
    let store: MailingStore
    let version: String
    let started: Timestamp
    let time: MasterTime
    let health: StoreHealth
    let safeMode: SafeMode
    let rates: RateWindow
    let dispatcher: Dispatcher
    let reports: ReportIntake
    let scheduler: MailingScheduler
    let recountJob: RecountJob

    /// Why the store is unavailable or no mail may be sent; empty if neither is so, and never waits for the store.
    var unreadyReasons: [String] {
        [self.health.problem, self.store.problem, self.safeMode.reason.map { "safe mode: \($0)" }].compactMap { $0 }
    }

    /// The status now; reads a few counts from the store.
    ///
    /// - Parameter isStopping: Whether the master refuses new calls.
    /// - Returns: All of it; if the store cannot be read, without its counts and with that problem.
    func status(isStopping: Bool) async -> MasterStatus {
        var status = MasterStatus()
        status.version = self.version
        status.storeID = self.store.identity.storeID
        status.term = self.store.identity.term.rawValue
        status.startedAt = self.started.rfc3339
        status.safeMode = self.safeMode.reason
        status.problems = self.unreadyReasons
        status.ready = status.problems.isEmpty && !isStopping
        await self.dispatcher.describe(&status)
        self.describeReports(&status)
        do {
            self.describe(try await self.store.summary(at: self.time.now()), &status)
        } catch {
            status.ready = false
            status.problems.append("the store cannot be read: \(error)")
        }
        if let problem = self.time.civil.problem { status.problems.append(problem) }
        status.warnings = await self.scheduler.warnings
        status.problems += status.problemsOfCounts
        return status
    }

    private func describeReports(_ status: inout MasterStatus) {
        let (queued, oldest) = self.reports.waiting
        status.queuedReports = queued
        if let oldest {
            let lag = self.time.elapsed() - oldest
            status.reportLagSeconds = (lag / .milliseconds(1)).rounded(.towardZero) / 1000
        }
        status.droppedReports = self.reports.droppedCount
        status.unstartedReports = self.reports.unstartedCount
        status.counterDrift = self.recountJob.drift
        let rates = self.rates.lastMinute
        status.attemptsLastMinute = rates.attempts
        status.deliveredLastMinute = rates.delivered
        status.deferredLastMinute = rates.deferred
        status.failedLastMinute = rates.failed
        status.leasedLastMinute = rates.leased
    }

    private func describe(_ summary: StoreSummary, _ status: inout MasterStatus) {
        status.mailings = Dictionary(summary.mailings.map { ("\($0.key)", $0.value) }) { $0 + $1 }
        status.pending = summary.pending
        status.uncertain = summary.uncertain
        status.leased = summary.leased
        status.feedHead = summary.feedHead
        if let oldest = summary.oldestLease {
            status.oldestLeaseSeconds = max(0, self.time.now().duration(since: oldest).components.seconds)
        }
    }
}

extension MasterStatus {
    /// What an operator should look at because of the counts, one sentence each.
    var problemsOfCounts: [String] {
        var problems: [String] = []
        if self.unroutable > 0 {
            problems.append(
                "\(self.unroutable) recipients have no satellite that may deliver to them: check the satellites' groups and "
                    + "domain affinities"
            )
        }
        if self.unstartedReports > 0 {
            problems.append(
                "satellites made \(self.unstartedReports) attempts without permission to start: see the log, and report it, "
                    + "since recipients may have been sent to twice"
            )
        }
        if self.uncertain > 0 {
            problems.append("\(self.uncertain) recipients are uncertain: resolve them with `telstar mailing resolve`")
        }
        return problems
    }
}
