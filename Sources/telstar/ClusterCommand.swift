// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation

/// `telstar cluster`: a whole cluster on this machine.
struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Run a master and satellites on this machine, all data in one directory.",
        discussion: """
            Writes DIR/cluster.json (URLs, API key, process numbers) once everything serves, and again after each restart. \
            Ends on SIGTERM or SIGINT: satellites first, so that they can report; a second signal ends everything at once.
            """
    )

    @Option(help: "The directory of the cluster; made if absent.") var dir: String
    @Option(help: "How many satellites.") var satellites = 1
    @Option(help: "The store's URL; SQLite in the directory if absent.") var store: String?
    @Option(parsing: .unconditional, help: "The secret of the API key; made if absent and kept in the directory.")
    var apiKey: String?
    @Option(help: "The HTTPS port of the API; 0 picks a free one.") var apiPort = 0
    @Option(help: "The port that satellites connect to at an MX.") var smtpPort: Int?
    @Option(help: "HOST:PORT where mailings with `testing` go.") var testTarget: String?
    @Option(
        name: .customLong("fake-dns"),
        help: "A zone file that answers DNS queries in place of the network; see docs/fake-dns.md."
    ) var fakeDNS: String?
    @Option(name: .customLong("set"), help: "key=value for whichever role knows the key; repeatable.")
    var settings: [String] = []

    func validate() throws {
        guard (0...100).contains(self.satellites) else { throw ValidationError("--satellites takes 0 to 100") }
        _ = try self.overrides()
    }

    func run() async throws {
        let directory = ClusterDirectory(path: self.dir)
        try await StartFailure.reported {
            try directory.create(satellites: self.satellites)
            let lock = try Self.lock(directory)
            defer { lock.release() }
            try? FileManager.default.removeItem(atPath: directory.file)
            let supervisor = try await ClusterSupervisor(self.plan(directory)) { Output.line($0) }
            try await ClusterRun.untilSignalled(supervisor) { file in
                Output.line("cluster ready: \(file.apiURL) (key in \(directory.file))")
            }
        }
    }

    private static func lock(_ directory: ClusterDirectory) throws -> DirectoryLock {
        do {
            return try DirectoryLock(directory: directory.path)
        } catch {
            throw StartFailure(.unavailable, "a cluster runs already in \(directory.path): \(error)")
        }
    }

    private func plan(_ directory: ClusterDirectory) throws -> ClusterSupervisor.Plan {
        ClusterSupervisor.Plan(
            directory: directory,
            satellites: self.satellites,
            store: self.store,
            apiKey: self.apiKey,
            apiPort: self.apiPort,
            smtpPort: self.smtpPort,
            testTarget: self.testTarget,
            fakeDNS: self.fakeDNS,
            settings: try self.overrides()
        )
    }

    private func overrides() throws -> [(key: String, value: String)] {
        try self.settings.map(SettingsRouting.parse)
    }
}
