// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension MailingStore {
    /// Adds recipients, durable when it returns; one admission per draft, input order.
    ///
    /// ``DeliveryClass/express`` is for test sends: leased even in `filling`.
    ///
    /// - Returns: One admission per draft.
    /// - Throws: ``StoreError/Code/unknownMailing``, ``StoreError/Code/mailingFinished``.
    public func addRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        in scope: AccountScope,
        deliveryClass: DeliveryClass,
        at now: Timestamp
    ) async throws -> [RecipientAdmission] {
        let admissions = try await self.write {
            try Admission.add(drafts, to: mailing, in: scope, deliveryClass, at: now, $0)
        }
        let ids = self.context.secrets.recipientIDs
        return zip(drafts, admissions).map { draft, admission in
            guard case .accepted(let id) = admission else { return .trackingIDTaken }
            return .accepted(id, trackingID: draft.trackingID ?? ids.encode(id))
        }
    }

    /// Adds recipients of an import, durable when it returns; one admission per draft, input order.
    ///
    /// - Parameters:
    ///   - drafts: The recipients.
    ///   - mailing: The mailing that they are added to.
    ///   - scope: Where the mailing has to exist.
    ///   - source: Where they come from, if the import may be repeated: a line that has become a recipient becomes no
    ///     second one. Drafts with ids of their own are distinguished by those.
    ///   - now: The time.
    /// - Returns: One admission per draft.
    /// - Throws: ``StoreError/Code/unknownMailing``, ``StoreError/Code/mailingFinished``.
    public func importRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        in scope: AccountScope,
        from source: ImportSource?,
        at now: Timestamp
    ) async throws -> [ImportAdmission] {
        try await self.write { try Admission.add(drafts, to: mailing, in: scope, .bulk, from: source, at: now, $0) }
    }

    /// The current reports of the recipients found among those ids (generated ones or the client's own).
    public func reports(of trackingIDs: [String], account: AccountID) async throws -> [RecipientReport] {
        try await self.read { try Reporting.reports(of: trackingIDs, account: account, $0) }
    }

    /// How many recipients match.
    public func countRecipients(_ filter: RecipientFilter, in scope: AccountScope) async throws -> Int {
        try await self.read { try Reporting.count(filter, in: scope, $0) }
    }

    /// Resolves recipients held as uncertain.
    ///
    /// - Returns: How many changed.
    public func resolveUncertain(
        _ mailing: MailingID,
        in scope: AccountScope,
        as resolution: UncertainResolution,
        at now: Timestamp
    ) async throws -> Int {
        var changed = 0
        while true {
            let step = try await self.write { try Resending.resolve(mailing, in: scope, as: resolution, at: now, $0) }
            changed += step
            if step < Resending.step { return changed }
        }
    }

    /// Requeues terminal recipients so that they are sent again (`reset_recipients_status`).
    ///
    /// Many go in steps; those before one that fails stand.
    public func resetRecipients(_ trackingIDs: [String], account: AccountID, at now: Timestamp) async throws -> Int {
        var changed = 0
        for first in stride(from: 0, to: trackingIDs.count, by: Resending.step) {
            let some = Array(trackingIDs[first..<min(first + Resending.step, trackingIDs.count)])
            changed += try await self.write { transaction in
                let ids = try Reporting.recipients(some, account: account, transaction).compactMap(\.self)
                return try Resending.reset(ids, at: now, transaction)
            }
        }
        return changed
    }
}
