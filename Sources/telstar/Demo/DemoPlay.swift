// SPDX-License-Identifier: Apache-2.0

import Foundation
import OperatorAPI

/// The demo itself: create, fill, start, follow, compare, show.
struct DemoPlay: Sendable {
    let stage: DemoStage
    let cluster: ClusterFile
    let supervisor: ClusterSupervisor
    let sinkPID: Int32?

    /// Plays it.
    ///
    /// - Returns: Whether counters, feed and journal agree.
    func perform() async throws -> Bool {
        let key = self.cluster.apiKey
        return try await ControlClient.with(.url(self.cluster.apiPlainURL, key: key, trust: .anybody)) { client in
            let mailing = try await self.create(client)
            let fill = ContinuousClock.now
            try await self.fill(mailing, client)
            let filled = fill.duration(to: .now)
            print(
                "\(self.stage.recipients) recipients accepted in \(Self.seconds(filled)) s; starting (DKIM: \(self.stage.signing.rawValue))"
            )
            let before = await self.usage()
            let start = ContinuousClock.now
            _ = try await client.send("POST", "/mailings/\(mailing)/start")
            var tally = DemoTally()
            let end = try await self.follow(mailing, client, into: &tally, since: start)
            let took = start.duration(to: end)
            let after = await self.usage()
            let view = try await client.send("GET", "/mailings/\(mailing)", as: MailingView.self)
            let journal = try self.stage.journal.map { try SinkJournal(path: $0) }
            print("")
            self.tellResult(view, tally, journal)
            self.tellCost(took, before: before, after: after)
            self.showMessage()
            let verdict = tally.agreement(with: view, journal: journal, expected: self.stage.recipients)
            print(verdict.text)
            return verdict.agrees
        }
    }

    private func create(_ client: ControlClient) async throws -> Int32 {
        struct Body: Encodable {
            var mailFrom = "orbit@news.telstar.example"
            var senderName = "Orbit Report"
            var subject = Newsletter.subject
            var html = Newsletter.html
            var plain = Newsletter.plain
            var trackingURL = "https://t.telstar.example/"
            var clickTracking = true
            var dkim: [[String: String]]

            enum CodingKeys: String, CodingKey {
                case subject, html, plain, dkim
                case mailFrom = "mail_from"
                case senderName = "sender_name"
                case trackingURL = "tracking_url"
                case clickTracking = "click_tracking"
            }
        }
        return try await client.send("POST", "/mailings", body: Body(dkim: self.stage.signature), as: MailingView.self)
            .id
    }

    private func fill(_ mailing: Int32, _ client: ControlClient) async throws {
        var line = ProgressLine(label: "filling", total: self.stage.recipients)
        var next = 0
        while next < self.stage.recipients {
            let end = min(next + 1000, self.stage.recipients)
            let batch = (next..<end).map(DemoAudience.recipient)
            struct Envelope: Decodable { var recipients: [RecipientAnswer] }
            let answers = try await client.send(
                "POST",
                "/mailings/\(mailing)/recipients",
                body: batch,
                as: Envelope.self
            ).recipients
            if let refused = answers.first(where: { $0.error != nil }) {
                throw ControlClient.Refusal(status: 422, code: "recipient", message: refused.error ?? "")
            }
            next = end
            line.show(next)
        }
        line.end()
    }

    /// Reads the feed until every recipient has been attempted.
    private func follow(
        _ mailing: Int32,
        _ client: ControlClient,
        into tally: inout DemoTally,
        since start: ContinuousClock.Instant
    ) async throws -> ContinuousClock.Instant {
        var line = ProgressLine(label: "sending", total: self.stage.recipients)
        var cursor = ""
        while tally.attempted < self.stage.recipients {
            let page = try await client.send(
                "GET",
                "/feed?limit=1000&mailing=\(mailing)&cursor=\(cursor)",
                as: FeedView.self
            )
            cursor = page.cursor
            for report in page.reports { tally.note(report) }
            if page.reports.isEmpty {
                line.show(tally.attempted)
                try await Task.sleep(for: .milliseconds(100))
            } else if page.reports.count < 1000 {
                line.show(tally.attempted)
            }
        }
        line.end()
        return .now
    }

    private func usage() async -> [String: ProcessUsage] {
        var usage: [String: ProcessUsage] = [:]
        for (name, pid) in await self.supervisor.pids { usage[name] = ProcessUsage(pid: pid) }
        if let pid = self.sinkPID { usage["sink"] = ProcessUsage(pid: pid) }
        return usage
    }

    private func tellResult(_ view: MailingView, _ tally: DemoTally, _ journal: SinkJournal?) {
        let rows: [[String]] = [
            [
                "delivered", "\(view.delivered)", "\(tally.count("delivered"))",
                journal.map { "\($0.recipients.count)" } ?? "-",
            ],
            ["deferred", "\(view.deferred)", "\(tally.count("deferred"))", "-"],
            [
                "failed", "\(view.failed)",
                "\(tally.count("failed") + tally.count("unrenderable") + tally.count("uncertain"))", "-",
            ],
            ["total", "\(view.total)", "\(tally.attempted)", "-"],
        ]
        Output.table(["", "counters", "feed", "sink's journal"], rows)
        for (reply, count) in tally.reasons.prefix(5) { print("deferred, \(count) times: \(reply)") }
        if tally.count("deferred") > 0 {
            let why = self.stage.journal == nil ? "" : "The sink does so on purpose, as some servers always do. "
            print(
                "\(why)Deferred recipients are tried again later: after 10 minutes, then ever more seldom, for 5 days."
            )
        }
        if !tally.uncertain.isEmpty {
            print("uncertain: " + tally.uncertain.sorted().prefix(20).joined(separator: ", "))
        }
        print("")
    }

    private func tellCost(_ took: Duration, before: [String: ProcessUsage], after: [String: ProcessUsage]) {
        let seconds = took / .seconds(1)
        let count = Double(self.stage.recipients)
        print("sent in \(Self.seconds(took)) s: \(Int(count / max(seconds, 0.001))) messages a second")
        let rows = after.keys.sorted().compactMap { name -> [String]? in
            guard let now = after[name] else { return nil }
            let then = before[name]
            let cpu = now.processorSeconds - (then?.processorSeconds ?? 0)
            let switches = now.contextSwitches - (then?.contextSwitches ?? 0)
            return [
                name, "\(now.peakResidentBytes / 1_048_576) MiB", String(format: "%.1f", cpu / count * 1e6),
                String(format: "%.2f", Double(switches) / count),
            ]
        }
        Output.table(["process", "peak memory", "CPU µs per message", "context switches per message"], rows)
        print("")
    }

    private func showMessage() {
        guard let path = self.stage.firstMessage, let data = FileManager.default.contents(atPath: path) else { return }
        print("One received message:\n")
        let lines = String(decoding: data, as: UTF8.self).replacing("\r\n", with: "\n").split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        for line in lines.prefix(48) { print("  " + line) }
        if lines.count > 48 { print("  … \(lines.count - 48) more lines") }
        print("")
    }

    private static func seconds(_ duration: Duration) -> String {
        String(format: "%.1f", duration / .seconds(1))
    }
}
