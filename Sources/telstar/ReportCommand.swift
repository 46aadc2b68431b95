// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import OperatorAPI
import Synchronization

/// `telstar report`: the feed on a terminal, into a pipe or into a file.
struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Print the report feed, or export it.",
        subcommands: [ShowCommand.self, ExportCommand.self],
        defaultSubcommand: ShowCommand.self
    )
}

/// `telstar report show`, or `telstar report` alone.
struct ShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Print the report feed.")

    @OptionGroup var control: ControlOptions
    @Flag(help: "Wait for more at the end, until Ctrl-C.") var follow = false
    @Option(
        parsing: .upToNextOption,
        help: "Only these states: delivered, deferred, failed, unrenderable, uncertain, expired."
    )
    var status: [String] = []
    @Option(help: "Only this mailing.") var mailing: Int32?
    @Option(help: "Begin after this cursor.") var cursor = ""

    func run() async throws {
        let printing = Printing(cursor: self.cursor, isJSON: self.control.json)
        try await ControlClient.with(self.control.endpoint()) { client in
            guard self.follow else { return try await self.show(client, printing) }
            // Whoever follows ends it with Ctrl-C: the position where to go on is then what there is left to say.
            let signals = SignalWait.stream([SIGINT, SIGTERM])
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        try await self.show(client, printing)
                    } catch is CancellationError {
                        // Asked to end by the signal.
                    }
                    return true
                }
                group.addTask {
                    for await _ in signals { break }
                    return false
                }
                _ = try await group.next()
                group.cancelAll()
                for try await _ in group {}
            }
        }
        try printing.end()
    }

    private func show(_ client: ControlClient, _ printing: Printing) async throws {
        while !Task.isCancelled {
            var query = "limit=1000&cursor=\(printing.cursor.inQuery)"
            if let mailing = self.mailing { query += "&mailing=\(mailing)" }
            for name in self.status { query += "&status=\(name.inQuery)" }
            let page = try await client.send("GET", "/feed?\(query)", as: FeedView.self)
            try printing.show(page)
            guard page.reports.isEmpty else { continue }
            guard self.follow else { return }
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// Prints reports, each line at once and whole, and knows the cursor after what it has printed.
    private final class Printing: Sendable {
        private let state: Mutex<(cursor: String, count: Int)>
        private let isJSON: Bool

        init(cursor: String, isJSON: Bool) {
            self.state = Mutex((cursor, 0))
            self.isJSON = isJSON
        }

        var cursor: String { self.state.withLock { $0.cursor } }

        func show(_ page: FeedView) throws {
            for report in page.reports {
                if self.isJSON {
                    try Output.jsonLine(report)
                } else {
                    let head = "\(report.modifiedAt) \(report.mailing) \(report.email) \(report.status)"
                    Output.line(report.reply.isEmpty ? head : "\(head) \(report.reply)")
                }
            }
            self.state.withLock { $0 = (page.cursor, $0.count + page.reports.count) }
        }

        /// Says where to go on: with JSON as the last line, which the export has too, and for people beside the output.
        func end() throws {
            struct End: Encodable {
                var cursor: String
                var reports: Int
            }
            let (cursor, count) = self.state.withLock { $0 }
            if self.isJSON { try Output.jsonLine(End(cursor: cursor, reports: count)) }
            Output.problem("cursor: \(cursor)")
        }
    }
}
