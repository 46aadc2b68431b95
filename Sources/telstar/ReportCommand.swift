// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

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
    @Flag(help: "Wait for more at the end.") var follow = false
    @Option(
        parsing: .upToNextOption,
        help: "Only these states: delivered, deferred, failed, unrenderable, uncertain, expired."
    )
    var status: [String] = []
    @Option(help: "Only this mailing.") var mailing: Int32?
    @Option(help: "Begin after this cursor.") var cursor = ""

    func run() async throws {
        try await ControlClient.with(self.control.door()) { client in
            var cursor = self.cursor
            while !Task.isCancelled {
                var query = "limit=1000&cursor=\(cursor)"
                if let mailing = self.mailing { query += "&mailing=\(mailing)" }
                for state in self.status { query += "&status=\(state)" }
                let page = try await client.send("GET", "/feed?\(query)", as: FeedView.self)
                for report in page.reports { try self.show(report) }
                if page.reports.isEmpty, !self.follow {
                    if !self.control.json { Output.problem("cursor: \(page.cursor)") }
                    return
                }
                cursor = page.cursor
                if page.reports.isEmpty { try await Task.sleep(for: .seconds(1)) }
            }
        }
    }

    private func show(_ report: ReportView) throws {
        if self.control.json { return try Output.json(report, pretty: false) }
        let reply = [report.replyCode.map(String.init), report.enhancedStatus, report.replyText].compactMap { $0 }
        let words = reply.joined(separator: " ").split(separator: "\n").joined(separator: " / ")
        print("\(report.modified) \(report.mailing) \(report.email) \(report.state) \(words)")
    }
}
