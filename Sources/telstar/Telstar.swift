// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Listening

/// The program: a subcommand for each role and each thing an operator does.
@main
struct Telstar: AsyncParsableCommand {
    /// The version that `--version`, the satellites' handshake and the status page report.
    static let version = "0.1.0"

    /// Runs the subcommand that the command line names, and says why it failed if it did.
    static func main() async {
        // A daemon may need many descriptors, and the soft limit is made for programs that call select(2).
        Descriptors.raiseLimit()
        do {
            var command = try Self.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            CommandFailure.leave(with: error)
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "telstar",
        abstract: "A distributed bulk-mailing cluster.",
        version: Telstar.version,
        subcommands: [
            MasterCommand.self, SatelliteCommand.self, ClusterCommand.self, DemoCommand.self, SinkCommand.self,
            KeyCommand.self, AccountCommand.self, SatellitesCommand.self, MailingCommand.self, ReportCommand.self,
            BackupCommand.self, ConfirmStoreCommand.self, BenchCommand.self, TablesCommand.self,
        ]
    )
}
