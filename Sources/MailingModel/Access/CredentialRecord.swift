// SPDX-License-Identifier: Apache-2.0

/// Names a credential; never reused.
public struct CredentialID: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// 1 or more.
    public let rawValue: Int64

    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// The decimal form.
    public var description: String { "\(self.rawValue)" }

    /// Orders by creation.
    public static func < (left: CredentialID, right: CredentialID) -> Bool { left.rawValue < right.rawValue }
}

/// The name and secret by which a client of an account uses one API, as stored.
public struct CredentialRecord: Sendable, Hashable {
    /// Its number, assigned by the store.
    public var id: CredentialID
    /// The account that it acts for.
    public var account: AccountID
    /// The API that it is for.
    public var api: APIName
    /// What clients send as user, owner or organization, 1 to 256 characters, unique in its API.
    public var name: String
    /// The hash of the secret; the text names the function.
    public var secretHash: String
    /// The SMTP user that it is as well, unique in its API.
    public var smtpUser: String?
    /// The group of satellites that deliver what it sends.
    public var group: String?
    /// What holds for its messages unless they say otherwise.
    public var settings: CredentialSettings
    /// When it was added.
    public var created: Timestamp

    /// Composes a record.
    public init(
        id: CredentialID,
        account: AccountID,
        api: APIName,
        name: String,
        secretHash: String,
        smtpUser: String? = nil,
        group: String? = nil,
        settings: CredentialSettings = CredentialSettings(),
        created: Timestamp
    ) {
        self.id = id
        self.account = account
        self.api = api
        self.name = name
        self.secretHash = secretHash
        self.smtpUser = smtpUser
        self.group = group
        self.settings = settings
        self.created = created
    }
}

/// What holds for the messages of a credential unless they say otherwise.
public struct CredentialSettings: Sendable, Hashable {
    /// Whether opens are tracked.
    public var trackOpens: Bool
    /// Whether clicks are tracked.
    public var trackClicks: Bool
    /// Whether messages get an unsubscribe link.
    public var subscriptionTracking: Bool
    /// The account's unsubscribe page that the link leads to; `nil` is the cluster's own.
    public var unsubscribePage: AccountObjectID?

    /// Composes settings; by default nothing is tracked.
    public init(
        trackOpens: Bool = false,
        trackClicks: Bool = false,
        subscriptionTracking: Bool = false,
        unsubscribePage: AccountObjectID? = nil
    ) {
        self.trackOpens = trackOpens
        self.trackClicks = trackClicks
        self.subscriptionTracking = subscriptionTracking
        self.unsubscribePage = unsubscribePage
    }
}
