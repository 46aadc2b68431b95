// SPDX-License-Identifier: Apache-2.0

/// A time of the civil clock, UTC, to the millisecond; never used to measure a wait.
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

    /// The timestamp in UTC as RFC 3339 writes it, in whole seconds: `2026-11-28T12:00:00Z`.
    public var rfc3339: String {
        // Days are counted in years that begin in March, so that a leap day is the last of its year.
        let (days, second) = Self.floorDivide(self.seconds, by: 86_400)
        let (era, dayOfEra) = Self.floorDivide(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func digits(_ number: Int64, _ count: Int = 2) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = "\(digits(year, 4))-\(digits(month))-\(digits(day))"
        return "\(date)T\(digits(second / 3_600)):\(digits(second / 60 % 60)):\(digits(second % 60))Z"
    }

    /// Reads a date and time as RFC 3339 §5.6 writes it; the time, its seconds, their fraction and the offset may be left out.
    ///
    /// `nil` if there is no such date or time.
    ///
    /// - Parameter text: Without an offset it is UTC; a space may stand for the `T`.
    public init?(rfc3339 text: String) {
        var rest = Array(text.utf8)[...]
        func take(_ count: Int, in range: ClosedRange<Int64>) -> Int64? {
            let digits = rest.prefix(count)
            guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            rest.removeFirst(count)
            let number = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
            return range.contains(number) ? number : nil
        }
        func skip(_ bytes: String) -> Bool {
            guard let next = rest.first, bytes.utf8.contains(next) else { return false }
            rest.removeFirst()
            return true
        }
        guard let year = take(4, in: 0...9999), skip("-"), let month = take(2, in: 1...12), skip("-"),
            let day = take(2, in: 1...Self.days(inMonth: month, of: year))
        else { return nil }
        var (hour, minute, second): (Int64, Int64, Int64) = (0, 0, 0)
        if !rest.isEmpty {
            guard skip("Tt "), let hours = take(2, in: 0...23), skip(":"), let minutes = take(2, in: 0...59) else {
                return nil
            }
            (hour, minute) = (hours, minutes)
        }
        if skip(":") {
            guard let number = take(2, in: 0...60) else { return nil }
            second = number
            if skip(".") {
                let fraction = rest.prefix { (0x30...0x39).contains($0) }
                guard !fraction.isEmpty else { return nil }
                rest.removeFirst(fraction.count)
            }
        }
        var offset: Int64 = 0
        if let sign = rest.first, !skip("Zz"), skip("+-") {
            guard let hours = take(2, in: 0...23) else { return nil }
            var minutes: Int64 = 0
            if !rest.isEmpty {
                _ = skip(":")
                guard let number = take(2, in: 0...59) else { return nil }
                minutes = number
            }
            offset = (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -60 : 60)
        }
        guard rest.isEmpty else { return nil }
        let (shifted, marchYear) = month > 2 ? (month - 3, year) : (month + 9, year - 1)
        let (era, yearOfEra) = Self.floorDivide(marchYear, by: 400)
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + (153 * shifted + 2) / 5 + day - 1
        let days = era * 146_097 + dayOfEra - 719_468
        self.init(seconds: days * 86_400 + hour * 3_600 + minute * 60 + second - offset)
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    private static func floorDivide(_ number: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// The timestamp that lies `duration` later; saturates.
    public func advanced(by duration: Duration) -> Timestamp {
        let delta = duration.milliseconds
        // A duration beyond what milliseconds hold leads beyond every timestamp.
        guard delta != .min, delta != .max else { return Timestamp(milliseconds: delta) }
        let (sum, sumOverflow) = self.milliseconds.addingReportingOverflow(delta)
        return Timestamp(milliseconds: sumOverflow ? (delta < 0 ? .min : .max) : sum)
    }

    /// The time that passes from `earlier` to this timestamp; negative if it lies after.
    public func duration(since earlier: Timestamp) -> Duration {
        .milliseconds(self.milliseconds.subtractingReportingOverflow(earlier.milliseconds).partialValue)
    }

    /// Orders by time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }
}

extension Duration {
    /// Whole milliseconds, towards zero; saturates.
    public var milliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let (sum, sumOverflow) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        guard !overflow, !sumOverflow else { return seconds < 0 ? .min : .max }
        return sum
    }
}
