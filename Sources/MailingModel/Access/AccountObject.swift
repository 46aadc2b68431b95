// SPDX-License-Identifier: Apache-2.0

/// Names an object of an account; never reused.
public struct AccountObjectID: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// 1 or more.
    public let rawValue: Int64

    /// Wraps a number.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// The decimal form.
    public var description: String { "\(self.rawValue)" }

    /// Orders by creation.
    public static func < (left: AccountObjectID, right: AccountObjectID) -> Bool { left.rawValue < right.rawValue }
}

/// Something that an account's calls refer to by name or number: a template, a seed list, a domain and the like.
public struct AccountObject: Sendable, Hashable {
    /// What an object is, by the name that operators give it.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// Content that messages are made from.
        case template
        /// Addresses that get a copy of a mailing.
        case seedList = "seed-list"
        /// A domain that links lead to.
        case urlDomain = "url-domain"
        /// An address that bounces return to.
        case bounceEmail = "bounce-email"
        /// What somebody sees who unsubscribes.
        case unsubscribePage = "unsubscribe-page"
        /// A name for a group of satellites.
        case virtualMTA = "virtual-mta"
        /// Where a remote list's subscribers are read from.
        case databaseConnection = "database-connection"

        /// Whether names of the kind are compared without case: they are domains or addresses.
        public var ignoresCase: Bool { self == .urlDomain || self == .bounceEmail }
    }

    /// What an object holds, by its kind.
    public enum Contents: Sendable, Hashable {
        /// A template, named by its calls.
        case template(Template)
        /// A seed list.
        case seedList(SeedList)
        /// A domain, which is the object's name.
        case urlDomain
        /// An address, which is the object's name.
        case bounceEmail
        /// An unsubscribe page.
        case unsubscribePage(UnsubscribePage)
        /// A name for a group of satellites.
        case virtualMTA(VirtualMTA)
        /// A database.
        case databaseConnection(DatabaseConnection)

        /// What the object is.
        public var kind: Kind {
            switch self {
            case .template: .template
            case .seedList: .seedList
            case .urlDomain: .urlDomain
            case .bounceEmail: .bounceEmail
            case .unsubscribePage: .unsubscribePage
            case .virtualMTA: .virtualMTA
            case .databaseConnection: .databaseConnection
            }
        }

        /// The API whose calls name the object; `nil` if it is known to all of them.
        public var api: APIName? {
            guard case .template(let template) = self else { return nil }
            return template.api
        }
    }

    /// Content that messages are made from; its merge syntax is that of its API.
    public struct Template: Codable, Sendable, Hashable {
        /// The API whose calls name it.
        public var api: APIName
        /// The subject, with merge fields.
        public var subject: String
        /// The HTML part, with merge fields.
        public var html: String
        /// The plain-text part, with merge fields.
        public var plain: String?

        /// Composes a template.
        public init(api: APIName, subject: String, html: String, plain: String? = nil) {
            self.api = api
            self.subject = subject
            self.html = html
            self.plain = plain
        }
    }

    /// Addresses that get a copy of a mailing.
    public struct SeedList: Codable, Sendable, Hashable {
        /// 1 or more, in the order given.
        public var addresses: [String]

        /// Composes a list.
        public init(addresses: [String]) { self.addresses = addresses }
    }

    /// What somebody sees who unsubscribes.
    public struct UnsubscribePage: Codable, Sendable, Hashable {
        /// The page's language, as HTML names it: `en`, `pt-BR`.
        public var language: String
        /// The page; `nil` is the cluster's own in that language.
        public var html: String?

        /// Composes a page.
        public init(language: String, html: String? = nil) {
            self.language = language
            self.html = html
        }
    }

    /// A name for a group of satellites.
    public struct VirtualMTA: Codable, Sendable, Hashable {
        /// The group.
        public var group: String

        /// Composes the contents.
        public init(group: String) { self.group = group }
    }

    /// Where a remote list's subscribers are read from.
    public struct DatabaseConnection: Codable, Sendable, Hashable {
        /// The database's URL, which may hold a password; stored encrypted.
        public var url: String

        /// Composes the contents.
        public init(url: String) { self.url = url }
    }

    /// Its number, assigned by the store.
    public var id: AccountObjectID
    /// The account that it belongs to.
    public var account: AccountID
    /// Its name, unique in the account for its kind and API.
    public var name: String
    /// What it holds.
    public var contents: Contents
    /// When it was added.
    public var created: Timestamp

    /// Composes an object.
    public init(
        id: AccountObjectID,
        account: AccountID,
        name: String,
        contents: Contents,
        created: Timestamp
    ) {
        self.id = id
        self.account = account
        self.name = name
        self.contents = contents
        self.created = created
    }

    /// The id of a bounce address in the API that uses it: its number and its account's, `4@1`.
    public var bounceEmailID: String { "\(self.id)@\(self.account.rawValue)" }
}
