// SPDX-License-Identifier: Apache-2.0

/// Lets one of a kind through in a time and counts the others.
public struct RateLimit: Sendable {
    private var last: ContinuousClock.Instant?
    private var suppressed = 0

    /// A limit that lets the first one through.
    public init() {}

    /// Asks for one to pass.
    ///
    /// - Returns: How many were held back since the last one that passed, or `nil` if this one is held back.
    public mutating func pass(every interval: Duration, now: ContinuousClock.Instant = .now) -> Int? {
        if let last = self.last, now - last < interval {
            self.suppressed += 1
            return nil
        }
        defer { self.suppressed = 0 }
        self.last = now
        return self.suppressed
    }
}
