// SPDX-License-Identifier: Apache-2.0

import MailingModel

extension MasterError {
    /// The master's error for what the lifecycle of a mailing forbids.
    init(_ refusal: MailingLifecycle.Refusal, of id: MailingID) {
        switch (refusal.step, refusal.status) {
        case (.change, .finished), (.addRecipients, .finished):
            self.init(.mailingFinished(id), "mailing \(id) is finished")
        case (.start, let status):
            self.init(
                .badStatus(status),
                "mailing \(id) is \(status); only a filling or a paused one can be started"
            )
        case (.pause, let status):
            self.init(.badStatus(status), "mailing \(id) is \(status); it cannot be paused")
        case (.change, let status), (.addRecipients, let status):
            self.init(.badStatus(status), "mailing \(id) is \(status); \(refusal)")
        }
    }
}

extension Mailing {
    /// Lets the mailing end now; an end that the schedule set earlier stays.
    mutating func endNow(_ now: Timestamp) throws {
        do {
            try MailingLifecycle.checkChange(of: self)
        } catch {
            throw MasterError(error, of: self.id)
        }
        self.properties.scheduledEnd = min(self.properties.scheduledEnd ?? now, now)
    }

    /// Whether nothing is left and the mailing closes by itself, the grace apart.
    var isComplete: Bool {
        self.counters.pending == 0 && MailingLifecycle.closing(of: self, grace: .zero) != nil
    }
}
