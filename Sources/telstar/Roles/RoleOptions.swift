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

    /// Says that nothing is wrong, and what could not be tried.
    func sayThatItIsSound(isRunning: Bool, directory: String) {
        Output.line("the configuration is sound")
        if isRunning { Output.problem("a daemon runs in \(directory); whether its ports are free was not tried") }
    }

    /// Makes the data directory, for its owner only.
    func makeDirectory(_ path: String) throws {
        try NamedFile.makeDirectory(path, "the data directory")
    }
}
