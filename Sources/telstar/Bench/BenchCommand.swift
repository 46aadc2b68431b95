// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `telstar bench`: measures parts of the program on this machine.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the program on this machine.",
        subcommands: [BenchStoreCommand.self]
    )
}
