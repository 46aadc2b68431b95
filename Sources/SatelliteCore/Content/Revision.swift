// SPDX-License-Identifier: Apache-2.0

import DKIM
import MailMerge
import MailingModel

/// A content revision ready to be sent: compiled, with its signatures; shared by all recipients of all its leases.
final class Revision: Sendable {
    /// What all messages come from.
    let content: CompiledContent
    /// Signs them; `nil` if nothing is to be signed.
    let signer: MessageSigner?
    /// The reverse path of leases without a return path domain.
    let mailFrom: String

    init(content: CompiledContent, signer: MessageSigner?, mailFrom: String) {
        self.content = content
        self.signer = signer
        self.mailFrom = mailFrom
    }
}

/// Why no recipient of a lease can be sent to.
struct RevisionFailure: Error, Hashable {
    /// Whether trying later could help: something is missing, rather than wrong.
    var mayPass: Bool
    /// What is missing or wrong.
    var text: String

    /// What becomes of each recipient.
    var verdict: DeliveryOutcome {
        let trace = AttemptTrace(stage: .render, text: self.text)
        return self.mayPass ? .deferred(trace) : .unrenderable(trace)
    }
}
