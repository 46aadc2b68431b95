// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore
import Synchronization

/// Recounts the mailings from time to time, one after another, and logs when a counter was wrong.
///
/// Counters change in the transaction that changes what they count, so a difference is a fault of the program or of the
/// database. It rests nine times as long as it reads: a large store is recounted slowly.
final class RecountJob: Sendable {
    /// Mailings read at a time.
    private static let page = 100

    private let store: MailingStore
    private let configuration: MasterConfiguration.Upkeep
    private let time: MasterTime
    private let logger: Logger
    private let sum = Mutex(0)

    init(store: MailingStore, configuration: MasterConfiguration.Upkeep, time: MasterTime, logger: Logger) {
        self.store = store
        self.configuration = configuration
        self.time = time
        self.logger = logger
    }

    /// How many counters were found wrong since the master started; 0 in health.
    var drift: Int { self.sum.withLock { $0 } }

    /// Makes round after round until the task is cancelled; the first one soon, so that a master that is often restarted
    /// has its rounds too.
    func run() async {
        guard let every = self.configuration.recountEvery else { return }
        var next = self.time.elapsed() + min(every, self.configuration.firstRecountAfter)
        while !Task.isCancelled {
            do {
                try await self.time.sleep(until: next)
                next = self.time.elapsed() + every
                try await self.round()
            } catch is CancellationError {
                return
            } catch {
                self.logger.warning(
                    "the counters cannot be checked now; it is tried again later",
                    metadata: ["error": "\(error)"]
                )
                next = self.time.elapsed() + min(every, self.configuration.firstRecountAfter)
            }
        }
    }

    private func round() async throws {
        var filter = MailingFilter()
        filter.limit = Self.page
        while true {
            let mailings = try await self.store.mailings(filter, in: .everything)
            for mailing in mailings { try await self.check(mailing.id) }
            guard mailings.count == Self.page else { return }
            filter.after = mailings.last?.id
        }
    }

    private func check(_ id: MailingID) async throws {
        let began = self.time.elapsed()
        let differences = try await self.store.reconcileCounters(of: id)
        if differences > 0 {
            self.sum.withLock { $0 += differences }
            self.logger.error(
                "a recount found a mailing's counters wrong and corrected them; please report this as a bug",
                metadata: ["mailing": "\(id)", "counters": "\(differences)"]
            )
        }
        let ended = self.time.elapsed()
        try await self.time.sleep(until: ended + max(self.configuration.rest, (ended - began) * 9))
    }
}
