// SPDX-License-Identifier: Apache-2.0

// How an import is repeated without adding anybody twice: the store keeps, for each line that became a recipient, a
// fingerprint of its address. The same line with the same address is a repetition; with another address it is refused, so
// that a key that is used for another file drops nobody in silence. Recipients with ids of their own are recognised by these.

public import MailingModel
import MasterStore

/// A recipient of an import, with the line that it came from.
public struct ImportedRecipient: Sendable {
    /// The line of the file, from 1.
    public var line: Int
    /// The recipient.
    public var submission: RecipientSubmission

    /// Composes a recipient of an import.
    public init(line: Int, _ submission: RecipientSubmission) {
        self.line = line
        self.submission = submission
    }
}

/// The result for one recipient of an import.
public enum ImportResult: Sendable, Hashable {
    /// Added durably.
    case accepted
    /// Added by an earlier run of the same import.
    case repeated
    /// Not added: why, for programs and for people.
    case refused(RefusalCode, String)
}

extension AccountOperations {
    /// Adds recipients of an import as ``addRecipients(_:to:test:)`` does; may be repeated if there is a key.
    ///
    /// - Parameters:
    ///   - recipients: As many as ``maximumRecipientsPerImportStep`` at most.
    ///   - id: The mailing.
    ///   - key: Names the import within the mailing; `nil` if it is not to be repeated.
    /// - Returns: One result for each, in order.
    /// - Throws: As ``addRecipients(_:to:test:)`` does; then nothing was added.
    public func importRecipients(
        _ recipients: [ImportedRecipient],
        to id: MailingID,
        key: String?
    ) async throws -> [ImportResult] {
        let source = key.map { ImportSource(key: $0, lines: recipients.map(\.line)) }
        let admitted: [Admitted<ImportAdmission>] = try await self.admit(
            recipients.map(\.submission),
            to: id,
            limit: self.maximumRecipientsPerImportStep
        ) {
            try await self.store.importRecipients(
                $0,
                to: id,
                in: self.scope,
                from: source?.choosing($1),
                at: self.now()
            )
        }
        var results: [ImportResult] = []
        var taken: [Int] = []
        for (index, admitted) in admitted.enumerated() {
            switch admitted {
            case .stored(.accepted): results.append(.accepted)
            case .stored(.repeated): results.append(.repeated)
            case .stored(.lineTaken): results.append(.refused(.keyReused, Self.keyReused))
            case .stored(.trackingIDTaken):
                results.append(.refused(.trackingIDTaken, Admission.Refusal.trackingIDTaken.reason))
                if key != nil { taken.append(index) }
            case .refused(let refusal): results.append(.refused(refusal.code, refusal.reason))
            }
        }
        guard !taken.isEmpty else { return results }
        let mailing = try await self.call(id) { try await self.store.mailing(id, in: self.scope) }
        guard let account = mailing?.account else { throw MasterError.unknown(id) }
        let reports = try await self.call(id) {
            try await self.store.reports(
                of: taken.compactMap { recipients[$0].submission.trackingID },
                account: account
            )
        }
        let owners = Dictionary(reports.map { ($0.trackingID, $0) }) { first, _ in first }
        for index in taken {
            let submission = recipients[index].submission
            guard let owner = submission.trackingID.flatMap({ owners[$0] }), owner.recipient.mailing == id,
                owner.address == submission.address
            else { continue }
            results[index] = .repeated
        }
        return results
    }

    private static let keyReused = "the idempotency key was used for another file: this line held another address then"

    /// Throws if a mailing takes no recipients, before a caller sends any.
    ///
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``, ``MasterError/Code/mailingFinished(_:)``.
    public func checkTakesRecipients(_ id: MailingID) async throws {
        try await self.call(id) {
            guard let mailing = try await self.store.mailing(id, in: self.scope) else { throw MasterError.unknown(id) }
            try MailingLifecycle.checkChange(of: mailing)
        }
    }

    /// The maximum number of recipients in one step of an import.
    public var maximumRecipientsPerImportStep: Int { self.configuration.maximumRecipientsPerImportStep }
}

extension ImportSource {
    /// The source of the drafts at these indices only.
    fileprivate func choosing(_ indices: [Int]) -> ImportSource {
        ImportSource(key: self.key, lines: indices.map { self.lines[$0] })
    }
}
