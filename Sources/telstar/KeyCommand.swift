// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import OperatorAPI

/// `telstar key`: the API keys.
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Create, list and revoke API keys.",
        subcommands: [Create.self, List.self, Revoke.self]
    )

    /// `telstar key create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an API key. Its secret is shown once; only a hash is stored."
        )

        @OptionGroup var control: ControlOptions
        @Option(help: "A name that says what the key is for.") var name = "default"
        @Option(help: "Escape merge fields in HTML parts of mailings made with this key (true or false).")
        var autoescape: Bool?

        func run() async throws {
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.createKey(name: self.name, autoescape: self.autoescape)
            } master: { client in
                struct Body: Encodable {
                    var name: String
                    var autoescape: Bool?
                }
                return try await client.send(
                    "POST",
                    "/keys",
                    body: Body(name: self.name, autoescape: self.autoescape),
                    as: KeyView.self
                )
            }
            if self.control.json { return try Output.json(view) }
            Output.line("key \(view.id) (\(view.name))")
            Output.line("secret: \(view.key ?? "")")
            Output.line("It is not shown again; API clients use it as the password of user `admin`.")
        }
    }

    /// `telstar key list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the API keys.")

        @OptionGroup var control: ControlOptions

        func run() async throws {
            let answer = try await OfflineStore.orMaster(self.control) { store in
                try await store.keys()
            } master: { client in
                try await client.send("GET", "/keys", as: KeysView.self)
            }
            if self.control.json { return try Output.json(answer) }
            Output.table(
                ["id", "number", "account", "name", "created", "revoked"],
                answer.keys.map {
                    [$0.id, "\($0.number)", $0.account, $0.name, $0.createdAt, $0.revokedAt ?? "-"]
                }
            )
        }
    }

    /// `telstar key revoke`.
    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke an API key; it is refused from then on.")

        @OptionGroup var control: ControlOptions
        @Argument(help: "The key's id or its number, as listed.") var id: String

        func run() async throws {
            try await OfflineStore.orMaster(self.control) { store in
                try await store.revokeKey(self.id)
            } master: { client in
                _ = try await client.send("DELETE", "/keys/\(SatellitesCommand.encoded(self.id))")
            }
            if self.control.json { return try Output.json(["revoked": self.id]) }
            Output.line("revoked \(self.id)")
        }
    }
}
