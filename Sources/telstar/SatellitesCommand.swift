// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import OperatorAPI

/// `telstar satellites`: who may deliver.
struct SatellitesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "satellites",
        abstract: "Add, change, list and remove satellites.",
        subcommands: [Add.self, Set.self, List.self, Remove.self]
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
        @Option(
            help: """
                A file that holds the secret for enrolment, instead of a public key: 16 characters or more, readable for its \
                owner only.
                """
        )
        var sharedKeyFile: String?
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
            let sharedKey = try self.sharedKeyFile.map { try SharedKeyFile.read($0) }
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
            Output.line("satellite \(view.serial) is number \(view.id)")
        }
    }

    /// A serial as a part of a path.
    static func encoded(_ serial: String) -> String {
        serial.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed.subtracting(["/"])) ?? serial
    }

    /// `telstar satellites set`.
    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a satellite: its group, its domains, its weight, whether it may connect.",
            discussion: """
                A satellite that may no longer connect is disconnected, and its recipients that are not started go to the \
                others. `--include-domains ''` and `--exclude-domains ''` take the lists away.
                """
        )

        @OptionGroup var control: ControlOptions
        @Argument(help: "The satellite's name.") var serial: String
        @Option(help: "Deliver only mailings of this group.") var group: String?
        @Flag(help: "Deliver only mailings without a group.") var noGroup = false
        @Option(help: "Its share relative to the others of its group, 1 to 1000.") var weight: Int?
        @Option(help: "Take only recipients of these domains, separated by commas.") var includeDomains: String?
        @Option(help: "Take no recipients of these domains, separated by commas.") var excludeDomains: String?
        @Flag(help: "Whether it may connect.") var access: Access?

        /// Whether a satellite may connect.
        enum Access: String, EnumerableFlag {
            case enable, disable
        }

        func validate() throws {
            guard self.group == nil || !self.noGroup else {
                throw ValidationError("--group and --no-group contradict each other")
            }
            guard self.group?.isEmpty != true else {
                throw ValidationError("a group has a name; --no-group takes the satellite out of its group")
            }
            guard
                self.noGroup || [self.group, self.includeDomains, self.excludeDomains].contains(where: { $0 != nil })
                    || self.weight != nil || self.access != nil
            else { throw ValidationError("say what to change") }
        }

        func run() async throws {
            let change = Change(
                group: self.noGroup ? .some(nil) : self.group.map { .some($0) },
                weight: self.weight,
                include: self.includeDomains.map(Self.list),
                exclude: self.excludeDomains.map(Self.list),
                enabled: self.access.map { $0 == .enable }
            )
            let view = try await OfflineStore.orMaster(self.control) { store in
                try await store.setSatellite(self.serial, change)
            } master: { client in
                let path = "/satellites/\(SatellitesCommand.encoded(self.serial))"
                var body: [String: BodyValue] = [:]
                if let group = change.group { body["group"] = group.map { .text($0) } ?? .absent }
                body["weight"] = change.weight.map { .integer($0) }
                body["enabled"] = change.enabled.map { .truth($0) }
                if change.include != nil || change.exclude != nil {
                    // One of the lists alone leaves the other as it is.
                    let answer = try await client.send("GET", "/satellites", as: SatellitesView.self)
                    let present = answer.satellites.first { $0.serial == self.serial }?.affinity
                    func list(_ domains: [String]?) -> BodyValue { .list((domains ?? []).map { .text($0) }) }
                    body["affinity"] = .members([
                        "include": list(change.include ?? present?.include),
                        "exclude": list(change.exclude ?? present?.exclude),
                    ])
                }
                return try await client.send("PATCH", path, body: body, as: SatelliteView.self)
            }
            if self.control.json { return try Output.json(view) }
            Output.line("satellite \(view.serial) is changed")
        }

        /// What is to be changed; what is `nil` stays.
        struct Change: Sendable {
            /// `.some(nil)` takes it out of its group.
            var group: String??
            var weight: Int?
            var include: [String]?
            var exclude: [String]?
            var enabled: Bool?
        }

        private static func list(_ text: String) -> [String] {
            text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
    }

    /// `telstar satellites list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the satellites.")

        @OptionGroup var control: ControlOptions

        func run() async throws {
            let answer = try await OfflineStore.orMaster(self.control) { store in
                SatellitesView(satellites: try await store.satellites())
            } master: { client in
                try await client.send("GET", "/satellites", as: SatellitesView.self)
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
                let path = "/satellites/\(SatellitesCommand.encoded(self.serial))?force=\(self.force)"
                _ = try await client.send("DELETE", path)
            }
            if self.control.json { return try Output.json(["removed": self.serial]) }
            Output.line("removed \(self.serial)")
        }
    }
}
