// SPDX-License-Identifier: Apache-2.0

/// An API key as stored.
public struct APIKeyRecord: Sendable, Hashable {
    /// Its number, assigned by the store.
    public var number: Int64
    /// Names the key, in lists and in logs.
    public var publicID: String
    /// SHA-256 of the secret.
    public var secretHash: [UInt8]
    /// A name for people.
    public var name: String
    /// The account it acts for.
    public var account: AccountID
    /// Overrides `cloudmailing.autoescape` for mailings created with it.
    public var autoescape: Bool?
    /// When it was made.
    public var created: Timestamp
    /// When it was revoked.
    public var revoked: Timestamp?

    /// Composes a record.
    public init(
        number: Int64 = 0,
        publicID: String,
        secretHash: [UInt8],
        name: String,
        account: AccountID,
        autoescape: Bool? = nil,
        created: Timestamp,
        revoked: Timestamp? = nil
    ) {
        self.number = number
        self.publicID = publicID
        self.secretHash = secretHash
        self.name = name
        self.account = account
        self.autoescape = autoescape
        self.created = created
        self.revoked = revoked
    }
}
