// SPDX-License-Identifier: Apache-2.0

/// Somebody for whom the cluster delivers: the owner of mailings, API keys, credentials and objects.
public struct Account: Sendable, Hashable {
    /// The name of the account that is always there, see ``AccountID/root``.
    public static let rootName = "root"

    /// Its number.
    public var id: AccountID
    /// Its name, unique among the accounts that are not removed; names that differ only in case name one account.
    public var name: String
    /// When it was created; for the root account, when the store came to have others.
    public var created: Timestamp

    /// Composes an account.
    public init(id: AccountID, name: String, created: Timestamp) {
        self.id = id
        self.name = name
        self.created = created
    }
}

/// An API that accounts use, by the name that operators give it.
public enum APIName: String, CaseIterable, Codable, Sendable {
    /// SendClean's calls under `/v1.0`.
    case sendclean
    /// SendCloud's calls under `/apiv2`, and SMTP with its header.
    case sendcloud
    /// Emailicious's calls under `/api/v1`.
    case emailicious
    /// InboxFirst's calls under `/ga/api`.
    case inboxfirst
    /// Our own calls under `/api`, which take API keys.
    case native
}
