// SPDX-License-Identifier: Apache-2.0

import MailingModel

/// A timestamp as year, month, day and time of day, UTC, proleptic Gregorian.
struct CivilDate: Hashable, Sendable {
    var year: Int
    var month: Int
    var day: Int
    var hour: Int
    var minute: Int
    var second: Int
    /// 0 is Monday.
    var weekday: Int

    init(_ timestamp: Timestamp) {
        let seconds = timestamp.seconds
        var days = Int(seconds / 86_400)
        var rest = Int(seconds % 86_400)
        if rest < 0 {
            rest += 86_400
            days -= 1
        }
        self.hour = rest / 3600
        self.minute = rest / 60 % 60
        self.second = rest % 60
        self.weekday = ((days + 3) % 7 + 7) % 7
        // Days since 0000-03-01, in eras of 400 years.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        self.day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        self.month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
    }

    /// Reads `YYYY-MM-DD`, optionally followed by `T` or a blank, `HH:MM` or `HH:MM:SS`, a fraction and `Z`.
    static func parse(_ text: ArraySlice<UInt8>) -> Timestamp? {
        let bytes = Array(text)
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= bytes.count else { return nil }
            var value = 0
            for byte in bytes[range] {
                guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        func byte(_ position: Int) -> UInt8 { position < bytes.count ? bytes[position] : 0 }
        guard let year = number(0..<4), byte(4) == UInt8(ascii: "-"), let month = number(5..<7),
            byte(7) == UInt8(ascii: "-"), let day = number(8..<10), (1...12).contains(month),
            (1...Self.days(in: month, of: year)).contains(day)
        else { return nil }
        var seconds = Int64(Self.dayNumber(year, month, day)) * 86_400
        var position = 10
        if byte(position) == UInt8(ascii: "T") || byte(position) == UInt8(ascii: " ") {
            guard let hour = number(11..<13), byte(13) == UInt8(ascii: ":"), let minute = number(14..<16), hour < 24,
                minute < 60
            else { return nil }
            seconds += Int64(hour * 3600 + minute * 60)
            position = 16
            if byte(position) == UInt8(ascii: ":") {
                guard let second = number(17..<19), second < 60 else { return nil }
                seconds += Int64(second)
                position = 19
                if byte(position) == UInt8(ascii: ".") {
                    position += 1
                    while number(position..<(position + 1)) != nil { position += 1 }
                }
            }
            if byte(position) == UInt8(ascii: "Z") { position += 1 }
        }
        return position == bytes.count ? Timestamp(seconds: seconds) : nil
    }

    /// Days since 1970-01-01.
    static func dayNumber(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Appends `YYYY-MM-DD HH:MM:SS`.
    func print(into output: inout [UInt8], separator: UInt8) {
        Decimal.append(self.year, width: 4, to: &output)
        output.append(UInt8(ascii: "-"))
        Decimal.append(self.month, width: 2, to: &output)
        output.append(UInt8(ascii: "-"))
        Decimal.append(self.day, width: 2, to: &output)
        output.append(separator)
        self.printTime(into: &output)
    }

    private func printTime(into output: inout [UInt8]) {
        Decimal.append(self.hour, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        Decimal.append(self.minute, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        Decimal.append(self.second, width: 2, to: &output)
    }

    /// Appends `datetime.datetime(2026, 11, 23, 5, 40)`.
    func represent(into output: inout [UInt8]) {
        var parts = [self.year, self.month, self.day, self.hour, self.minute]
        if self.second != 0 { parts.append(self.second) }
        let joined = parts.map { "\($0)" }.joined(separator: ", ")
        output.append(contentsOf: "datetime.datetime(\(joined))".utf8)
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]
    private static let weekdays = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

    /// What C's `strftime` writes in the C locale, UTC; `nil` for a conversion that is not known here.
    func format(_ pattern: ArraySlice<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        var position = pattern.startIndex
        while position < pattern.endIndex {
            let byte = pattern[position]
            position += 1
            guard byte == UInt8(ascii: "%") else {
                output.append(byte)
                continue
            }
            guard position < pattern.endIndex else { return nil }
            var width = 2
            if pattern[position] == UInt8(ascii: "-") {
                width = 0
                position += 1
                guard position < pattern.endIndex else { return nil }
            }
            guard self.append(pattern[position], width: width, to: &output) else { return nil }
            position += 1
        }
        return output
    }

    private func append(_ conversion: UInt8, width: Int, to output: inout [UInt8]) -> Bool {
        let hour12 = self.hour % 12 == 0 ? 12 : self.hour % 12
        switch conversion {
        case UInt8(ascii: "Y"): Decimal.append(self.year, width: 0, to: &output)
        case UInt8(ascii: "y"): Decimal.append((self.year % 100 + 100) % 100, width: width, to: &output)
        case UInt8(ascii: "m"): Decimal.append(self.month, width: width, to: &output)
        case UInt8(ascii: "d"): Decimal.append(self.day, width: width, to: &output)
        case UInt8(ascii: "e"):
            if self.day < 10, width > 0 { output.append(UInt8(ascii: " ")) }
            Decimal.append(self.day, width: 0, to: &output)
        case UInt8(ascii: "H"): Decimal.append(self.hour, width: width, to: &output)
        case UInt8(ascii: "I"): Decimal.append(hour12, width: width, to: &output)
        case UInt8(ascii: "M"): Decimal.append(self.minute, width: width, to: &output)
        case UInt8(ascii: "S"): Decimal.append(self.second, width: width, to: &output)
        case UInt8(ascii: "p"): output.append(contentsOf: (self.hour < 12 ? "AM" : "PM").utf8)
        case UInt8(ascii: "B"): output.append(contentsOf: Self.months[self.month - 1].utf8)
        case UInt8(ascii: "b"), UInt8(ascii: "h"):
            output.append(contentsOf: Self.months[self.month - 1].prefix(3).utf8)
        case UInt8(ascii: "A"): output.append(contentsOf: Self.weekdays[self.weekday].utf8)
        case UInt8(ascii: "a"): output.append(contentsOf: Self.weekdays[self.weekday].prefix(3).utf8)
        case UInt8(ascii: "u"): Decimal.append(self.weekday + 1, width: 0, to: &output)
        case UInt8(ascii: "w"): Decimal.append((self.weekday + 1) % 7, width: 0, to: &output)
        case UInt8(ascii: "j"):
            let days = Self.dayNumber(self.year, self.month, self.day) - Self.dayNumber(self.year, 1, 1) + 1
            Decimal.append(days, width: width == 0 ? 0 : 3, to: &output)
        case UInt8(ascii: "F"): self.combine("%Y-%m-%d", &output)
        case UInt8(ascii: "D"), UInt8(ascii: "x"): self.combine("%m/%d/%y", &output)
        case UInt8(ascii: "T"), UInt8(ascii: "X"): self.combine("%H:%M:%S", &output)
        case UInt8(ascii: "R"): self.combine("%H:%M", &output)
        case UInt8(ascii: "c"): self.combine("%a %b %e %H:%M:%S %Y", &output)
        case UInt8(ascii: "%"): output.append(UInt8(ascii: "%"))
        case UInt8(ascii: "n"): output.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "t"): output.append(UInt8(ascii: "\t"))
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): break
        default: return false
        }
        return true
    }

    private func combine(_ pattern: String, _ output: inout [UInt8]) {
        output.append(contentsOf: self.format(Array(pattern.utf8)[...]) ?? [])
    }
}
