// SPDX-License-Identifier: Apache-2.0

package import MailingModel
package import MasterCore

/// An account as the operators' API shows it; with what belongs to it where one account is asked for.
package struct AccountView: Codable, Sendable {
    package var id: Int32
    package var name: String
    package var createdAt: String
    package var items: [AccountItemView]?

    enum CodingKeys: String, CodingKey {
        case id, name, items
        case createdAt = "created_at"
    }

    /// Shows an account.
    package init(_ account: Account, items: [AccountItem]? = nil) {
        self.id = account.id.rawValue
        self.name = account.name
        self.createdAt = account.created.rfc3339
        self.items = items?.map { AccountItemView($0) }
    }
}

/// Some accounts.
package struct AccountsView: Codable, Sendable {
    package var accounts: [AccountView]

    /// Shows accounts.
    package init(_ accounts: [Account]) { self.accounts = accounts.map { AccountView($0) } }
}

/// Something that belongs to an account; the secret only when it is made, and never the URL of a database.
package struct AccountItemView: Codable, Sendable {
    /// A number, but for a bounce address, whose id is text in the API that uses it.
    package enum ID: Codable, Hashable, Sendable, CustomStringConvertible {
        case number(Int64)
        case text(String)

        /// Reads an integer or a text.
        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int64.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        /// Writes an integer or a text.
        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .text(let text): try container.encode(text)
            }
        }

        /// As it is printed.
        package var description: String {
            switch self {
            case .number(let number): "\(number)"
            case .text(let text): text
            }
        }
    }

    package var id: ID
    package var kind: String
    package var name: String
    package var api: String?
    package var publicID: String?
    package var secret: String?
    package var smtpUser: String?
    package var group: String?
    package var trackOpens: Bool?
    package var trackClicks: Bool?
    package var subscriptionTracking: Bool?
    package var unsubscribePage: Int64?
    package var subject: String?
    package var addresses: [String]?
    package var language: String?
    package var createdAt: String

    enum CodingKeys: String, CodingKey {
        case id, kind, name, api, secret, group, subject, addresses, language
        case publicID = "public_id"
        case smtpUser = "smtp_user"
        case trackOpens = "track_opens"
        case trackClicks = "track_clicks"
        case subscriptionTracking = "subscription_tracking"
        case unsubscribePage = "unsubscribe_page"
        case createdAt = "created_at"
    }

    /// Shows what was added, with its secret if one was made.
    package init(_ added: AddedAccountItem) {
        self.init(added.item)
        self.secret = added.secret
    }

    /// Shows an item.
    package init(_ item: AccountItem) {
        self.kind = item.kind.rawValue
        self.name = item.name
        self.api = item.api?.rawValue
        switch item {
        case .credential(let credential):
            self.id = .number(credential.id.rawValue)
            self.createdAt = credential.created.rfc3339
            self.smtpUser = credential.smtpUser
            self.group = credential.group
            if credential.api == .sendcloud {
                self.trackOpens = credential.settings.trackOpens
                self.trackClicks = credential.settings.trackClicks
                self.subscriptionTracking = credential.settings.subscriptionTracking
                self.unsubscribePage = credential.settings.unsubscribePage?.rawValue
            }
        case .key(let key):
            self.id = .number(key.number)
            self.createdAt = key.created.rfc3339
            self.publicID = key.publicID
        case .object(let object):
            self.id = Self.id(of: object)
            self.createdAt = object.created.rfc3339
            switch object.contents {
            case .template(let template): self.subject = template.subject
            case .seedList(let list): self.addresses = list.addresses
            case .unsubscribePage(let page): self.language = page.language
            case .virtualMTA(let mta): self.group = mta.group
            case .urlDomain, .bounceEmail, .databaseConnection: break
            }
        }
    }

    private static func id(of object: AccountObject) -> ID {
        guard case .bounceEmail = object.contents else { return .number(object.id.rawValue) }
        return .text(object.bounceEmailID)
    }
}

/// Some items of an account.
package struct AccountItemsView: Codable, Sendable {
    package var items: [AccountItemView]

    /// Shows items.
    package init(_ items: [AccountItem]) { self.items = items.map { AccountItemView($0) } }
}
