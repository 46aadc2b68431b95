// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// What the API offers, as the lists that it dispatches by.
package enum CloudMailingTables {
    /// The XML-RPC calls.
    package static var calls: [String] { CloudMailingCalls.methods }
    /// The properties of `set_mailing_properties`.
    package static var mailingProperties: [String] { CloudMailingProperties.names }
    /// The names of a mailing's statuses.
    package static var mailingStatuses: [String] { MailingStatus.allCases.map(CloudMailingMapping.name) }
    /// The names of a recipient's statuses.
    package static var recipientStatuses: [String] {
        RecipientState.allCases.map(CloudMailingMapping.name).reduce(into: []) { names, name in
            if !names.contains(name) { names.append(name) }
        }
    }
}
