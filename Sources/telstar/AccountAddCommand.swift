// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import OperatorAPI

extension AccountCommand {
    /// `telstar account add`: one subcommand for each kind.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a credential, a key or an object to an account.",
            subcommands: [
                Credential.self, Template.self, SeedList.self, URLDomain.self, BounceEmail.self, UnsubscribePage.self,
                VirtualMTA.self, DatabaseConnection.self, Key.self,
            ]
        )
    }
}

/// What every `telstar account add` takes.
struct AccountAddition: ParsableArguments {
    @OptionGroup var control: ControlOptions
    @Option(help: "The account that it shall belong to; root is always there.") var account: String

    /// Adds it and prints what was added.
    func add(_ kind: String, _ body: AccountItemBody) async throws {
        let view = try await OfflineStore.orMaster(self.control) { store in
            try await store.addItem(kind, body, to: self.account)
        } master: { client in
            try await client.send("POST", try AccountPath.of(self.account, kind), body: body, as: AccountItemView.self)
        }
        if self.control.json { return try Output.json(view) }
        Output.line("\(view.kind) \(view.name) of account \(self.account) has the id \(view.id)")
        if let secret = view.secret {
            Output.line("secret: \(secret)")
            Output.line("It is not shown again; only a hash is stored.")
        }
    }
}

/// An option that is given as yes or no.
enum YesNo: String, ExpressibleByArgument, CaseIterable {
    case yes, no

    var isYes: Bool { self == .yes }
}

extension AccountCommand.Add {
    /// `telstar account add credential`.
    struct Credential: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add the name and secret by which a client uses an API.",
            discussion: """
                The ID is what the client sends as owner_id (sendclean), API_USER (sendcloud), user (emailicious) or organization \
                (inboxfirst). Without --secret-file a secret is made and shown once; only a hash is stored.
                """
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "What the client sends as its name, unique in the API.") var id: String
        @Option(help: "The API: sendclean, sendcloud, emailicious or inboxfirst.") var api: String
        @Option(help: "A file that holds the secret, 1 to 256 characters; a line end at its end is no part of it.")
        var secretFile: String?
        @Option(help: "Make it an SMTP user of that name as well, without limits (sendclean).") var smtpUser: String?
        @Option(help: "The group of satellites that deliver what it sends.") var group: String?
        @Option(help: "Whether opens are tracked, unless a message says otherwise: yes or no (sendcloud).")
        var trackOpens: YesNo?
        @Option(help: "Whether clicks are tracked, unless a message says otherwise: yes or no (sendcloud).")
        var trackClicks: YesNo?
        @Option(help: "Whether messages get an unsubscribe link, unless they say otherwise: yes or no (sendcloud).")
        var subscriptionTracking: YesNo?
        @Option(help: "The id of the unsubscribe page that the link leads to (sendcloud).") var unsubscribePage: Int64?

        func run() async throws {
            var body = AccountItemBody(name: self.id)
            body.api = self.api
            body.secret = try self.secretFile.map { try AccountFile.secret($0, "the secret file") }
            body.smtpUser = self.smtpUser
            body.group = self.group
            body.trackOpens = self.trackOpens?.isYes
            body.trackClicks = self.trackClicks?.isYes
            body.subscriptionTracking = self.subscriptionTracking?.isYes
            body.unsubscribePage = self.unsubscribePage
            try await self.addition.add("credential", body)
        }
    }

    /// `telstar account add template`.
    struct Template: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add content that the calls of an API make messages from.",
            discussion: "Merge fields are {{NAME}} for sendclean and native, %NAME% for sendcloud."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The template's name, unique in the account for its API.") var name: String
        @Option(help: "The API: sendclean, sendcloud or native.") var api: String
        @Option(parsing: .unconditional, help: "The subject, with merge fields.") var subject: String
        @Option(help: "A file that holds the HTML part.") var htmlFile: String
        @Option(help: "A file that holds the plain-text part.") var textFile: String?

        func run() async throws {
            var body = AccountItemBody(name: self.name)
            body.api = self.api
            body.subject = self.subject
            body.html = try NamedFile.text(self.htmlFile, "the HTML part")
            body.plain = try self.textFile.map { try NamedFile.text($0, "the plain-text part") }
            try await self.addition.add("template", body)
        }
    }

    /// `telstar account add seed-list`.
    struct SeedList: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "seed-list",
            abstract: "Add addresses that get a copy of a mailing."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The list's name, unique in the account.") var name: String
        @Option(name: .customLong("address"), help: "An address; repeatable.") var addresses: [String] = []

        func run() async throws {
            var body = AccountItemBody(name: self.name)
            body.addresses = self.addresses
            try await self.addition.add("seed-list", body)
        }
    }

    /// `telstar account add url-domain`.
    struct URLDomain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "url-domain",
            abstract: "Add a domain that links lead to."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The domain.") var name: String

        func run() async throws { try await self.addition.add("url-domain", AccountItemBody(name: self.name)) }
    }

    /// `telstar account add bounce-email`.
    struct BounceEmail: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "bounce-email",
            abstract: "Add an address that bounces return to. Its id is text, such as 4@1."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The address.") var address: String

        func run() async throws { try await self.addition.add("bounce-email", AccountItemBody(name: self.address)) }
    }

    /// `telstar account add unsubscribe-page`.
    struct UnsubscribePage: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "unsubscribe-page",
            abstract: "Add a page that is shown to whoever unsubscribes."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The page's name, unique in the account.") var name: String
        @Option(help: "The page's language, such as en or pt-BR.") var language = "en"
        @Option(help: "A file that holds the page, instead of the cluster's own.") var htmlFile: String?

        func run() async throws {
            var body = AccountItemBody(name: self.name)
            body.language = self.language
            body.html = try self.htmlFile.map { try NamedFile.text($0, "the page") }
            try await self.addition.add("unsubscribe-page", body)
        }
    }

    /// `telstar account add virtual-mta`.
    struct VirtualMTA: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "virtual-mta",
            abstract: "Add a name by which calls choose a group of satellites."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The name, unique in the account.") var name: String
        @Option(help: "The group of satellites.") var group: String

        func run() async throws {
            var body = AccountItemBody(name: self.name)
            body.group = self.group
            try await self.addition.add("virtual-mta", body)
        }
    }

    /// `telstar account add database-connection`.
    struct DatabaseConnection: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "database-connection",
            abstract: "Add a database from which a remote list's subscribers are read."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "The connection's name, unique in the account.") var name: String
        @Option(help: "A file that holds the database's URL; it is stored encrypted and not shown again.")
        var urlFile: String

        func run() async throws {
            var body = AccountItemBody(name: self.name)
            body.url = try AccountFile.secret(self.urlFile, "the file of the URL")
            try await self.addition.add("database-connection", body)
        }
    }

    /// `telstar account add key`.
    struct Key: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create a key of the native API for an account. Its secret is shown once; only a hash is stored.",
            discussion: "`telstar key revoke` with its id takes it back."
        )

        @OptionGroup var addition: AccountAddition
        @Argument(help: "A name that says what the key is for, unique in the account.") var name: String

        func run() async throws { try await self.addition.add("key", AccountItemBody(name: self.name)) }
    }
}

/// Files whose whole text is a secret.
enum AccountFile {
    /// The text of a file without the line end at its end, if there is one.
    ///
    /// - Throws: ``StartFailure`` 66 if it cannot be read, 65 if it is no text in UTF-8.
    static func secret(_ path: String, _ what: String) throws -> String {
        let text = try NamedFile.text(path, what)
        // A carriage return with a line feed is one character.
        return text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
    }
}
