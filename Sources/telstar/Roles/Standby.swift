// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import Logging
import MailingModel
import MasterStore
import OperatorAPI
import Synchronization

/// A master that waits for its turn: its status page says for whom.
struct Standby {
    let settings: MasterSettings
    let page: StatusPage?
    let metrics: MetricsRegistry
    let logger: Logger

    private struct Status: Encodable {
        var role = "standby"
        var waitingFor: String
        var version: String
    }

    /// Opens the store, as soon as this process is the master.
    ///
    /// - Throws: ``StartFailure``, see ``StoreOpening/init(_:onWait:onStep:)``; `CancellationError` while waiting.
    func openStore() async throws -> StoreOpening {
        let isNotified = Atomic(false)
        return try await StoreOpening(self.settings) { reason in
            self.logger.notice("standby", metadata: ["reason": "\(reason)"])
            self.page?.show(self.answers(reason))
            // Started, as far as a service manager is concerned, and not serving.
            let notifier = SupervisorNotifier(environment: ProcessInfo.processInfo.environment)
            let status = "\(SupervisorNotifier.standbyStatus): \(reason)"
            if isNotified.exchange(true, ordering: .relaxed) {
                notifier.status(status)
            } else {
                notifier.ready(status: status)
            }
        } onStep: { progress in
            // It may take a while, in which nothing answers.
            if !progress.isNewStore {
                SupervisorNotifier(environment: ProcessInfo.processInfo.environment).extendTimeout(by: .seconds(3_600))
                self.logger.notice(
                    progress.isDone
                        ? "a step of the store's tables is done" : "the store's tables are brought up to date",
                    metadata: [
                        "step": "\(progress.step)", "version": "\(progress.version)", "newest": "\(progress.newest)",
                    ]
                )
            }
            if progress.isDone { CrashPoint.reached(.masterWithinMigration) }
        }
    }

    private func answers(_ reason: String) -> HealthListener.Answers {
        .init(
            unreadyReasons: { ["standby: \(reason)"] },
            status: { Array(try StatusDocument.encode(Status(waitingFor: reason, version: Telstar.version))) },
            metrics: { self.metrics.exposition() }
        )
    }
}

/// A wait that only cancellation ends.
enum Forever {
    /// Returns when the task is cancelled.
    static func untilCancelled() async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in stream {}
        withExtendedLifetime(continuation) {}
    }
}
