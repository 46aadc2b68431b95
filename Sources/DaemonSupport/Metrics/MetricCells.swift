// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Synchronization

/// Something that holds a metric's values for one set of labels.
protocol MetricCell: AnyObject, Sendable {
    func write(_ name: String, _ labels: String, into text: inout PrometheusText)
}

/// A counter of whole numbers.
final class CounterCell: CounterHandler, MetricCell {
    private let value = Atomic<Int64>(0)

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        self.value.wrappingAdd(amount, ordering: .relaxed)
    }

    func reset() {
        self.value.store(0, ordering: .relaxed)
    }

    func write(_ name: String, _ labels: String, into text: inout PrometheusText) {
        text.sample(name, labels, "\(self.value.load(ordering: .relaxed))")
    }
}

/// A counter of fractions, such as seconds spent.
final class FloatingPointCounterCell: FloatingPointCounterHandler, MetricCell {
    private let value = AtomicDouble()

    func increment(by amount: Double) {
        guard amount > 0 else { return }
        self.value.add(amount)
    }

    func reset() {
        self.value.store(0)
    }

    func write(_ name: String, _ labels: String, into text: inout PrometheusText) {
        text.sample(name, labels, PrometheusText.number(self.value.load()))
    }
}

/// A value that goes up and down.
final class GaugeCell: RecorderHandler, MeterHandler, MetricCell {
    private let value = AtomicDouble()

    func record(_ value: Int64) { self.value.store(Double(value)) }
    func record(_ value: Double) { self.value.store(value) }
    func set(_ value: Int64) { self.value.store(Double(value)) }
    func set(_ value: Double) { self.value.store(value) }
    func increment(by amount: Double) { self.value.add(amount) }
    func decrement(by amount: Double) { self.value.add(-amount) }

    func write(_ name: String, _ labels: String, into text: inout PrometheusText) {
        text.sample(name, labels, PrometheusText.number(self.value.load()))
    }
}

/// Counts of values by size.
final class HistogramCell: RecorderHandler, TimerHandler, MetricCell {
    private struct State {
        var counts: [UInt64]
        var total: UInt64 = 0
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        self.state = Mutex(State(counts: [UInt64](repeating: 0, count: bounds.count)))
    }

    func record(_ value: Int64) { self.record(Double(value)) }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        // Few bounds: a linear search is as fast as any other.
        let bucket = self.bounds.firstIndex { value <= $0 }
        self.state.withLock { state in
            if let bucket { state.counts[bucket] += 1 }
            state.total += 1
            state.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { self.record(Double(duration) / 1e9) }

    func write(_ name: String, _ labels: String, into text: inout PrometheusText) {
        let state = self.state.withLock { $0 }
        let separator = labels.isEmpty ? "" : ","
        var cumulative: UInt64 = 0
        for (bound, count) in zip(self.bounds, state.counts) {
            cumulative += count
            text.sample(
                name + "_bucket",
                "\(labels)\(separator)le=\"\(PrometheusText.number(bound))\"",
                "\(cumulative)"
            )
        }
        text.sample(name + "_bucket", "\(labels)\(separator)le=\"+Inf\"", "\(state.total)")
        text.sample(name + "_sum", labels, PrometheusText.number(state.sum))
        text.sample(name + "_count", labels, "\(state.total)")
    }
}

private struct AtomicDouble: ~Copyable, Sendable {
    private let bits = Atomic<UInt64>(0)

    func load() -> Double { Double(bitPattern: self.bits.load(ordering: .relaxed)) }

    func store(_ value: Double) { self.bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var seen = self.bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: seen) + amount).bitPattern
            let result = self.bits.weakCompareExchange(expected: seen, desired: next, ordering: .relaxed)
            if result.exchanged { return }
            seen = result.original
        }
    }
}
