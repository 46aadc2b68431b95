// SPDX-License-Identifier: Apache-2.0

/// A metric's name, kind and meaning, as a row of the table that a daemon publishes.
public struct MetricDefinition: Hashable, Sendable {
    /// What a metric measures.
    public enum Kind: Hashable, Sendable {
        /// A number that only grows.
        case counter
        /// A number that goes up and down.
        case gauge
        /// How many values fell into each bucket; the upper bounds, ascending, without infinity.
        case histogram(buckets: [Double])
    }

    /// Bounds in seconds for waits from a millisecond to ten minutes.
    public static let secondsBuckets: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600,
    ]

    /// The name as written to Prometheus; a counter's ends with `_total`.
    public let name: String
    /// What it measures.
    public let kind: Kind
    /// What it means, one sentence.
    public let help: String

    /// Composes a definition; characters that Prometheus does not allow become underscores.
    public init(_ name: String, _ kind: Kind, help: String) {
        self.name = PrometheusText.metricName(name, isCounter: kind == .counter)
        self.kind = kind
        self.help = help
    }
}

/// Values of one metric that are looked up when metrics are read, such as a process's memory.
public struct CollectedMetric: Sendable {
    /// The metric.
    public let definition: MetricDefinition
    /// Each value with its labels.
    public let samples: [(labels: [(String, String)], value: Double)]

    /// Composes values of a counter or gauge.
    public init(_ definition: MetricDefinition, _ samples: [(labels: [(String, String)], value: Double)]) {
        self.definition = definition
        self.samples = samples
    }

    /// Composes the one value of a counter or gauge without labels.
    public init(_ definition: MetricDefinition, _ value: Double) {
        self.init(definition, [([], value)])
    }
}
