// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore

/// Ends mailings when their time is over and finishes those that are complete.
///
/// It keeps in memory what it needs of the open mailings, and learns of changes from the operations and the intake.
actor MailingScheduler {
    private let store: MailingStore
    private let configuration: MasterConfiguration
    private let time: MasterTime
    private let logger: Logger
    nonisolated let signal: Signal

    /// When the schedule ends a mailing.
    private var ends: [MailingID: Timestamp] = [:]
    /// When a mailing that has ended resolves what was started and not reported.
    private var resolutions: [MailingID: Timestamp] = [:]
    /// Mailings that may be complete, and when to look.
    private var candidates: [MailingID: Timestamp] = [:]
    /// Mailings whose end may have become known.
    private var toReadAgain: Set<MailingID> = []
    private var hasStarted = false
    /// Warnings about started mailings, by mailing.
    private var notes: [MailingID: [String]] = [:]

    /// Warnings about mailings that were started and have not ended.
    var warnings: [String] {
        self.notes.sorted { $0.key < $1.key }.flatMap { id, notes in notes.map { "mailing \(id): \($0)" } }
    }

    /// What others must do after a turn; see ``ChangeNotifier/carryOut(_:)``.
    struct Effects: Sendable {
        /// Leases to revoke at their satellites.
        var revoked: [RevokedLease] = []
        /// Mailings that take no more leases.
        var stopped: [MailingID] = []
    }

    init(
        store: MailingStore,
        configuration: MasterConfiguration,
        time: MasterTime,
        signal: Signal,
        logger: Logger
    ) {
        self.store = store
        self.configuration = configuration
        self.time = time
        self.signal = signal
        self.logger = logger
    }

    // MARK: What happens elsewhere

    /// A mailing was changed, started or paused.
    func changed(_ mailing: Mailing) {
        self.note(mailing)
        if mailing.status == .finished {
            self.forget(mailing.id)
        } else {
            self.candidates[mailing.id] = self.time.now()
        }
        self.signal.notify()
    }

    /// Recipients of these mailings became terminal.
    func mayBeComplete(_ ids: some Collection<MailingID> & Sendable) {
        guard !ids.isEmpty else { return }
        let now = self.time.now()
        for id in ids { self.candidates[id] = now }
        self.signal.notify()
    }

    /// Forgets a deleted mailing.
    func forget(_ id: MailingID) {
        self.ends[id] = nil
        self.resolutions[id] = nil
        self.candidates[id] = nil
        self.notes[id] = nil
    }

    /// Mailings were leased for the first time: their limit of duration counts from now.
    func leasedFirst(_ ids: Set<MailingID>) {
        self.toReadAgain.formUnion(ids)
        self.signal.notify()
    }

    // MARK: The loop

    /// Ends and finishes the mailings that are due.
    ///
    /// - Returns: What others must do, and when to look again, by the civil clock.
    func turn() async throws -> (effects: Effects, next: Timestamp?) {
        try await self.readOpenMailings()
        while let id = self.toReadAgain.first {
            if let mailing = try await self.store.mailing(id, in: .everything) { self.note(mailing) }
            self.toReadAgain.remove(id)
        }
        var effects = Effects()
        let now = self.time.now()
        for (id, _) in self.ends.filter({ $0.value <= now }).sorted(by: { $0.key < $1.key }) {
            try await self.end(id, into: &effects)
        }
        for (id, _) in self.resolutions.filter({ $0.value <= now }).sorted(by: { $0.key < $1.key }) {
            try await self.resolve(id)
        }
        for (id, _) in self.candidates.filter({ $0.value <= now }).sorted(by: { $0.key < $1.key }) {
            try await self.check(id)
        }
        let next = [self.ends.values.min(), self.resolutions.values.min(), self.candidates.values.min()]
            .compactMap(\.self).min()
        return (effects, next)
    }

    /// Ends a mailing now.
    ///
    /// - Throws: `StoreError`.
    func end(_ id: MailingID) async throws -> (mailing: Mailing, effects: Effects) {
        var effects = Effects()
        guard let mailing = try await self.end(id, into: &effects) else { throw MasterError.unknown(id) }
        return (mailing, effects)
    }

    /// Finishes a mailing if it is complete.
    func finish(_ id: MailingID, grace: Duration) async throws -> Bool {
        CrashPoint.reached(.masterBeforeFinish)
        guard try await self.store.finishIfComplete(id, at: self.time.now(), grace: grace) != nil else { return false }
        CrashPoint.reached(.masterAfterFinish)
        self.logger.info("mailing finished", metadata: ["mailing": "\(id)"])
        self.forget(id)
        return true
    }

    // MARK: Steps

    /// Remembers when a mailing's time ends; one that is ending already waits for its last reports.
    private func note(_ mailing: Mailing) {
        self.ends[mailing.id] = nil
        let warnings = mailing.status == .filling ? [] : StartWarnings.of(mailing.properties)
        self.notes[mailing.id] = warnings.isEmpty ? nil : warnings
        if let ending = mailing.ending {
            self.resolutions[mailing.id] = ending.advanced(by: self.configuration.resolveAfterEnd)
        } else if mailing.status != .finished {
            self.ends[mailing.id] = MailingLifecycle.end(of: mailing)
        }
    }

    private func readOpenMailings() async throws {
        guard !self.hasStarted else { return }
        var filter = MailingFilter()
        filter.statuses = [.filling, .ready, .running, .paused]
        let now = self.time.now()
        for mailing in try await self.store.mailings(filter, in: .everything) {
            self.note(mailing)
            if mailing.status != .filling { self.candidates[mailing.id] = now }
        }
        self.hasStarted = true
    }

    @discardableResult
    private func end(_ id: MailingID, into effects: inout Effects) async throws -> Mailing? {
        let now = self.time.now()
        let result: (mailing: Mailing, revoked: [RevokedLease])
        do {
            result = try await self.store.expireRemaining(id, at: now)
        } catch let error as StoreError where error.code == .unknownMailing {
            self.forget(id)  // Deleted in the meantime.
            return nil
        }
        self.ends[id] = nil
        effects.revoked += result.revoked
        effects.stopped.append(id)
        self.logger.info(
            "mailing ended",
            metadata: ["mailing": "\(id)", "expired": "\(result.mailing.counters.expired)"]
        )
        if result.mailing.status == .finished {
            self.forget(id)
        } else {
            self.resolutions[id] = now.advanced(by: self.configuration.resolveAfterEnd)
            self.candidates[id] = now
        }
        return result.mailing
    }

    private func resolve(_ id: MailingID) async throws {
        let count = try await self.store.resolveStarted(of: id, at: self.time.now())
        if count > 0 {
            self.logger.warning(
                "a mailing ended and some started recipients were never reported; they are uncertain",
                metadata: ["mailing": "\(id)", "recipients": "\(count)"]
            )
        }
        self.resolutions[id] = nil
        self.candidates[id] = self.time.now()
        try await self.closeEnded(id)
    }

    private func check(_ id: MailingID) async throws {
        guard let mailing = try await self.store.mailing(id, in: .everything) else {
            self.forget(id)
            return
        }
        guard mailing.status != .finished else {
            self.forget(id)
            return
        }
        self.candidates[id] = nil
        if mailing.ending != nil || MailingLifecycle.hasEnded(mailing, at: self.time.now()) {
            if mailing.counters.pending == 0 { try await self.closeEnded(id) }
            return
        }
        guard mailing.counters.pending == 0,
            let closing = MailingLifecycle.closing(of: mailing, grace: self.configuration.finishGrace)
        else { return }
        guard closing <= self.time.now() else {
            self.candidates[id] = closing
            return
        }
        _ = try await self.finish(id, grace: self.configuration.finishGrace)
    }

    /// A mailing whose time is over finishes as soon as nothing is left, whatever its type; the store does that itself
    /// when it is asked to expire the rest.
    private func closeEnded(_ id: MailingID) async throws {
        let mailing = try await self.store.expireRemaining(id, at: self.time.now()).mailing
        guard mailing.status == .finished else { return }
        self.logger.info("mailing finished", metadata: ["mailing": "\(id)"])
        self.forget(id)
    }
}
