// SPDX-License-Identifier: Apache-2.0

/// A civil date and time as `dateTime.iso8601` carries it.
///
/// XML-RPC says nothing of time zones, so most clients send none: such a time is *naive* and its reader decides what
/// it means.
public struct XMLRPCDateTime: Hashable, Sendable {
    /// The year, 0 to 9999.
    public let year: Int16
    /// The month, from 1.
    public let month: UInt8
    /// The day of the month, from 1.
    public let day: UInt8
    /// The hour, 0 to 23.
    public let hour: UInt8
    /// The minute, 0 to 59.
    public let minute: UInt8
    /// The second, 0 to 60 (a leap second).
    public let second: UInt8
    /// The fraction of the second, in nanoseconds.
    public let nanosecond: Int32
    /// Minutes east of UTC, or `nil` for a naive time.
    public let offsetMinutes: Int16?

    /// Composes a date and time.
    ///
    /// - Returns: `nil` if there is no such date or time.
    public init?(
        year: Int,
        month: Int,
        day: Int,
        hour: Int,
        minute: Int,
        second: Int,
        nanosecond: Int = 0,
        offsetMinutes: Int? = nil
    ) {
        guard
            (0...9999).contains(year), (1...12).contains(month), (0...23).contains(hour), (0...59).contains(minute),
            (0...60).contains(second), (0...999_999_999).contains(nanosecond),
            (-1439...1439).contains(offsetMinutes ?? 0),
            (1...Self.days(inMonth: month, of: year)).contains(day)
        else { return nil }
        self.year = Int16(year)
        self.month = UInt8(month)
        self.day = UInt8(day)
        self.hour = UInt8(hour)
        self.minute = UInt8(minute)
        self.second = UInt8(second)
        self.nanosecond = Int32(nanosecond)
        self.offsetMinutes = offsetMinutes.map { Int16($0) }
    }

    /// The UTC date and time of a Unix time, naive, as the protocol's writers send it.
    ///
    /// A time outside the years 0 to 9999 becomes the nearest one inside.
    public init(unixSeconds: Int64) {
        let seconds = min(max(unixSeconds, -62_167_219_200), 253_402_300_799)
        let days = Int(seconds.dividedDown(by: 86_400))
        let rest = Int(seconds) - days * 86_400
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013): eras of 400 years from 1 March 0000.
        let shifted = days + 719_468
        let era = shifted.dividedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        self.year = Int16(yearOfEra + era * 400 + (month <= 2 ? 1 : 0))
        self.month = UInt8(month)
        self.day = UInt8(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
        self.hour = UInt8(rest / 3_600)
        self.minute = UInt8(rest % 3_600 / 60)
        self.second = UInt8(rest % 60)
        self.nanosecond = 0
        self.offsetMinutes = nil
    }

