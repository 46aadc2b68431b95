// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// `telstar satellites`: who may deliver.
struct SatellitesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "satellites",
        abstract: "Add, list and remove satellites.",
        subcommands: [Add.self, List.self, Remove.self]
    )

    /// `telstar satellites add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Allow a satellite: by its public key, or by a shared key with which it enrols itself."
        )

        @OptionGroup var control: ControlOptions
        @Argument(help: "The satellite's name, unique.") var serial: String
        // Z85 has a dash among its digits: one key in 85 begins with it.
        @Option(
            parsing: .unconditional,
            help: "Its public key, 40 characters of Z85 as `telstar satellite --show-key` prints it."
        )
        var publicKey: String?
        @Option(help: "A file that holds the secret for enrolment, instead of a public key.") var sharedKeyFile: String?
        @Option(help: "Deliver only mailings of this group.") var group: String?
        @Option(help: "Its share relative to the others of its group.") var weight = 1

        /// What the control API takes.
        struct Body: Encodable {
            var serial: String
            var publicKey: String?
            var sharedKey: String?
            var group: String?
            var weight: Int

            enum CodingKeys: String, CodingKey {
                case serial, group, weight
                case publicKey = "public_key"
                case sharedKey = "shared_key"
            }
        }

        func validate() throws {
            guard (self.publicKey == nil) != (self.sharedKeyFile == nil) else {
                throw ValidationError("give one of --public-key and --shared-key-file")
            }
        }

        func run() async throws {
            let sharedKey = try self.sharedKeyFile.map {
                try String(contentsOfFile: $0, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            }
            let body = Body(
                serial: self.serial,
                publicKey: self.publicKey,
                sharedKey: sharedKey,
                group: self.group,
                weight: self.weight
            )
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.addSatellite(body)
            } master: { client in
                try await client.send("POST", "/satellites", body: body, as: SatelliteView.self)
            }
            if self.control.json { return try Output.json(view) }
            print("satellite \(view.serial) is number \(view.id)")
        }
    }

    /// `telstar satellites list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the satellites.")

        @OptionGroup var control: ControlOptions

        func run() async throws {
            struct Answer: Codable { var satellites: [SatelliteView] }
            let answer = try await OfflineStore.orMaster(self.control) { store in
                Answer(satellites: try await store.satellites())
            } master: { client in
                try await client.send("GET", "/satellites", as: Answer.self)
            }
            if self.control.json { return try Output.json(answer) }
            Output.table(
                ["id", "serial", "group", "weight", "enabled", "connected", "version"],
                answer.satellites.map {
                    [
                        "\($0.id)", $0.serial, $0.group ?? "-", "\($0.weight)", $0.enabled ? "yes" : "no",
                        $0.connected ? "yes" : "no", $0.version ?? "-",
                    ]
                }
            )
        }
    }

    /// `telstar satellites remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a satellite once it has reported everything; its key is refused from then on."
        )

        @OptionGroup var control: ControlOptions
        @Argument(help: "The satellite's name.") var serial: String
        @Flag(help: "Do not wait for its reports: what it had started becomes uncertain.") var force = false

        func run() async throws {
            try await OfflineStore.orMaster(self.control) { store in
                try await store.removeSatellite(self.serial, force: self.force)
            } master: { client in
                _ = try await client.send("DELETE", "/satellites/\(self.serial)?force=\(self.force)")
            }
            if self.control.json { try Output.json(["removed": self.serial]) } else { print("removed \(self.serial)") }
        }
    }
}
