// SPDX-License-Identifier: Apache-2.0

import OperatorAPI

/// What the feed said of each recipient, the latest report counting.
struct DemoTally {
    /// Whether three accounts agree, and why not.
    struct Verdict {
        var agrees: Bool
        var text: String
    }

    private var states: [String: String] = [:]
    /// What the server said to each recipient that is deferred.
    private var deferrals: [String: String] = [:]
    /// Recipients whose outcome is unknown.
    private(set) var uncertain: Set<String> = []
    /// Recipients reported more than once as delivered.
    private(set) var deliveredTwice = 0

    /// Takes an event.
    mutating func note(_ report: ReportView) {
        if report.status == "delivered", self.states[report.email] == "delivered" { self.deliveredTwice += 1 }
        self.states[report.email] = report.status
        self.deferrals[report.email] = report.status == "deferred" ? report.reply : nil
        if report.uncertain { self.uncertain.insert(report.email) } else { self.uncertain.remove(report.email) }
    }

    /// Why recipients are deferred: the servers' replies, and how many had each, the most frequent first.
    var reasons: [(reply: String, count: Int)] {
        Dictionary(self.deferrals.values.map { ($0, 1) }, uniquingKeysWith: +)
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
    }

    /// How many recipients have any report.
    var attempted: Int { self.states.count }

    /// How many stand in a state.
    func count(_ state: String) -> Int { self.states.values.reduce(0) { $0 + ($1 == state ? 1 : 0) } }

    /// Compares the feed with the counters and, if there is one, with the sink's journal.
    func agreement(with view: MailingView, journal: SinkJournal?, expected: Int) -> Verdict {
        var troubles: [String] = []
        if view.total != expected { troubles.append("the mailing counts \(view.total) recipients of \(expected)") }
        if view.delivered != self.count("delivered") { troubles.append("delivered: counters and feed differ") }
        if view.deferred != self.count("deferred") { troubles.append("deferred: counters and feed differ") }
        let failed = self.count("failed") + self.count("unrenderable") + self.count("uncertain")
        if view.failed != failed { troubles.append("failed: counters and feed differ") }
        if self.deliveredTwice > 0 { troubles.append("\(self.deliveredTwice) reported delivered twice") }
        if let journal {
            let delivered = Set(self.states.filter { $0.value == "delivered" }.keys)
            let received = Set(journal.recipients.keys)
            let lost = delivered.subtracting(received).subtracting(self.uncertain)
            let unaccounted = received.subtracting(delivered).subtracting(self.uncertain)
            let repeated = journal.recipients.filter { $0.value > 1 && !self.uncertain.contains($0.key) }
            if !lost.isEmpty { troubles.append("\(lost.count) reported delivered and not in the journal") }
            if !unaccounted.isEmpty {
                troubles.append("\(unaccounted.count) in the journal and not reported delivered")
            }
            if !repeated.isEmpty { troubles.append("\(repeated.count) in the journal more than once") }
        }
        let ways =
            journal == nil
            ? "counters and feed (a foreign sink keeps no journal: two-way)" : "counters, feed and journal"
        guard troubles.isEmpty else {
            return Verdict(agrees: false, text: "DISAGREEMENT: " + troubles.joined(separator: "; "))
        }
        return Verdict(agrees: true, text: "\(ways) agree: lost 0, repeated 0, uncertain \(self.uncertain.count)")
    }
}
