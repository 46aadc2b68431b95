// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Testing

@testable import DaemonSupport

@Suite("Metrics registry")
struct MetricsTests {
    private func text(_ registry: MetricsRegistry) -> String { String(decoding: registry.exposition(), as: UTF8.self) }

    @Test("writes each kind with help and type, ordered by name and labels")
    func writes() {
        let registry = MetricsRegistry(definitions: [
            MetricDefinition("telstar_sent", .counter, help: "Messages sent.\nBack\\slash."),
            MetricDefinition("telstar_wait_seconds", .histogram(buckets: [0.1, 1]), help: "Wait."),
            MetricDefinition("telstar_connections", .gauge, help: "Connections."),
        ])
        Counter(label: "telstar_sent", dimensions: [("site", "b")], factory: registry).increment(by: 2)
        Counter(label: "telstar_sent", dimensions: [("site", "a"), ("class", "bulk")], factory: registry).increment()
        Gauge(label: "telstar_connections", factory: registry).record(2.5)
        let timer = Timer(label: "telstar_wait_seconds", factory: registry)
        timer.recordNanoseconds(100_000_000)
        timer.recordNanoseconds(200_000_000)
        timer.recordNanoseconds(5_000_000_000)
        #expect(
            self.text(registry) == """
                # HELP telstar_connections Connections.
                # TYPE telstar_connections gauge
                telstar_connections 2.5
                # HELP telstar_sent_total Messages sent.\\nBack\\\\slash.
                # TYPE telstar_sent_total counter
                telstar_sent_total{class="bulk",site="a"} 1
                telstar_sent_total{site="b"} 2
                # HELP telstar_wait_seconds Wait.
                # TYPE telstar_wait_seconds histogram
                telstar_wait_seconds_bucket{le="0.1"} 1
                telstar_wait_seconds_bucket{le="1"} 2
                telstar_wait_seconds_bucket{le="+Inf"} 3
                telstar_wait_seconds_sum 5.3
                telstar_wait_seconds_count 3

                """
        )
    }

    @Test("the same name and labels, in any order, are one metric")
    func identity() {
        let registry = MetricsRegistry()
        Counter(label: "c", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment()
        Counter(label: "c_total", dimensions: [("b", "2"), ("a", "1")], factory: registry).increment()
        #expect(self.text(registry).contains("c_total{a=\"1\",b=\"2\"} 2\n"))
    }

    @Test("label values are escaped, names made fit")
    func escapes() {
        let registry = MetricsRegistry()
        Meter(label: "9.bad-name", dimensions: [("la bel", "q\"\\\n"), ("le", "x"), ("__own", "é")], factory: registry)
            .set(Double.infinity)
        #expect(self.text(registry).contains(#"_9_bad_name{la_bel="q\"\\\n",le_="x",x__own="é"} +Inf"#))
    }

    @Test("gauges go up and down, counters only up")
    func arithmetic() {
        let registry = MetricsRegistry()
        let meter = Meter(label: "m", factory: registry)
        meter.set(5)
        meter.increment(by: 2.5)
        meter.decrement(by: 10)
        let counter = Counter(label: "c", factory: registry)
        counter.increment(by: -5)
        counter.increment(by: 3)
        let seconds = FloatingPointCounter(label: "cpu_seconds", factory: registry)
        seconds.increment(by: 0.25)
        seconds.increment(by: 0.5)
        let text = self.text(registry)
        #expect(text.contains("\nm -2.5\n"))
        #expect(text.contains("\nc_total 3\n"))
        #expect(text.contains("\ncpu_seconds_total 0.75\n"))
    }

    @Test("a name used for another kind, and labels past the limit, are not counted and break nothing")
    func refusesConflicts() {
        let registry = MetricsRegistry(seriesLimit: 3)
        Meter(label: "m", factory: registry).set(1)
        Recorder(label: "m", factory: registry).record(7)
        for label in 0..<10 {
            Counter(label: "c", dimensions: [("n", "\(label)")], factory: registry).increment()
        }
        let text = self.text(registry)
        #expect(text.contains("\nm 1\n"))
        #expect(!text.contains("m_bucket"))
        #expect(text.split(separator: "\n").filter { $0.hasPrefix("c_total{") }.count == 3)
    }

    @Test("a destroyed metric is gone")
    func forgets() {
        let registry = MetricsRegistry()
        let counter = Counter(label: "c", factory: registry)
        counter.increment()
        counter.destroy()
        #expect(self.text(registry) == "")
    }

    @Test("values that are looked up are written among the others")
    func collects() {
        let registry = MetricsRegistry()
        registry.addCollector {
            [
                CollectedMetric(
                    MetricDefinition("queue_length", .gauge, help: "Length."),
                    [([("name", "a")], 3), ([("name", "b")], 4)]
                )
            ]
        }
        Meter(label: "z", factory: registry).set(1)
        #expect(
            self.text(registry).hasPrefix(
                "# HELP queue_length Length.\n# TYPE queue_length gauge\nqueue_length{name=\"a\"} 3\nqueue_length{name=\"b\"} 4\n"
            )
        )
    }

    @Test("counts from many tasks are all there")
    func counts() async {
        let registry = MetricsRegistry()
        let counter = Counter(label: "c", factory: registry)
        let meter = Meter(label: "m", factory: registry)
        let recorder = Recorder(label: "h", factory: registry)
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1_000 {
                        counter.increment()
                        meter.increment(by: 1)
                        recorder.record(1)
                    }
                }
            }
        }
        let text = self.text(registry)
        #expect(text.contains("\nc_total 8000\n"))
        #expect(text.contains("\nm 8000\n"))
        #expect(text.contains("\nh_count 8000\n"))
    }

    @Test("reads a process's usage whatever its command is called")
    func readsUsage() throws {
        let stat =
            "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 1000 123456 2048 18446744073709551615 0"
        let usage = try #require(ProcessUsage(stat: stat, ticksPerSecond: 100, pageBytes: 4096))
        #expect(usage.cpuSeconds == 2)
        #expect(usage.threads == 7)
        #expect(usage.startSecondsAfterBoot == 10)
        #expect(usage.residentBytes == 2048 * 4096)
        #expect(ProcessUsage(stat: "42 (a", ticksPerSecond: 1, pageBytes: 1) == nil)
        #expect(ProcessUsage(stat: "42 (a) S 1", ticksPerSecond: 1, pageBytes: 1) == nil)
    }

    #if os(Linux)
    @Test("reports this process's usage")
    func tellsUsage() {
        let metrics = Dictionary(
            uniqueKeysWithValues: ProcessMetrics.collect().map { ($0.definition.name, $0.samples.first?.value ?? 0) }
        )
        #expect(metrics.count == ProcessMetrics.definitions.count)
        #expect(metrics["process_resident_memory_bytes"] ?? 0 > 1_000_000)
        #expect(metrics["process_start_time_seconds"] ?? 0 > 1_600_000_000)
        #expect(metrics["process_open_fds"] ?? 0 >= 3)
    }
    #endif
}
