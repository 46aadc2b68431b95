// SPDX-License-Identifier: Apache-2.0

public import CoreMetrics
import Synchronization

/// Holds all metrics of a process and writes them for Prometheus.
///
/// A factory for swift-metrics: counters and meters become counters and gauges, timers histograms in seconds,
/// recorders histograms, or gauges when they do not aggregate. Counting is a single atomic addition.
public final class MetricsRegistry: MetricsFactory, Sendable {
    private struct Family {
        let definition: MetricDefinition
        var cells: [String: any MetricCell] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var collectors: [@Sendable () -> [CollectedMetric]] = []
    }

    private let definitions: [String: MetricDefinition]
    private let seriesLimit: Int
    private let state = Mutex(State())

    /// Makes a registry.
    ///
    /// - Parameters:
    ///   - definitions: Help and buckets by name; a metric that is not among them is written all the same.
    ///   - seriesLimit: Sets of labels kept for one metric; what comes after them is not counted.
    public init(definitions: [MetricDefinition] = [], seriesLimit: Int = 10_000) {
        self.definitions = Dictionary(definitions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.seriesLimit = seriesLimit
    }

    /// Adds values that are looked up at each reading.
    public func addCollector(_ collect: @escaping @Sendable () -> [CollectedMetric]) {
        self.state.withLock { $0.collectors.append(collect) }
    }

    /// All metrics as text, ordered by name.
    public func exposition() -> [UInt8] {
        let (families, collectors) = self.state.withLock { ($0.families, $0.collectors) }
        var written: [(name: String, write: (inout PrometheusText) -> Void)] = []
        for family in families.values where !family.cells.isEmpty {
            written.append((family.definition.name, { Self.write(family, into: &$0) }))
        }
        for metric in collectors.flatMap({ $0() })
        where families[metric.definition.name] == nil {
            // One without samples shows its name and help all the same: whoever reads learns that it exists.
            written.append((metric.definition.name, { Self.write(metric, into: &$0) }))
        }
        var text = PrometheusText()
        for family in written.sorted(by: { $0.name < $1.name }) {
            family.write(&text)
        }
        return text.bytes
    }

    private static func write(_ family: Family, into text: inout PrometheusText) {
        let definition = family.definition
        text.family(definition.name, type: Self.type(definition.kind), help: definition.help)
        for (labels, cell) in family.cells.sorted(by: { $0.key < $1.key }) {
            cell.write(definition.name, labels, into: &text)
        }
    }

    private static func write(_ metric: CollectedMetric, into text: inout PrometheusText) {
        let definition = metric.definition
        text.family(definition.name, type: Self.type(definition.kind), help: definition.help)
        for sample in metric.samples {
            text.sample(definition.name, PrometheusText.labels(sample.labels), PrometheusText.number(sample.value))
        }
    }

    private static func type(_ kind: MetricDefinition.Kind) -> String {
        switch kind {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }

    // MARK: Making

    /// The counter of a name and labels, the same one at each call.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        self.cell(label, dimensions, .counter) { _ in CounterCell() } ?? NOOPMetricsHandler.instance
    }

    /// The counter of fractions of a name and labels, the same one at each call.
    public func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        self.cell(label, dimensions, .counter) { _ in FloatingPointCounterCell() } ?? NOOPMetricsHandler.instance
    }

    /// The gauge of a name and labels, the same one at each call.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        self.cell(label, dimensions, .gauge) { _ in GaugeCell() } ?? NOOPMetricsHandler.instance
    }

    /// The histogram, or without aggregation the gauge, of a name and labels, the same one at each call.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else {
            return self.cell(label, dimensions, .gauge) { _ in GaugeCell() } ?? NOOPMetricsHandler.instance
        }
        return self.histogram(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    /// The histogram in seconds of a name and labels, the same one at each call.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        self.histogram(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)]) -> HistogramCell? {
        self.cell(label, dimensions, .histogram(buckets: MetricDefinition.secondsBuckets)) { definition in
            guard case .histogram(let buckets) = definition.kind else { return HistogramCell(bounds: []) }
            return HistogramCell(bounds: buckets)
        }
    }

    /// Finds or makes a cell.
    ///
    /// - Returns: `nil` if the name is in use for another kind of metric, or has too many sets of labels.
    private func cell<Cell: MetricCell>(
        _ label: String,
        _ dimensions: [(String, String)],
        _ kind: MetricDefinition.Kind,
        make: (MetricDefinition) -> Cell
    ) -> Cell? {
        let name = PrometheusText.metricName(label, isCounter: kind == .counter)
        let labels = PrometheusText.labels(dimensions)
        let definition = self.definitions[name] ?? MetricDefinition(name, kind, help: "Not described.")
        guard Self.type(definition.kind) == Self.type(kind) else { return nil }
        return self.state.withLock { state in
            var family = state.families[name] ?? Family(definition: definition)
            guard Self.type(family.definition.kind) == Self.type(kind) else { return nil }
            if let cell = family.cells[labels] { return cell as? Cell }
            guard family.cells.count < self.seriesLimit else { return nil }
            let cell = make(definition)
            family.cells[labels] = cell
            state.families[name] = family
            return cell
        }
    }

    // MARK: Ending

    /// Forgets a counter.
    public func destroyCounter(_ handler: any CounterHandler) { self.forget(handler) }

    /// Forgets a gauge.
    public func destroyMeter(_ handler: any MeterHandler) { self.forget(handler) }

    /// Forgets a counter of fractions.
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { self.forget(handler) }

    /// Forgets a histogram or gauge.
    public func destroyRecorder(_ handler: any RecorderHandler) { self.forget(handler) }

    /// Forgets a histogram.
    public func destroyTimer(_ handler: any TimerHandler) { self.forget(handler) }

    private func forget(_ handler: AnyObject) {
        self.state.withLock { state in
            for (name, family) in state.families {
                guard let labels = family.cells.first(where: { $0.value === handler })?.key else { continue }
                state.families[name]?.cells[labels] = nil
            }
        }
    }
}
