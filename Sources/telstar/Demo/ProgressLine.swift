// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A progress bar on a terminal, now and then a plain line otherwise.
struct ProgressLine {
    private let label: String
    private let total: Int
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let began = ContinuousClock.now
    private var shownTenths = 0

    /// A line that has shown nothing yet.
    init(label: String, total: Int) {
        self.label = label
        self.total = total
    }

    /// Shows how many are done.
    mutating func show(_ done: Int) {
        let elapsed = self.began.duration(to: .now)
        let seconds = elapsed / .seconds(1)
        let rate = seconds > 0 ? Int(Double(done) / seconds) : 0
        if self.isTerminal {
            let width = 40
            let filled = width * done / max(self.total, 1)
            let bar = String(repeating: "█", count: filled) + String(repeating: "·", count: width - filled)
            FileHandle.standardOutput.write(Data("\r\(self.label) \(bar) \(done)/\(self.total)  \(rate)/s ".utf8))
        } else if done * 10 / max(self.total, 1) > self.shownTenths {
            self.shownTenths = done * 10 / max(self.total, 1)
            print("\(self.label): \(done) of \(self.total), \(rate) a second")
        }
    }

    /// Leaves the line.
    func end() { if self.isTerminal { print("") } }
}
