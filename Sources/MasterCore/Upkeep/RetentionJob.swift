// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore

/// Deletes finished mailings and purges events that are older than the operator wants to keep.
///
/// It works in small steps with rests in between, so that nobody waits for it. What fails is tried again at the next round:
/// old data that stays a little longer keeps no master from its work.
struct RetentionJob: Sendable {
    /// Mailings read at a time.
    private static let page = 100
    /// An attachment that no recipient has come to use so long after it was stored belongs to a call that failed.
    private static let blobPatience = Duration.seconds(86_400)

    let store: MailingStore
    let configuration: MasterConfiguration.Upkeep
    let time: MasterTime
    let logger: Logger
    /// Called with each mailing that was deleted, and the leases that it still had.
    let deleted: @Sendable (MailingID, [RevokedLease]) async -> Void

    /// Makes a round at once and then again and again, until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let next = self.time.elapsed() + self.configuration.purgeEvery
            do {
                try await self.deleteMailings()
                try await self.purgeEvents()
                try await self.purgeBlobs()
            } catch is CancellationError {
                return
            } catch {
                self.logger.warning(
                    "old mailings and events cannot be removed now; it is tried again at the next round",
                    metadata: ["error": "\(error)"]
                )
            }
            // Cancelled is as good as over.
            try? await self.time.sleep(until: next)
        }
    }

    private func deleteMailings() async throws {
        guard let age = self.configuration.keepMailings else { return }
        var filter = MailingFilter()
        filter.statuses = [.finished]
        filter.endedBefore = self.time.now().advanced(by: .zero - age)
        filter.limit = Self.page
        while true {
            let mailings = try await self.store.mailings(filter, in: .everything)
            for mailing in mailings { try await self.delete(mailing) }
            guard mailings.count == Self.page else { return }
            filter.after = mailings.last?.id
        }
    }

    private func delete(_ mailing: Mailing) async throws {
        do {
            let revoked = try await self.store.deleteMailing(mailing.id, in: .everything, at: self.time.now())
            await self.deleted(mailing.id, revoked)
            self.logger.info("old mailing deleted", metadata: ["mailing": "\(mailing.id)"])
        } catch let error as StoreError where error.code == .unknownMailing {
            return  // Somebody else was quicker.
        }
        try await self.rest()
    }

    private func purgeEvents() async throws {
        guard let age = self.configuration.keepEvents else { return }
        let limit = self.time.now().advanced(by: .zero - age)
        var purged = 0
        while true {
            let step = try await self.store.purgeEvents(before: limit)
            purged += step.purged
            guard step.isMoreLeft else { break }
            try await self.rest()
        }
        if purged > 0 { self.logger.info("old events purged", metadata: ["events": "\(purged)"]) }
    }

    private func purgeBlobs() async throws {
        let limit = self.time.now().advanced(by: .zero - Self.blobPatience)
        while try await self.store.purgeBlobs(before: limit).isMoreLeft { try await self.rest() }
    }

    private func rest() async throws { try await self.time.sleep(until: self.time.elapsed() + self.configuration.rest) }
}
