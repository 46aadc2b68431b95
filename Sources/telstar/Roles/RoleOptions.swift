// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// The flags that both daemons take.
struct RoleOptions: ParsableArguments {
    @Option(help: "The YAML file.") var config: String?
    @Option(name: .customLong("set"), help: "key=value over file and environment; repeatable.") var settings: [String] =
        []
    @Flag(help: "Check the configuration and exit.") var checkConfig = false
    @Flag(help: "Print the cluster link's public key, made if there is none, and exit.") var showKey = false
    @Flag(help: "Print a commented configuration with every key and exit.") var sample = false

    /// The `--set` flags, split.
    func overrides() throws -> [(key: String, value: String)] { try self.settings.map(SettingsRouting.parse) }

    /// Makes the data directory, for its owner only.
    func makeDirectory(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
    }
}
