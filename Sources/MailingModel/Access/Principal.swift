// SPDX-License-Identifier: Apache-2.0

/// Who is calling: made once for each call, by authentication, and passed down.
public struct Principal: Sendable, Hashable {
    /// The account that the caller acts for.
    public var account: AccountID
    /// The public id of the credential that it was authenticated by.
    public var credential: String

    /// Composes a principal.
    public init(account: AccountID, credential: String) {
        self.account = account
        self.credential = credential
    }
}

/// Whose mailings, recipients and events exist for an operation: what lies outside is not found.
public enum AccountScope: Sendable, Hashable {
    /// Those of one account.
    case account(AccountID)
    /// Those of every account: the operator's, and the master's own work.
    case everything

    /// Whether what belongs to an account exists.
    public func contains(_ account: AccountID) -> Bool {
        switch self {
        case .account(let own): own == account
        case .everything: true
        }
    }
}
