// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation
import OperatorAPI

/// `telstar account`: for whom the cluster delivers, and what belongs to them.
struct AccountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account",
        abstract: "Create, list and remove accounts, their credentials, keys and objects.",
        subcommands: [Create.self, Add.self, List.self, Remove.self, RemoveAccount.self]
    )

    /// `telstar account create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Create an account.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The account's name, unique without regard to case.") var account: String

        func run() async throws {
            let body = AccountBody(name: self.account)
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.createAccount(body)
            } master: { client in
                try await client.send("POST", "/accounts", body: body, as: AccountView.self)
            }
            if self.control.json { return try Output.json(view) }
            Output.line("account \(view.name) is number \(view.id)")
        }
    }

    /// `telstar account list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the accounts, or what belongs to one.",
            discussion: "Secrets and the URLs of databases are not shown."
        )

        @OptionGroup var control: ControlOptions
        @Argument(help: "Show the credentials, keys and objects of this account.") var account: String?

        func run() async throws {
            guard let account = self.account else { return try await self.listAccounts() }
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.account(account)
            } master: { client in
                try await client.send("GET", try AccountPath.of(account), as: AccountView.self)
            }
            if self.control.json { return try Output.json(view) }
            Output.table(
                ["kind", "id", "api", "name", "created"],
                (view.items ?? []).map { [$0.kind, "\($0.id)", $0.api ?? "-", $0.name, $0.createdAt] }
            )
        }

        private func listAccounts() async throws {
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.accounts()
            } master: { client in
                try await client.send("GET", "/accounts", as: AccountsView.self)
            }
            if self.control.json { return try Output.json(view) }
            Output.table(["id", "name", "created"], view.accounts.map { ["\($0.id)", $0.name, $0.createdAt] })
        }
    }

    /// `telstar account remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a credential or an object of an account, or revoke a key of it.",
            discussion: "What it was for is refused from then on. Its number is never used again, its name may be."
        )

        @OptionGroup var control: ControlOptions
        @Argument(
            help: """
                What it is: credential, key, template, seed-list, url-domain, bounce-email, unsubscribe-page, virtual-mta or \
                database-connection.
                """
        )
        var kind: String
        @Argument(help: "Its name, as it was added.") var name: String
        @Option(help: "The account that it belongs to.") var account: String
        @Option(help: "Its API, where the account has one of that name in several.") var api: String?

        func run() async throws {
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.removeItem(self.kind, named: self.name, api: self.api, of: self.account)
            } master: { client in
                let path = try AccountPath.of(self.account, self.kind, self.name)
                let query = self.api.map { "?api=\($0.inQuery)" } ?? ""
                return try await client.send("DELETE", path + query, as: AccountItemView.self)
            }
            if self.control.json { return try Output.json(view) }
            Output.line("removed \(view.kind) \(view.name) of account \(self.account)")
        }
    }

    /// `telstar account remove-account`.
    struct RemoveAccount: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove-account",
            abstract: "Remove an account that has no mailings, with its credentials, keys and objects."
        )

        @OptionGroup var control: ControlOptions
        @Argument(help: "The account's name.") var account: String

        func run() async throws {
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.removeAccount(self.account)
            } master: { client in
                try await client.send("DELETE", try AccountPath.of(self.account), as: AccountView.self)
            }
            if self.control.json { return try Output.json(view) }
            Output.line("removed account \(view.name)")
        }
    }
}

/// Paths of the operators' API under `/accounts`.
enum AccountPath {
    /// The path of an account, of a kind of what belongs to it, or of one item.
    ///
    /// - Throws: ``StartFailure`` 1 if a name is empty, since a path cannot hold one.
    static func of(_ segments: String...) throws -> String {
        guard !segments.contains("") else { throw StartFailure(.refused, "a name is empty") }
        return "/accounts/" + segments.map(SatellitesCommand.encoded).joined(separator: "/")
    }
}
