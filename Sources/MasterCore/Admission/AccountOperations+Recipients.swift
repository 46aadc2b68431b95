// SPDX-License-Identifier: Apache-2.0

public import MailingModel
import MasterStore

extension AccountOperations {
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
        let limit = self.configuration.maximumRecipientsPerCall
        let admitted: [Admitted<RecipientAdmission>] = try await self.admit(
            submissions,
            to: id,
            limit: limit,
            test: test
        ) { drafts, _ in
            try await self.store.addRecipients(
                drafts,
                to: id,
                in: self.scope,
                deliveryClass: test ? .express : .bulk,
                at: self.now()
            )
        }
        return admitted.map { admitted in
            switch admitted {
            case .stored(.accepted(let recipient, let trackingID)): .accepted(trackingID: trackingID, recipient)
            case .stored(.trackingIDTaken): .refused(Admission.Refusal.trackingIDTaken.reason)
            case .refused(let refusal): .refused(refusal.reason)
            }
        }
    }

    /// The result of a submission: the store's answer, or why it was refused before.
    enum Admitted<Answer: Sendable>: Sendable {
        case stored(Answer)
        case refused(Admission.Refusal)
    }

    /// Validates submissions and stores those that pass.
    ///
    /// - Parameters:
    ///   - submissions: Those of one call.
    ///   - id: The mailing.
    ///   - limit: The maximum number of submissions.
    ///   - test: Sent at once.
    ///   - store: Stores drafts, and gets their indices among the submissions; one answer each, in order.
    /// - Returns: One result per submission, in input order.
    /// - Throws: As ``addRecipients(_:to:test:)`` does, and what `store` throws.
    func admit<Answer>(
        _ submissions: [RecipientSubmission],
        to id: MailingID,
        limit: Int,
        test: Bool = false,
        store: ([RecipientDraft], [Int]) async throws -> [Answer]
    ) async throws -> [Admitted<Answer>] {
        try await self.call(id) {
            guard submissions.count <= limit else {
                throw MasterError(.tooMany(limit: limit), "at most \(limit) recipients may be added at once")
            }
            guard let mailing = try await self.store.mailing(id, in: self.scope) else { throw MasterError.unknown(id) }
            try MailingLifecycle.checkChange(of: mailing)
            let admission = Admission(configuration: self.configuration)
            var results: [Admitted<Answer>] = []
            var drafts: [RecipientDraft] = []
            var indices: [Int] = []
            var attachments: [[UInt8]] = []
            for (index, submission) in submissions.enumerated() {
                switch admission.validate(submission) {
                case .success(let draft):
                    attachments += submission.attachments.map(\.encoded)
                    drafts.append(draft)
                    indices.append(index)
                    results.append(.refused(.notStored))
                case .failure(let refusal):
                    results.append(.refused(refusal))
                }
            }
            guard !drafts.isEmpty else { return results }
            if !attachments.isEmpty {
                var hashes = try await self.store.putBlobs(attachments, at: self.now())[...]
                for (draft, index) in indices.enumerated() {
                    let count = submissions[index].attachments.count
                    drafts[draft].attachments = Array(hashes.prefix(count))
                    hashes.removeFirst(count)
                }
            }
            CrashPoint.reached(.masterBeforeAddRecipients)
            let answers = try await store(drafts, indices)
            CrashPoint.reached(.masterAfterAddRecipients)
            for (index, answer) in zip(indices, answers) { results[index] = .stored(answer) }
            await self.engine.changes.recipientsAdded(to: mailing, test: test)
            return results
        }
    }

    /// The current reports of the recipients found among those tracking ids.
    public func reports(of trackingIDs: [String]) async throws -> [RecipientReport] {
        try await self.call { try await self.store.reports(of: trackingIDs, account: self.owner) }
    }

    /// How many recipients match.
    public func countRecipients(_ filter: RecipientFilter = RecipientFilter()) async throws -> Int {
        try await self.call { try await self.store.countRecipients(filter, in: self.scope) }
    }

    /// Resolves the recipients of a mailing that are held as uncertain.
    ///
    /// - Returns: How many changed.
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``.
    public func resolveUncertain(_ id: MailingID, as resolution: UncertainResolution) async throws -> Int {
        try await self.call(id) {
            try await self.announcing(id) {
                try await self.store.resolveUncertain(id, in: self.scope, as: resolution, at: self.now())
            }
        }
    }

    /// Requeues terminal recipients, so that they are sent again.
    ///
    /// - Returns: How many changed.
    public func resetRecipients(_ trackingIDs: [String]) async throws -> Int {
        try await self.call {
            try await self.announcing(nil) {
                try await self.store.resetRecipients(trackingIDs, account: self.owner, at: self.now())
            }
        }
    }

    /// Does what the store does in steps; those before one that fails stand, and are announced as well.
    private func announcing(_ id: MailingID?, _ work: () async throws -> Int) async throws -> Int {
        do {
            let changed = try await work()
            await self.engine.changes.recipientsChanged(of: id)
            return changed
        } catch {
            await self.engine.changes.recipientsChanged(of: id)
            throw error
        }
    }
}

extension Admission.Refusal {
    /// Another recipient has the id.
    static let trackingIDTaken = Self(.trackingIDTaken, reason: "the tracking id is in use already")
    /// A placeholder until the store has answered.
    fileprivate static let notStored = Self(reason: "the recipient was not stored")
}
