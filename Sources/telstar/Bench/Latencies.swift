// SPDX-License-Identifier: Apache-2.0

/// How long a thing took, many times.
struct Latencies: Sendable {
    private var values: [Duration] = []

    /// Runs something and notes how long it took.
    mutating func measure<Value>(_ work: () async throws -> Value) async rethrows -> Value {
        let began = ContinuousClock.now
        let value = try await work()
        self.values.append(ContinuousClock.now - began)
        return value
    }

    /// How often it was measured.
    var count: Int { self.values.count }

    /// The value below which such a share of all lies, 0 to 1; in milliseconds.
    func milliseconds(at share: Double) -> Double {
        guard !self.values.isEmpty else { return 0 }
        let sorted = self.values.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))] / .milliseconds(1)
    }

    /// `median / 99 % / worst`, in milliseconds.
    var summary: String {
        [0.5, 0.99, 1].map { Self.text(self.milliseconds(at: $0)) }.joined(separator: " / ") + " ms"
    }

    private static func text(_ value: Double) -> String {
        value < 10 ? "\((value * 100).rounded() / 100)" : "\(Int(value.rounded()))"
    }
}
