// SPDX-License-Identifier: Apache-2.0

/// A moment of the civil clock, UTC, to the millisecond; never used to measure a wait.
public struct Timestamp: Hashable, Comparable, Codable, Sendable {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var milliseconds: Int64

    /// Wraps a count of milliseconds.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Wraps a count of whole seconds.
    public init(seconds: Int64) { self.milliseconds = seconds.multipliedReportingOverflow(by: 1000).partialValue }

    /// Whole seconds since the epoch, rounded down.
    public var seconds: Int64 {
        let (quotient, remainder) = self.milliseconds.quotientAndRemainder(dividingBy: 1000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The moment that lies `duration` later; saturates.
    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return Timestamp(milliseconds: seconds < 0 ? .min : .max) }
        let delta = scaled + attoseconds / 1_000_000_000_000_000
        let (sum, sumOverflow) = self.milliseconds.addingReportingOverflow(delta)
        return Timestamp(milliseconds: sumOverflow ? (delta < 0 ? .min : .max) : sum)
    }

    /// The time that passes from `earlier` to this moment; negative if it lies after.
    public func duration(since earlier: Timestamp) -> Duration {
        .milliseconds(self.milliseconds.subtractingReportingOverflow(earlier.milliseconds).partialValue)
    }

    /// Orders by time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }
}
