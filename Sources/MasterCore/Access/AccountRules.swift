// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel

/// Which accounts, credentials and objects are acceptable; pure.
enum AccountRules {
    private static let maximumName = 256
    private static let maximumSeeds = 1_000

    /// APIs whose calls carry name and secret in HTTP Basic credentials, RFC 7617 §2.
    private static let basicAPIs: Set<APIName> = [.emailicious, .inboxfirst]
    /// APIs whose messages may be made from a stored template.
    private static let templateAPIs: [APIName] = [.sendclean, .sendcloud, .native]

    static func account(_ name: String) throws {
        guard Self.isText(name, maximum: 100), name.first?.isWhitespace == false, name.last?.isWhitespace == false
        else {
            throw Self.bad(
                "name",
                "an account's name has 1 to 100 characters, no control characters, no spaces around it"
            )
        }
    }

    static func key(_ name: String) throws { try Self.name(name, "a key's name") }

    // MARK: Credentials

    static func credential(_ draft: CredentialDraft) throws {
        guard draft.api != .native else {
            throw Self.bad("api", "a credential of the native API is a key: add one with `telstar account add key`")
        }
        try Self.name(draft.name, "a credential's ID")
        if draft.api == .emailicious, !draft.name.contains("@") {
            throw Self.bad("name", "the ID of an emailicious credential is a user's address, which holds an @")
        }
        if Self.basicAPIs.contains(draft.api), draft.name.contains(":") {
            throw Self.bad("name", "the ID of an \(draft.api.rawValue) credential holds no colon, which would end it")
        }
        if let secret = draft.secret, !(1...256).contains(secret.unicodeScalars.count) {
            throw Self.bad("secret", "a secret has 1 to 256 characters, not \(secret.unicodeScalars.count)")
        }
        if let user = draft.smtpUser {
            guard draft.api == .sendclean else {
                throw Self.bad("smtp_user", "only a sendclean credential can be an SMTP user")
            }
            try Self.name(user, "an SMTP user", property: "smtp_user")
        }
        if let group = draft.group { try Self.group(group) }
        guard draft.settings == CredentialSettings() || draft.api == .sendcloud else {
            throw Self.bad("api", "only a sendcloud credential has settings of tracking and an unsubscribe page")
        }
    }

    // MARK: Objects

    /// Requires that an object is acceptable; `maximumBytes` is the most that its texts may have.
    static func object(_ name: String, _ contents: AccountObject.Contents, maximumBytes: Int) throws {
        switch contents {
        case .urlDomain:
            guard name.contains("."), (try? EmailAddress(parsing: "x@" + name)) != nil else {
                throw Self.bad("name", "a URL domain is a domain name such as track.example.com")
            }
        case .bounceEmail: try Self.address(name, "name")
        default: try Self.name(name, "the name of a \(AccountItem.Kind.object(contents.kind).words)")
        }
        switch contents {
        case .urlDomain, .bounceEmail: break
        case .template(let template): try Self.template(template, maximumBytes: maximumBytes)
        case .seedList(let list):
            guard (1...Self.maximumSeeds).contains(list.addresses.count) else {
                throw Self.bad("addresses", "a seed list has 1 to \(Self.maximumSeeds) addresses")
            }
            for address in list.addresses { try Self.address(address, "addresses") }
        case .unsubscribePage(let page):
            let code = page.language.utf8
            guard (2...35).contains(code.count),
                page.language.split(separator: "-", omittingEmptySubsequences: false)
                    .allSatisfy({ (1...8).contains($0.utf8.count) && $0.utf8.allSatisfy(Self.isLetterOrDigit) })
            else { throw Self.bad("language", "a language is named by a code such as en or pt-BR") }
            try Self.size(page.html?.utf8.count ?? 0, maximumBytes)
        case .virtualMTA(let mta): try Self.group(mta.group)
        case .databaseConnection(let connection):
            guard Self.isText(connection.url, maximum: 2_048), let colon = connection.url.firstRange(of: "://"),
                colon.lowerBound != connection.url.startIndex, !connection.url.contains(where: \.isWhitespace)
            else { throw Self.bad("url", "a database's URL has the form SCHEME://HOST/DATABASE") }
        }
    }

    private static func template(_ template: AccountObject.Template, maximumBytes: Int) throws {
        guard Self.templateAPIs.contains(template.api) else {
            let names = Self.templateAPIs.map(\.rawValue).joined(separator: ", ")
            throw Self.bad("api", "\(template.api.rawValue) has no templates; these have: \(names)")
        }
        guard Self.isText(template.subject, maximum: 998) else {
            throw Self.bad("subject", "a subject is one line of 1 to 998 characters")
        }
        try Self.size(template.html.utf8.count + (template.plain?.utf8.count ?? 0), maximumBytes)
    }

    // MARK: Parts

    private static func name(_ name: String, _ what: String, property: String = "name") throws {
        guard Self.isText(name, maximum: Self.maximumName) else {
            throw Self.bad(property, "\(what) has 1 to \(Self.maximumName) characters, no control characters")
        }
    }

    private static func group(_ name: String) throws {
        guard !name.isEmpty else { throw Self.bad("group", "a group has a name") }
        _ = try SatelliteRules.group(name, "group")
    }

    private static func address(_ text: String, _ property: String) throws {
        do {
            _ = try EmailAddress(parsing: text)
        } catch {
            throw Self.bad(property, "`\(Self.printable(text))` is not an e-mail address")
        }
    }

    private static func size(_ bytes: Int, _ maximum: Int) throws {
        guard bytes <= maximum else { throw Self.bad("html", "the texts have \(bytes) bytes; the limit is \(maximum)") }
    }

    /// Whether a text has one line of visible and blank characters, 1 or more.
    private static func isText(_ text: String, maximum: Int) -> Bool {
        (1...maximum).contains(text.unicodeScalars.count) && text.unicodeScalars.allSatisfy { !Self.isControl($0) }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    /// A text that was refused, fit for one line of a message.
    static func printable(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(Self.maximumName).filter { !Self.isControl($0) }
        return String(String.UnicodeScalarView(scalars))
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    private static func bad(_ name: String, _ reason: String) -> MasterError { MasterError(.badProperty(name), reason) }
}
