// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DaemonSupport
import Foundation
import MailingModel
import MasterStore

/// `telstar bench store`: fills a store with one large mailing and takes it through leasing, starting and reporting.
struct BenchStoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Measure the store's operations on one large mailing, with small ones beside it.",
        discussion: """
            Fills the store through the operation that the APIs use, then leases, starts and reports every recipient, and reads \
            the feed and the list of mailings at random positions. Latencies are median / 99 % / worst. The store must be \
            empty; a temporary SQLite store is used if none is given.
            """
    )

    @Option(help: "How many recipients.") var recipients = 1_000_000
    @Option(help: "The store's URL, as in `store.url`.") var store: String?
    @Option(help: "How many of them are leased, started and reported; all by default.") var deliver: Int?
    @Option(help: "How many finished mailings of ten recipients each the store holds beside the large one.")
    var smallMailings = 0
    @Option(help: "How many calls add recipients at the same time.") var writers = 4
    @Flag(help: "Accept a PostgreSQL server with fsync off; the figures then say little about a real one.")
    var acceptUnsafeServer = false
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard self.recipients >= 1_000, self.writers >= 1, self.smallMailings >= 0 else {
            throw ValidationError("give at least 1,000 recipients and one writer, and no negative number of mailings")
        }
    }

    func run() async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/telstar-bench-\(getpid())"
        try NamedFile.makeDirectory(directory, "the bench's directory")
        defer { try? FileManager.default.removeItem(atPath: directory) }  // temporary either way
        var overrides = [("dataDirectory", directory), ("store.acceptUnsafeServer", "\(self.acceptUnsafeServer)")]
        if let store = self.store { overrides.append(("store.url", store)) }
        let settings = try MasterSettings.load(file: nil, overrides: overrides)
        let opening = try await StoreOpening(settings)
        let run = StoreBench(
            store: opening.store,
            recipients: self.recipients,
            smallMailings: self.smallMailings,
            writers: self.writers
        )
        let figures = try await run.run(delivering: min(self.deliver ?? self.recipients, self.recipients)) {
            if !self.json { print($0) }
        }
        if self.json { try Output.json(figures) }
        try await opening.store.close()
        withExtendedLifetime(opening) {}
    }
}
