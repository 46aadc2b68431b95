// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a process has used so far, from `/proc`.
struct ProcessUsage: Sendable {
    /// The greatest resident size, bytes.
    var peakResidentBytes: Int
    /// Processor time, user and system.
    var processorSeconds: Double
    /// Voluntary and involuntary context switches of its living threads.
    var contextSwitches: Int

    /// Reads the usage of a living process; `nil` once it is gone.
    init?(pid: Int32) {
        guard let status = Self.read("/proc/\(pid)/status"), let stat = Self.read("/proc/\(pid)/stat") else {
            return nil
        }
        self.peakResidentBytes = (Self.number("VmHWM:", in: status) ?? 0) * 1024
        // Fields 14 and 15 (utime, stime) counted after the name, which may hold spaces.
        let fields = stat.drop { $0 != ")" }.split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return nil }
        self.processorSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        var switches = 0
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        for thread in threads {
            // A thread that ended meanwhile has nothing more to report.
            guard let text = Self.read("/proc/\(pid)/task/\(thread)/status") else { continue }
            switches += Self.number("voluntary_ctxt_switches:", in: text) ?? 0
            switches += Self.number("nonvoluntary_ctxt_switches:", in: text) ?? 0
        }
        self.contextSwitches = switches
    }

    private static func read(_ path: String) -> String? {
        // Files of /proc have no size; reading to the end is the way, and a vanished process is `nil`.
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return String(decoding: data, as: UTF8.self)
    }

    private static func number(_ key: String, in text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix(key) {
            return line.dropFirst(key.count).split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }
        }
        return nil
    }
}
