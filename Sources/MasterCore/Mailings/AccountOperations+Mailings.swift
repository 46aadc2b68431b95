// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import Logging
public import MailingModel
import MasterStore

extension AccountOperations {
    /// Creates a mailing in ``MailingStatus/filling``.
    ///
    /// - Returns: The mailing; its content has been compiled once, so that it will compile on every satellite.
    /// - Throws: ``MasterError/Code/badContent(part:line:column:reason:)``, ``MasterError/Code/badProperty(_:)``.
    public func createMailing(_ draft: MailingDraft) async throws -> Mailing {
        try await self.call {
            let composed = try ContentComposer(configuration: self.configuration).compose(draft)
            let mailing = try await self.store.createMailing(composed.properties, account: self.owner, at: self.now()) {
                try ContentComposer.checked(composed.revision(for: $0))
            }
            self.logger.info("mailing created", metadata: ["mailing": "\(mailing.id)"])
            return mailing
        }
    }

    /// Changes a mailing's properties and content; all of it or nothing.
    ///
    /// - Returns: The mailing as it stands now, with warnings for people.
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``, ``MasterError/Code/mailingFinished(_:)``,
    ///   ``MasterError/Code/badProperty(_:)``, ``MasterError/Code/badContent(part:line:column:reason:)``.
    public func setProperties(of id: MailingID, to change: MailingChange) async throws -> MailingChangeResult {
        try await self.call(id) {
            let prepared = try await PreparedChange(
                change,
                mailing: id,
                in: self.scope,
                store: self.store,
                configuration: self.configuration
            )
            let mailing = try await self.store.updateMailing(id, in: self.scope, at: self.now()) {
                try prepared.apply(to: &$0)
            }
            self.logger.info("mailing changed", metadata: ["mailing": "\(id)"])
            try await self.engine.changes.mailingChanged(mailing, closesAtOnce: change.dontCloseIfEmpty == false)
            return MailingChangeResult(mailing: mailing, warnings: prepared.warnings)
        }
    }

    /// Mailings in ascending order of number.
    public func mailings(_ filter: MailingFilter = MailingFilter()) async throws -> [Mailing] {
        try await self.call { try await self.store.mailings(filter, in: self.scope) }
    }

    /// One mailing.
    ///
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``.
    public func mailing(_ id: MailingID) async throws -> Mailing {
        try await self.call(id) {
            guard let mailing = try await self.store.mailing(id, in: self.scope) else { throw MasterError.unknown(id) }
            return mailing
        }
    }

    /// The newest content revision of a mailing, for previews.
    ///
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``.
    public func content(of id: MailingID) async throws -> MailingContent {
        try await self.call(id) {
            guard let content = try await self.store.content(of: id, in: self.scope) else {
                throw MasterError.unknown(id)
            }
            return content
        }
    }

    /// How many mailings match.
    public func countMailings(_ filter: MailingFilter = MailingFilter()) async throws -> Int {
        try await self.call { try await self.store.countMailings(filter, in: self.scope) }
    }

    /// Starts a mailing, or goes on with a paused one.
    ///
    /// - Returns: ``MailingStatus/ready``, or ``MailingStatus/running`` if recipients had been leased before the pause.
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``; ``MasterError/Code/badStatus(_:)`` unless it is filling or paused;
    ///   ``MasterError/Code/safeMode``.
    public func startMailing(_ id: MailingID) async throws -> MailingStatus {
        try await self.call(id) {
            try self.engine.safeMode.requireTrust()
            CrashPoint.reached(.masterBeforeStartMailing)
            let now = self.now()
            let mailing = try await self.store.updateMailing(id, in: self.scope, at: now) { mailing in
                try MailingLifecycle.start(&mailing, at: now)
                return nil
            }
            CrashPoint.reached(.masterAfterStartMailing)
            self.logger.info("mailing started", metadata: ["mailing": "\(id)", "status": "\(mailing.status)"])
            for warning in mailing.startWarnings {
                self.logger.warning(
                    "a mailing was started that receivers may refuse",
                    metadata: ["mailing": "\(id)", "warning": "\(warning)"]
                )
            }
            try await self.engine.changes.mailingChanged(mailing)
            return mailing.status
        }
    }

    /// Pauses a mailing: never-started recipients wait again at once, and satellites return those that they have started
    /// and not sent.
    ///
    /// Pausing a paused one is allowed and changes nothing.
    ///
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``; ``MasterError/Code/badStatus(_:)`` unless ready, running or paused.
    public func pauseMailing(_ id: MailingID) async throws -> MailingStatus {
        try await self.call(id) {
            CrashPoint.reached(.masterBeforePause)
            let (mailing, revoked) = try await self.store.pauseMailing(id, in: self.scope, at: self.now()) { mailing in
                var mailing = mailing
                try MailingLifecycle.pause(&mailing)
            }
            CrashPoint.reached(.masterAfterPause)
            self.logger.info("mailing paused", metadata: ["mailing": "\(id)", "revoked": "\(revoked.count)"])
            await self.engine.dispatcher.revoked(revoked, because: .paused)
            try await self.engine.changes.mailingChanged(mailing)
            return mailing.status
        }
    }

    /// Ends a mailing now: what has not been started expires, what has may still be reported for a while.
    ///
    /// - Returns: The mailing; ``MailingStatus/finished`` unless started recipients are still to be reported.
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``, ``MasterError/Code/mailingFinished(_:)``.
    public func closeMailing(_ id: MailingID) async throws -> Mailing {
        try await self.call(id) {
            let now = self.now()
            _ = try await self.store.updateMailing(id, in: self.scope, at: now) { mailing in
                try mailing.endNow(now)
                return nil
            }
            return try await self.engine.changes.end(id)
        }
    }

    /// Removes a mailing with its recipients; late reports of it are acknowledged and dropped.
    ///
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``.
    public func deleteMailing(_ id: MailingID) async throws {
        try await self.call(id) {
            let revoked = try await self.store.deleteMailing(id, in: self.scope, at: self.now())
            self.logger.info("mailing deleted", metadata: ["mailing": "\(id)", "revoked": "\(revoked.count)"])
            await self.engine.changes.mailingDeleted(id, revoked: revoked)
        }
    }

    /// Finishes now every mailing that is complete, without waiting for the grace.
    ///
    /// - Returns: How many finished.
    public func finishCompleteMailings() async throws -> Int {
        try await self.call {
            var filter = MailingFilter()
            filter.statuses = [.ready, .running, .paused]
            var finished = 0
            for mailing in try await self.store.mailings(filter, in: self.scope) where mailing.counters.pending == 0 {
                if try await self.engine.changes.finish(mailing.id) { finished += 1 }
            }
            return finished
        }
    }
}

extension Mailing {
    /// Lets the mailing end now; an end that the schedule set earlier stays.
    fileprivate mutating func endNow(_ now: Timestamp) throws {
        do {
            try MailingLifecycle.checkChange(of: self)
        } catch {
            throw MasterError(error, of: self.id)
        }
        self.properties.scheduledEnd = min(self.properties.scheduledEnd ?? now, now)
    }
}
