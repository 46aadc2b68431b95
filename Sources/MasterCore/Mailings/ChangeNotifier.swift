// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import MasterStore

/// Notifies the dispatcher, the mailing scheduler and whoever waits for the feed of what was committed elsewhere.
///
/// Nothing is decided here, and nothing is lost if the process ends in between: all of them read the store at their start.
struct ChangeNotifier: Sendable {
    let dispatcher: Dispatcher
    let scheduler: MailingScheduler
    let feedWatch: FeedWatch

    // MARK: Mailings

    /// A mailing was changed, started or paused.
    ///
    /// - Parameters:
    ///   - mailing: As it stands now.
    ///   - closesAtOnce: The caller has just allowed it to close, so that no grace is due.
    /// - Throws: `StoreError`.
    func mailingChanged(_ mailing: Mailing, closesAtOnce: Bool = false) async throws {
        if mailing.status == .paused { await self.dispatcher.mailingStopped(mailing.id) }
        await self.dispatcher.workChanged()
        if closesAtOnce, mailing.isComplete, try await self.finish(mailing.id) { return }
        await self.scheduler.changed(mailing)
    }

    /// A mailing was deleted, with the leases that it still had.
    func mailingDeleted(_ id: MailingID, revoked leases: [RevokedLease]) async {
        await self.dispatcher.revoked(leases, because: .deleted)
        await self.dispatcher.mailingStopped(id)
        await self.scheduler.forget(id)
    }

    /// Ends a mailing now.
    ///
    /// - Throws: `StoreError`; ``MasterError/Code/unknownMailing(_:)``.
    func end(_ id: MailingID) async throws -> Mailing {
        let (mailing, effects) = try await self.scheduler.end(id)
        await self.carryOut(effects)
        self.scheduler.signal.notify()
        return mailing
    }

    /// Finishes a mailing now if it is complete; returns whether it was.
    func finish(_ id: MailingID) async throws -> Bool {
        let isFinished = try await self.scheduler.finish(id, grace: .zero)
        if isFinished { await self.dispatcher.workChanged() }
        return isFinished
    }

    /// Does what the mailing scheduler wants done after a turn.
    func carryOut(_ effects: MailingScheduler.Effects) async {
        self.feedWatch.changed()
        for id in effects.stopped { await self.dispatcher.mailingStopped(id) }
        if !effects.revoked.isEmpty { await self.dispatcher.revoked(effects.revoked, because: .ended) }
    }

    // MARK: Recipients

    /// Recipients were added.
    func recipientsAdded(to mailing: Mailing, test: Bool) async {
        if test || mailing.status == .ready || mailing.status == .running { await self.dispatcher.workChanged() }
    }

    /// Recipients were requeued or resolved; of one mailing, if it is known.
    func recipientsChanged(of id: MailingID?) async {
        self.feedWatch.changed()
        if let id { await self.scheduler.mayBeComplete([id]) }
        await self.dispatcher.workChanged()
    }
}

extension Mailing {
    /// Whether nothing is left and the mailing closes by itself, the grace apart.
    fileprivate var isComplete: Bool {
        self.counters.pending == 0 && MailingLifecycle.closing(of: self, grace: .zero) != nil
    }
}
