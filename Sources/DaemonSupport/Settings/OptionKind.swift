// SPDX-License-Identifier: Apache-2.0

/// What an option's text may be, and how it is read and written.
enum OptionKind: Sendable {
    case string
    case path
    case choice([String])
    case bool
    case int(ClosedRange<Int>)
    case size(ClosedRange<Int>)
    case duration(ClosedRange<Duration>)
    case list

    /// The type's name as the sample and messages say it.
    var name: String {
        switch self {
        case .string: "text"
        case .path: "path"
        case .choice(let words): "one of \(words.joined(separator: ", "))"
        case .bool: "true or false"
        case .int: "whole number"
        case .size: "size (bytes, KiB, MiB, GiB)"
        case .duration: "duration (ms, s, m, h, d)"
        case .list: "list"
        }
    }

    /// The range as text, or `nil` if there is none worth printing.
    var range: String? {
        switch self {
        case .int(let range): Self.describe(range, of: .min ... .max) { "\($0)" }
        case .size(let range): Self.describe(range, of: 0...(.max), SizeText.format)
        case .duration(let range):
            Self.describe(range, of: .zero...OptionKind.longestDuration, DurationText.format)
        default: nil
        }
    }

    /// A hundred years: longer than any wait that is meant.
    static let longestDuration = Duration.seconds(100 * 365 * 86_400)

    private static func describe<Bound>(
        _ range: ClosedRange<Bound>,
        of whole: ClosedRange<Bound>,
        _ text: (Bound) -> String
    ) -> String? {
        switch (range.lowerBound == whole.lowerBound, range.upperBound == whole.upperBound) {
        case (true, true): nil
        case (false, true): "at least \(text(range.lowerBound))"
        case (true, false): "at most \(text(range.upperBound))"
        case (false, false): "\(text(range.lowerBound)) to \(text(range.upperBound))"
        }
    }

    /// Reads a text.
    ///
    /// - Throws: What the option must be instead.
    func value(of text: String) throws(OptionMismatch) -> any Sendable {
        switch self {
        case .string, .path:
            return text
        case .choice(let words):
            guard words.contains(text) else { throw OptionMismatch(expected: "must be \(self.name)") }
            return text
        case .bool:
            switch text.lowercased() {
            case "true", "yes", "on": return true
            case "false", "no", "off": return false
            default: throw OptionMismatch(expected: "must be true or false")
            }
        case .int(let range):
            return try self.checked(Int(text), range)
        case .size(let range):
            return try self.checked(SizeText.parse(text), range)
        case .duration(let range):
            return try self.checked(DurationText.parse(text), range)
        case .list:
            return ListText.parse(text)
        }
    }

    private func checked<Value: Comparable & Sendable>(
        _ value: Value?,
        _ range: ClosedRange<Value>
    ) throws(OptionMismatch) -> Value {
        guard let value else { throw OptionMismatch(expected: "must be a \(self.name)") }
        guard range.contains(value) else { throw OptionMismatch(expected: "must be \(self.range ?? "in range")") }
        return value
    }

    /// The text that reads back as a value of this kind.
    func text(of value: any Sendable) -> String {
        switch (self, value) {
        case (.size, let size as Int): SizeText.format(size)
        case (.duration, let duration as Duration): DurationText.format(duration)
        case (.list, let list as [String]): ListText.format(list)
        default: "\(value)"
        }
    }
}

/// What was expected where a text did not fit.
struct OptionMismatch: Error {
    let expected: String
}

/// Lists as text: items separated by commas.
enum ListText {
    static func parse(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingSpace() }.filter { !$0.isEmpty }
    }

    static func format(_ list: [String]) -> String { list.joined(separator: ", ") }
}

/// Durations as text: `250ms`, `30s`, `1h30m`, `2d`; a bare number counts seconds.
enum DurationText {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
    ]

    static func parse(_ text: String) -> Duration? {
        if let seconds = Int32(text), seconds >= 0 { return .seconds(seconds) }
        var rest = text[...]
        var total: Int64 = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(name.count)
            guard let number = Int64(digits), let unit = self.units.first(where: { $0.name == name }) else {
                return nil
            }
            let (product, tooLong) = number.multipliedReportingOverflow(by: unit.milliseconds)
            let (sum, overflow) = total.addingReportingOverflow(product)
            guard !tooLong, !overflow else { return nil }
            total = sum
        }
        return text.isEmpty ? nil : .milliseconds(total)
    }

    static func format(_ duration: Duration) -> String {
        var rest = duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
        guard rest != 0 else { return "0" }
        var text = ""
        for unit in self.units where rest >= unit.milliseconds {
            text += "\(rest / unit.milliseconds)\(unit.name)"
            rest %= unit.milliseconds
        }
        return text
    }
}

/// Sizes as text: `512`, `64KiB`, `16MiB`, `1GiB`.
enum SizeText {
    private static let units: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
    ]

    static func parse(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let name = text.dropFirst(digits.count).trimmingSpace()
        guard let number = Int(digits) else { return nil }
        if name.isEmpty { return number }
        guard let unit = self.units.first(where: { $0.name == name }) else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit.bytes)
        return overflow ? nil : product
    }

    static func format(_ bytes: Int) -> String {
        for unit in self.units where bytes > 0 && bytes % unit.bytes == 0 {
            return "\(bytes / unit.bytes)\(unit.name)"
        }
        return "\(bytes)"
    }
}

extension StringProtocol {
    /// The text without white space at either end.
    func trimmingSpace() -> String {
        let start = self.drop(while: \.isWhitespace)
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}
