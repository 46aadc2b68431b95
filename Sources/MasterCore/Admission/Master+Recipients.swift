// SPDX-License-Identifier: Apache-2.0

public import MailingModel
public import MasterStore

extension Master {
    /// Adds recipients to a mailing; durable when it returns.
    ///
    /// - Parameters:
    ///   - submissions: As many as ``MasterConfiguration/maximumRecipientsPerCall`` at most; may be empty.
    ///   - id: The mailing.
    ///   - test: Sent at once, even while the mailing is filling, before everything else.
    /// - Returns: One result per submission, in input order.
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``, ``MasterError/Code/mailingFinished(_:)``,
    ///   ``MasterError/Code/tooMany(limit:)``; then nothing was added.
    public func addRecipients(
        _ submissions: [RecipientSubmission],
        to id: MailingID,
        test: Bool = false
    ) async throws -> [SubmissionResult] {
        try await self.call(id) {
            let limit = self.configuration.maximumRecipientsPerCall
            guard submissions.count <= limit else {
                throw MasterError(.tooMany(limit: limit), "at most \(limit) recipients may be added in one call")
            }
            guard let mailing = try await self.store.mailing(id) else { throw MasterError.unknown(id) }
            try MailingLifecycle.checkChange(of: mailing)
            let admission = Admission(configuration: self.configuration)
            var results: [SubmissionResult] = []
            var drafts: [RecipientDraft] = []
            var places: [Int] = []
            for (place, submission) in submissions.enumerated() {
                switch admission.judge(submission) {
                case .success(var draft):
                    for attachment in submission.attachments {
                        draft.attachments.append(
                            try await self.store.putBlob(attachment.octets)
                        )
                    }
                    drafts.append(draft)
                    places.append(place)
                    results.append(.refused(""))
                case .failure(let refusal):
                    results.append(.refused(refusal.reason))
                }
            }
            guard !drafts.isEmpty else { return results }
            CrashPoint.reached(.masterBeforeAddRecipients)
            let answers = try await self.store.addRecipients(
                drafts,
                to: id,
                deliveryClass: test ? .express : .bulk,
                at: self.now()
            )
            CrashPoint.reached(.masterAfterAddRecipients)
            for (place, answer) in zip(places, answers) {
                switch answer {
                case .accepted(let recipient, let trackingID):
                    results[place] = .accepted(trackingID: trackingID, recipient)
                case .trackingIDTaken:
                    results[place] = .refused("the tracking id is in use already")
                }
            }
            await self.engine.recipientsAdded(to: mailing, test: test)
            return results
        }
    }

    /// The current reports of the recipients found among those tracking ids.
    public func reports(of trackingIDs: [String], account: AccountID = .root) async throws -> [RecipientReport] {
        try await self.call { try await self.store.reports(of: trackingIDs, account: account) }
    }

    /// How many recipients match.
    public func countRecipients(_ filter: RecipientFilter = RecipientFilter()) async throws -> Int {
        try await self.call { try await self.store.countRecipients(filter) }
    }

    /// Settles the recipients of a mailing that are held as uncertain.
    ///
    /// - Returns: How many changed.
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``.
    public func resolveUncertain(_ id: MailingID, as resolution: UncertainResolution) async throws -> Int {
        try await self.call(id) {
            let changed = try await self.store.resolveUncertain(id, as: resolution, at: self.now())
            await self.engine.workChanged(of: id)
            return changed
        }
    }

    /// Puts terminal recipients back to waiting, so that they are sent again.
    ///
    /// - Returns: How many changed.
    public func resetRecipients(_ trackingIDs: [String], account: AccountID = .root) async throws -> Int {
        try await self.call {
            let changed = try await self.store.resetRecipients(trackingIDs, account: account, at: self.now())
            await self.engine.workChanged(of: nil)
            return changed
        }
    }
}