    /// Seconds since 1 January 1970 UTC, the fraction dropped; a naive time is read as UTC.
    public var unixSeconds: Int64 {
        let shiftedYear = Int(self.year) - (self.month <= 2 ? 1 : 0)
        let era = shiftedYear.dividedDown(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let shiftedMonth = (Int(self.month) + 9) % 12
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + Int(self.day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let seconds = days * 86_400 + Int(self.hour) * 3_600 + Int(self.minute) * 60 + Int(self.second)
        return Int64(seconds - Int(self.offsetMinutes ?? 0) * 60)
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }
}

extension XMLRPCDateTime {
    /// Reads a date and time in the forms that clients send.
    ///
    /// The date is `YYYYMMDD` or `YYYY-MM-DD`. A time may follow after `T` or a space: `hh:mm`, `hh:mm:ss` or
    /// `hhmmss`, with a fraction after a point or comma, and a zone `Z`, `±hh`, `±hh:mm` or `±hhmm`. A date alone
    /// means its first second. Surrounding white space is ignored.
    ///
    /// - Returns: `nil` if the text has none of these forms or names no real date and time.
    public init?(parsing text: some Sequence<UInt8>) {
        var reader = DigitReader(bytes: Array(text))
        reader.trimSpace()
        guard let year = reader.number(digits: 4) else { return nil }
        let isDashed = reader.take(UInt8(ascii: "-"))
        guard let month = reader.number(digits: 2) else { return nil }
        guard !isDashed || reader.take(UInt8(ascii: "-")) else { return nil }
        guard let day = reader.number(digits: 2) else { return nil }
        var time = (hour: 0, minute: 0, second: 0, nanosecond: 0)
        var offset: Int?
        if !reader.isAtEnd {
            guard
                reader.take(UInt8(ascii: "T")) || reader.take(UInt8(ascii: "t")) || reader.take(UInt8(ascii: " ")),
                let read = reader.time()
            else { return nil }
            time = read
            guard reader.isAtEnd || reader.zone(into: &offset) else { return nil }
        }
        guard reader.isAtEnd else { return nil }
        self.init(
            year: year,
            month: month,
            day: day,
            hour: time.hour,
            minute: time.minute,
            second: time.second,
            nanosecond: time.nanosecond,
            offsetMinutes: offset
        )
    }
}

private struct DigitReader {
    var bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { self.position == self.bytes.count }

    mutating func trimSpace() {
        while let last = self.bytes.last, last.isXMLSpace { self.bytes.removeLast() }
        while self.position < self.bytes.count, self.bytes[self.position].isXMLSpace { self.position += 1 }
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard self.position < self.bytes.count, self.bytes[self.position] == byte else { return false }
        self.position += 1
        return true
    }

    mutating func digit() -> Int? {
        guard self.position < self.bytes.count, case let value = self.bytes[self.position] &- 0x30, value < 10 else {
            return nil
        }
        self.position += 1
        return Int(value)
    }

    mutating func number(digits: Int) -> Int? {
        var number = 0
        for _ in 0..<digits {
            guard let digit = self.digit() else { return nil }
            number = number * 10 + digit
        }
        return number
    }

    mutating func time() -> (hour: Int, minute: Int, second: Int, nanosecond: Int)? {
        guard let hour = self.number(digits: 2) else { return nil }
        let hasColons = self.take(UInt8(ascii: ":"))
        guard let minute = self.number(digits: 2) else { return nil }
        guard hasColons ? self.take(UInt8(ascii: ":")) : true else { return (hour, minute, 0, 0) }
        guard let second = self.number(digits: 2) else { return hasColons ? nil : (hour, minute, 0, 0) }
        var nanosecond = 0
        if self.take(UInt8(ascii: ".")) || self.take(UInt8(ascii: ",")) {
            var scale = 100_000_000
            guard var digit = self.digit() else { return nil }
            while true {
                nanosecond += digit * scale
                scale /= 10
                guard let next = self.digit() else { break }
                digit = next
            }
        }
        return (hour, minute, second, nanosecond)
    }

    mutating func zone(into offset: inout Int?) -> Bool {
        if self.take(UInt8(ascii: "Z")) || self.take(UInt8(ascii: "z")) {
            offset = 0
            return true
        }
        let isWest = self.take(UInt8(ascii: "-"))
        guard isWest || self.take(UInt8(ascii: "+")), let hours = self.number(digits: 2) else { return false }
        var minutes = 0
        if !self.isAtEnd {
            _ = self.take(UInt8(ascii: ":"))
            guard let read = self.number(digits: 2), read < 60 else { return false }
            minutes = read
        }
        offset = (hours * 60 + minutes) * (isWest ? -1 : 1)
        return true
    }
}

extension BinaryInteger {
    /// The quotient rounded towards minus infinity.
    fileprivate func dividedDown(by divisor: Self) -> Self {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

extension UInt8 {
    /// White space as XML 1.0 §2.3 defines it.
    var isXMLSpace: Bool { self == 0x20 || self == 0x0A || self == 0x0D || self == 0x09 }
}
