// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What is to be added to an account.
public enum AccountItemDraft: Sendable, Hashable {
    /// A credential of an API that is not our own.
    case credential(CredentialDraft)
    /// A key of our own API, by its name.
    case key(String)
    /// An object, by its name.
    case object(String, AccountObject.Contents)
}

/// What a credential is made from.
public struct CredentialDraft: Sendable, Hashable {
    /// The API that it is for.
    public var api: APIName
    /// What clients send as user, owner or organization: 1 to 256 characters, none of them a control character.
    public var name: String
    /// The secret that a person chose, 1 to 256 characters; `nil` makes one.
    public var secret: String?
    /// The SMTP user that it is as well, for SendClean.
    public var smtpUser: String?
    /// The group of satellites that deliver what it sends.
    public var group: String?
    /// What holds for its messages unless they say otherwise, for SendCloud.
    public var settings: CredentialSettings

    /// Composes a draft.
    public init(
        api: APIName,
        name: String,
        secret: String? = nil,
        smtpUser: String? = nil,
        group: String? = nil,
        settings: CredentialSettings = CredentialSettings()
    ) {
        self.api = api
        self.name = name
        self.secret = secret
        self.smtpUser = smtpUser
        self.group = group
        self.settings = settings
    }
}

/// What was added to an account, with its secret if one was made, which is shown only once.
public struct AddedAccountItem: Sendable, Hashable {
    /// The item as it is stored.
    public var item: AccountItem
    /// The secret that was made; `nil` for a chosen one, and for objects.
    public var secret: String?
}
