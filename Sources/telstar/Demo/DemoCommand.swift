// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DKIM
import DaemonSupport
import Foundation

/// `telstar demo`: a newsletter through a whole cluster on this machine, every recipient checked.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Send a newsletter through a cluster and a sink on this machine, and check every recipient.",
        discussion: """
            The exit status is 0 only if the mailing's counters, the replay of the feed and the sink's journal agree. With \
            --sink the receiving server is a foreign one, without a journal, and the check is two-way.
            """
    )

    /// How the messages are signed.
    enum Signing: String, ExpressibleByArgument, CaseIterable {
        case rsa, ed25519, none
    }

    @Option(help: "How many recipients.") var recipients = 10_000
    @Option(help: "HOST:PORT of a receiving server to use instead of the sink.") var sink: String?
    @Option(help: "How messages are signed: rsa (2048 bits), ed25519 or none.") var dkim: Signing = .rsa
    @Option(help: "How many satellites.") var satellites = 1
    @Option(help: "The directory, empty or absent; a temporary one if none is given.") var dir: String?
    @Flag(help: "Leave the cluster running and print how to reach it.") var keep = false
    @Flag(help: "Let the sink verify each DKIM signature, which costs time.") var verify = false
    @Option(name: .customLong("set"), help: "key=value for whichever role knows the key; repeatable.")
    var settings: [String] = []

    func validate() throws {
        guard (1...10_000_000).contains(self.recipients) else {
            throw ValidationError("--recipients takes 1 to 10,000,000")
        }
    }

    func run() async throws {
        try await StartFailure.reported {
            let path = self.dir ?? NSTemporaryDirectory() + "telstar-demo-\(getpid())"
            let stage = try DemoStage(
                directory: ClusterDirectory(path: path),
                satellites: self.satellites,
                recipients: self.recipients,
                foreignSink: self.sink,
                signing: self.dkim,
                verify: self.verify,
                settings: try self.settings.map(SettingsRouting.parse)
            )
            let passed = try await stage.perform(keep: self.keep)
            if self.dir == nil, passed, !self.keep {
                // What is left is a temporary directory; failing to remove it harms nobody.
                try? FileManager.default.removeItem(atPath: path)
            }
            if !passed { throw ArgumentParser.ExitCode(1) }
        }
    }
}
