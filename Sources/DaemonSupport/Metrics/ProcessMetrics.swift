// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What this process takes from its host, under the names that Prometheus's client libraries use.
///
/// Read from /proc/self; empty where there is none.
public enum ProcessMetrics {
    private static let memory = MetricDefinition(
        "process_resident_memory_bytes",
        .gauge,
        help: "Resident memory size in bytes."
    )
    private static let cpu = MetricDefinition(
        "process_cpu_seconds_total",
        .counter,
        help: "User and system CPU time spent in seconds."
    )
    private static let threads = MetricDefinition("process_threads", .gauge, help: "Number of threads.")
    private static let descriptors = MetricDefinition(
        "process_open_fds",
        .gauge,
        help: "Number of open file descriptors."
    )
    private static let maximumDescriptors = MetricDefinition(
        "process_max_fds",
        .gauge,
        help: "Largest number of open file descriptors."
    )
    private static let start = MetricDefinition(
        "process_start_time_seconds",
        .gauge,
        help: "Start time since the Unix epoch in seconds."
    )

    /// All definitions, for documentation.
    public static let definitions = [
        Self.memory, Self.cpu, Self.threads, Self.descriptors, Self.maximumDescriptors, Self.start,
    ]

    /// The values now.
    public static func collect() -> [CollectedMetric] {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let usage = ProcessUsage(
                stat: text,
                ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
                pageBytes: Double(sysconf(Int32(_SC_PAGESIZE)))
            )
        else { return [] }
        var metrics = [
            CollectedMetric(Self.memory, usage.residentBytes),
            CollectedMetric(Self.cpu, usage.cpuSeconds),
            CollectedMetric(Self.threads, usage.threads),
        ]
        if let count = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            metrics.append(CollectedMetric(Self.descriptors, Double(count)))
        }
        metrics.append(CollectedMetric(Self.maximumDescriptors, Self.descriptorLimit()))
        if let boot = Self.bootTime() {
            metrics.append(CollectedMetric(Self.start, boot + usage.startSecondsAfterBoot))
        }
        return metrics
    }

    private static func descriptorLimit() -> Double {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Double(limit.rlim_cur)
    }

    private static func bootTime() -> Double? {
        let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst(6)) }
    }
}

/// The fields of /proc/self/stat that are of use.
///
/// Source: proc(5).
struct ProcessUsage {
    let cpuSeconds: Double
    let threads: Double
    let startSecondsAfterBoot: Double
    let residentBytes: Double

    init?(stat text: String, ticksPerSecond: Double, pageBytes: Double) {
        // The second field is the command's name in parentheses and may hold anything, parentheses too.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard
            fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
            let threads = Double(fields[17]), let start = Double(fields[19]), let pages = Double(fields[21])
        else { return nil }
        self.cpuSeconds = (user + system) / ticksPerSecond
        self.threads = threads
        self.startSecondsAfterBoot = start / ticksPerSecond
        self.residentBytes = pages * pageBytes
    }
}
