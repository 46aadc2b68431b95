// SPDX-License-Identifier: Apache-2.0

import Logging
import MailingModel
import MasterStore

/// Dates anew what waits longer than any retry may: at the start, since an earlier process may have gone by a wrong clock,
/// and when a jump of the clock was followed.
struct RedatingJob: Sendable {
    let store: MailingStore
    /// The time from one look at the clock to the next.
    let interval: Duration
    let time: MasterTime
    let logger: Logger
    /// Called after recipients got new times.
    let redated: @Sendable () async -> Void

    /// Looks at the clock again and again, until the task is cancelled.
    func run() async {
        var isDue = true
        while !Task.isCancelled {
            let now = self.time.now()
            if self.time.civil.takeFollowed() { isDue = true }
            if isDue {
                do {
                    let count = try await self.store.dateAnew(at: now)
                    isDue = false
                    if count > 0 {
                        self.logger.warning(
                            "recipients waited for longer than any retry does, because the clock was wrong; their next attempts get new times",
                            metadata: ["recipients": "\(count)"]
                        )
                        await self.redated()
                    }
                } catch is CancellationError {
                    return
                } catch {
                    self.logger.warning(
                        "recipients that wait cannot get new times now; it is tried again",
                        metadata: ["error": "\(error)"]
                    )
                }
            }
            // Cancelled is as good as over.
            try? await self.time.sleep(until: self.time.elapsed() + self.interval)
        }
    }
}
