// SPDX-License-Identifier: Apache-2.0

package import MailingModel
package import MasterCore

/// An account to be created, as the operators' API takes it.
package struct AccountBody: Codable, Sendable {
    package var name: String

    private enum CodingKeys: String, CodingKey, CaseIterable { case name }

    /// Composes a body.
    package init(name: String) { self.name = name }

    /// Reads a body; a member that is none of an account is refused.
    package init(from decoder: any Decoder) throws {
        try BodyReading.refuseUnknown(decoder, known: CodingKeys.allCases.map(\.rawValue))
        self.name = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .name)
    }
}

/// Something to be added to an account, as the operators' API takes it; which members it has depends on its kind.
package struct AccountItemBody: Codable, Sendable {
    package var name: String
    package var api: String?
    package var secret: String?
    package var smtpUser: String?
    package var group: String?
    package var trackOpens: Bool?
    package var trackClicks: Bool?
    package var subscriptionTracking: Bool?
    package var unsubscribePage: Int64?
    package var subject: String?
    package var html: String?
    package var plain: String?
    package var addresses: [String]?
    package var language: String?
    package var url: String?

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case name, api, secret, group, subject, html, plain, addresses, language, url
        case smtpUser = "smtp_user"
        case trackOpens = "track_opens"
        case trackClicks = "track_clicks"
        case subscriptionTracking = "subscription_tracking"
        case unsubscribePage = "unsubscribe_page"
    }

    /// Composes a body that has a name only.
    package init(name: String) { self.name = name }

    /// Reads a body; a member that no kind has is refused.
    package init(from decoder: any Decoder) throws {
        try BodyReading.refuseUnknown(decoder, known: CodingKeys.allCases.map(\.rawValue))
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.name = try members.decode(String.self, forKey: .name)
        self.api = try members.decodeIfPresent(String.self, forKey: .api)
        self.secret = try members.decodeIfPresent(String.self, forKey: .secret)
        self.smtpUser = try members.decodeIfPresent(String.self, forKey: .smtpUser)
        self.group = try members.decodeIfPresent(String.self, forKey: .group)
        self.trackOpens = try members.decodeIfPresent(Bool.self, forKey: .trackOpens)
        self.trackClicks = try members.decodeIfPresent(Bool.self, forKey: .trackClicks)
        self.subscriptionTracking = try members.decodeIfPresent(Bool.self, forKey: .subscriptionTracking)
        self.unsubscribePage = try members.decodeIfPresent(Int64.self, forKey: .unsubscribePage)
        self.subject = try members.decodeIfPresent(String.self, forKey: .subject)
        self.html = try members.decodeIfPresent(String.self, forKey: .html)
        self.plain = try members.decodeIfPresent(String.self, forKey: .plain)
        self.addresses = try members.decodeIfPresent([String].self, forKey: .addresses)
        self.language = try members.decodeIfPresent(String.self, forKey: .language)
        self.url = try members.decodeIfPresent(String.self, forKey: .url)
    }

    /// What the master is to add.
    ///
    /// - Throws: ``MasterError/Code/badProperty(_:)`` if a member is missing or is none of the kind.
    package func draft(_ kind: AccountItem.Kind) throws -> AccountItemDraft {
        try self.requireMembers(of: kind)
        switch kind {
        case .credential:
            return .credential(
                CredentialDraft(
                    api: try self.requireAPI(),
                    name: self.name,
                    secret: self.secret,
                    smtpUser: self.smtpUser,
                    group: self.group,
                    settings: CredentialSettings(
                        trackOpens: self.trackOpens ?? false,
                        trackClicks: self.trackClicks ?? false,
                        subscriptionTracking: self.subscriptionTracking ?? false,
                        unsubscribePage: self.unsubscribePage.map { AccountObjectID(rawValue: $0) }
                    )
                )
            )
        case .key: return .key(self.name)
        case .object(let kind): return .object(self.name, try self.contents(kind))
        }
    }

    private func contents(_ kind: AccountObject.Kind) throws -> AccountObject.Contents {
        switch kind {
        case .template:
            .template(
                AccountObject.Template(
                    api: try self.requireAPI(),
                    subject: try self.require(self.subject, .subject),
                    html: try self.require(self.html, .html),
                    plain: self.plain
                )
            )
        case .seedList: .seedList(AccountObject.SeedList(addresses: try self.require(self.addresses, .addresses)))
        case .urlDomain: .urlDomain
        case .bounceEmail: .bounceEmail
        case .unsubscribePage:
            .unsubscribePage(AccountObject.UnsubscribePage(language: self.language ?? "en", html: self.html))
        case .virtualMTA: .virtualMTA(AccountObject.VirtualMTA(group: try self.require(self.group, .group)))
        case .databaseConnection:
            .databaseConnection(AccountObject.DatabaseConnection(url: try self.require(self.url, .url)))
        }
    }

    // MARK: Members

    private static func members(of kind: AccountItem.Kind) -> Set<CodingKeys> {
        switch kind {
        case .credential:
            [.api, .secret, .smtpUser, .group, .trackOpens, .trackClicks, .subscriptionTracking, .unsubscribePage]
        case .key, .object(.urlDomain), .object(.bounceEmail): []
        case .object(.template): [.api, .subject, .html, .plain]
        case .object(.seedList): [.addresses]
        case .object(.unsubscribePage): [.language, .html]
        case .object(.virtualMTA): [.group]
        case .object(.databaseConnection): [.url]
        }
    }

    private func requireMembers(of kind: AccountItem.Kind) throws {
        let given: [(CodingKeys, Bool)] = [
            (.api, self.api != nil), (.secret, self.secret != nil), (.smtpUser, self.smtpUser != nil),
            (.group, self.group != nil), (.trackOpens, self.trackOpens != nil),
            (.trackClicks, self.trackClicks != nil), (.subscriptionTracking, self.subscriptionTracking != nil),
            (.unsubscribePage, self.unsubscribePage != nil), (.subject, self.subject != nil),
            (.html, self.html != nil), (.plain, self.plain != nil), (.addresses, self.addresses != nil),
            (.language, self.language != nil), (.url, self.url != nil),
        ]
        let own = Self.members(of: kind)
        for (member, isGiven) in given where isGiven && !own.contains(member) {
            let name = member.rawValue
            throw MasterError(.badProperty(name), "`\(name)` is not a property of a \(kind.words)")
        }
    }

    private func require<Value>(_ value: Value?, _ member: CodingKeys) throws -> Value {
        guard let value else { throw MasterError(.badProperty(member.rawValue), "`\(member.rawValue)` is missing") }
        return value
    }

    private func requireAPI() throws -> APIName { try Self.api(self.require(self.api, .api)) }

    /// The API of that name.
    ///
    /// - Throws: ``MasterError/Code/badProperty(_:)``, with the names that there are.
    package static func api(_ text: String) throws -> APIName {
        guard let api = APIName(rawValue: text) else {
            let names = APIName.allCases.map(\.rawValue).joined(separator: ", ")
            throw MasterError(.badProperty("api"), "there is no such API; these are: \(names)")
        }
        return api
    }
}
