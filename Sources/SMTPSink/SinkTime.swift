// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A timestamp for people to read, to the millisecond, UTC.
struct SinkTime: Hashable, Sendable {
    var seconds: Int64
    var milliseconds: Int64

    /// The present time of the civil clock.
    static var now: SinkTime {
        let milliseconds = Int64(Date.now.timeIntervalSince1970 * 1_000)
        return SinkTime(seconds: milliseconds / 1_000, milliseconds: milliseconds % 1_000)
    }

    /// Appends `2026-11-23T05:45:00.123Z`.
    func write(into line: inout [UInt8]) {
        // Days since 0000-03-01, so that the leap day is the last of its year.
        let days = self.seconds / 86_400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        Self.write(yearOfEra + era * 400 + (month <= 2 ? 1 : 0), digits: 4, 0x2D, into: &line)
        Self.write(month, digits: 2, 0x2D, into: &line)
        Self.write(dayOfYear - (153 * shifted + 2) / 5 + 1, digits: 2, 0x54, into: &line)
        let second = self.seconds % 86_400
        Self.write(second / 3_600, digits: 2, 0x3A, into: &line)
        Self.write(second / 60 % 60, digits: 2, 0x3A, into: &line)
        Self.write(second % 60, digits: 2, 0x2E, into: &line)
        Self.write(self.milliseconds, digits: 3, 0x5A, into: &line)
    }

    private static func write(_ value: Int64, digits: Int, _ separator: UInt8, into line: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            line.append(UInt8(truncatingIfNeeded: 0x30 + value / divisor % 10))
            divisor /= 10
        }
        line.append(separator)
    }
}
