// SPDX-License-Identifier: Apache-2.0

/// The date of a message, written without locale, time zone data or calendars.
public enum MessageDate {
    private static let days = Array("MonTueWedThuFriSatSun".utf8)
    private static let months = Array("JanFebMarAprMayJunJulAugSepOctNovDec".utf8)

    /// A timestamp as a header field body in UTC, such as `Mon, 23 Nov 2026 05:40:00 +0000`.
    ///
    /// The count is of seconds since 1970 in UTC and is held within the years 1 to 9999.
    ///
    /// - Note: RFC 5322 §3.3.
    public static func rfc5322(_ unixSeconds: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(31)
        self.append(unixSeconds, to: &bytes)
        return bytes
    }

    /// Appends what `rfc5322(_:)` returns.
    public static func append(_ unixSeconds: Int64, to bytes: inout [UInt8]) {
        let bounded = min(max(unixSeconds, -62_135_596_800), 253_402_300_799)
        let day = Int(bounded >= 0 ? bounded / 86_400 : (bounded - 86_399) / 86_400)
        let second = Int(bounded) - day * 86_400
        let (year, month, dayOfMonth) = self.civil(day)
        let weekday = ((day + 3) % 7 + 7) % 7
        bytes.append(contentsOf: self.days[(weekday * 3)..<(weekday * 3 + 3)])
        bytes.append(0x2C)
        bytes.append(0x20)
        self.appendPair(dayOfMonth, to: &bytes)
        bytes.append(0x20)
        bytes.append(contentsOf: self.months[(month * 3 - 3)..<(month * 3)])
        bytes.append(0x20)
        self.appendPair(year / 100, to: &bytes)
        self.appendPair(year % 100, to: &bytes)
        bytes.append(0x20)
        self.appendPair(second / 3_600, to: &bytes)
        bytes.append(0x3A)
        self.appendPair(second / 60 % 60, to: &bytes)
        bytes.append(0x3A)
        self.appendPair(second % 60, to: &bytes)
        bytes.append(contentsOf: [0x20, 0x2B, 0x30, 0x30, 0x30, 0x30])
    }

    private static func appendPair(_ number: Int, to bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: 0x30 + number / 10))
        bytes.append(UInt8(truncatingIfNeeded: 0x30 + number % 10))
    }

    /// Year, month and day of a count of days since 1970, by eras of 400 years that begin on a first of March.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
