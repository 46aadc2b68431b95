// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MailingModel

/// What the API offers, as the lists that it dispatches by; `telstar tables` prints them.
public enum APITables {
    /// The XML-RPC calls.
    public static var calls: [String] { CloudMailingCalls.methods }
    /// The properties of `set_mailing_properties`.
    public static var mailingProperties: [String] { CloudMailingProperties.names }
    /// The XML-RPC API's names for the status of a mailing.
    public static var mailingStatuses: [String] { MailingStatus.allCases.map(CloudMailingMapping.name(for:)) }
    /// The XML-RPC API's names for the status of a recipient.
    public static var recipientStatuses: [String] {
        RecipientState.allCases.map(CloudMailingMapping.name(for:)).reduce(into: []) { names, name in
            if !names.contains(name) { names.append(name) }
        }
    }
    /// The control API's names for the status of a mailing.
    public static var mailingStates: [String] { MailingStatus.allCases.map { "\($0)" } }
    /// The control API's names for the state of a recipient.
    public static var recipientStates: [String] { RecipientState.allCases.map { "\($0)" } }
    /// The HTTP methods and paths, such as `GET /api/reports`.
    public static var routes: [String] { APIRoute.all.map { "\($0.method.rawValue) \($0.path)" } }
}
