// SPDX-License-Identifier: Apache-2.0

// How an import is repeated without adding anybody twice, with no table of imports: a recipient that brings no id of its
// own gets one that is a MAC of (mailing, idempotency key, line). The store refuses an id that is in use, so when the
// same line comes again, its id is taken, by the recipient that it made the first time. That recipient's address is
// compared, so that a key that is used for another file is told and nobody is dropped in silence.

public import MailingModel
import MasterStore
import Secrets

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

/// What came of a recipient of an import.
public enum ImportResult: Sendable, Hashable {
    /// Added durably.
    case accepted
    /// Added by an earlier run of the same import.
    case repeated
    /// Not added: why, for programs and for people.
    case refused(RefusalCode, String)
}

extension Master {
    /// Adds recipients of an import as ``addRecipients(_:to:test:)`` does; may be repeated if there is a key.
    ///
    /// - Parameters:
    ///   - recipients: As many as ``MasterConfiguration/maximumRecipientsPerCall`` at most.
    ///   - id: The mailing.
    ///   - key: Names the import within the mailing; `nil` if it is not to be repeated.
    /// - Returns: One result for each, in order.
    /// - Throws: As ``addRecipients(_:to:test:)`` does; then nothing was added.
    public func importRecipients(
        _ recipients: [ImportedRecipient],
        to id: MailingID,
        key: String?
    ) async throws -> [ImportResult] {
        var submissions = recipients.map(\.submission)
        if let key {
            let prefix = self.importPrefix(id, key)
            for place in submissions.indices where submissions[place].trackingID == nil {
                submissions[place].trackingID = self.trackingID(prefix, line: recipients[place].line)
            }
        }
        let admitted = try await self.admit(submissions, to: id)
        var results: [ImportResult] = []
        var taken: [Int] = []
        for (place, admitted) in admitted.enumerated() {
            switch admitted {
            case .accepted: results.append(.accepted)
            case .refused(let refusal):
                results.append(.refused(refusal.code, refusal.reason))
                if refusal.code == .trackingIDTaken, key != nil { taken.append(place) }
            }
        }
        guard !taken.isEmpty else { return results }
        let mailing = try await self.call(id) { try await self.store.mailing(id) }
        guard let account = mailing?.account else { throw MasterError.unknown(id) }
        let owners = Dictionary(
            try await self.reports(of: taken.compactMap { submissions[$0].trackingID }, account: account)
                .map { ($0.trackingID, $0) }
        ) { first, _ in first }
        for place in taken {
            let isDerived = recipients[place].submission.trackingID == nil
            let owner = submissions[place].trackingID.flatMap { owners[$0] }
            if let owner, owner.recipient.mailing == id, owner.address == submissions[place].address {
                results[place] = .repeated
            } else if isDerived {
                results[place] = .refused(
                    .keyReused,
                    "the idempotency key was used for another file: this line held another address then"
                )
            }
        }
        return results
    }

    /// Refuses a mailing that would take no recipients, before anything is sent for it.
    ///
    /// - Throws: ``MasterError/Code/unknownMailing(_:)``, ``MasterError/Code/mailingFinished(_:)``.
    public func checkTakesRecipients(_ id: MailingID) async throws {
        try await self.call(id) {
            guard let mailing = try await self.store.mailing(id) else { throw MasterError.unknown(id) }
            try MailingLifecycle.checkChange(of: mailing)
        }
    }

    /// As many recipients may be added in one call.
    public var maximumRecipientsPerCall: Int { self.configuration.maximumRecipientsPerCall }

    private func importPrefix(_ id: MailingID, _ key: String) -> [UInt8] {
        Array("\(id.rawValue) \(key.utf8.count) \(key) ".utf8)
    }

    private func trackingID(_ prefix: [UInt8], line: Int) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text = [UInt8(ascii: "i")]
        text.reserveCapacity(33)
        for octet in self.importKey.sign(prefix + Array(String(line).utf8), length: 16) {
            text.append(digits[Int(octet >> 4)])
            text.append(digits[Int(octet & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
