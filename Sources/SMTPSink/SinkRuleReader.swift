// SPDX-License-Identifier: Apache-2.0

import SMTP

/// Reads one rule of a sink's script.
struct SinkRuleReader {
    let line: Int

    /// Reads what follows `at`.
    mutating func rule(_ text: Substring) throws -> SinkScript.Rule {
        // A colon followed by a space, or at the end, parts conditions from actions; `on *:2526` has none such.
        guard let colon = Self.separator(in: text) else { throw self.error("a colon before the actions is missing") }
        var words = text[..<colon].split { $0.isWhitespace }[...]
        guard let name = words.popFirst(), let step = SinkScript.Step(rawValue: String(name)) else {
            let names = SinkScript.Step.allCases.map(\.rawValue).joined(separator: ", ")
            throw self.error("at needs one of \(names)")
        }
        var rule = SinkScript.Rule(step: step, line: self.line)
        while let word = words.popFirst() {
            guard let value = words.popFirst() else { throw self.error("\(word) needs a value") }
            try self.condition(word, value, into: &rule)
        }
        if rule.recipient != nil || rule.attempts != nil, [.connect, .hello, .tls, .mail].contains(step) {
            throw self.error("no recipient is known at \(name)")
        }
        if rule.reversePath != nil, [.connect, .hello, .tls].contains(step) {
            throw self.error("no reverse path is known at \(name)")
        }
        let actions = text[text.index(after: colon)...].split(separator: ";")
        guard !actions.isEmpty else { throw self.error("an action is missing") }
        for action in actions { try self.action(action, into: &rule) }
        if rule.step == .content { rule.decision.dropsAfterContentBytes = 1 }
        return rule
    }

    private static func separator(in text: Substring) -> Substring.Index? {
        var start = text.startIndex
        while let colon = text[start...].firstIndex(of: ":") {
            let next = text.index(after: colon)
            if next == text.endIndex || text[next].isWhitespace { return colon }
            start = next
        }
        return nil
    }

    private func condition(_ word: Substring, _ value: Substring, into rule: inout SinkScript.Rule) throws {
        switch word {
        case "to": rule.recipient = Glob(value)
        case "from": rule.reversePath = Glob(value)
        case "on": rule.local = Glob(value)
        case "share":
            guard value.hasSuffix("%"), let percent = Double(value.dropLast()), (0...100).contains(percent) else {
                throw self.error("share needs a percentage, such as 60% or 0.5%")
            }
            rule.share = UInt64((percent * 100).rounded())
        case "attempts":
            let ends = value.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = Int(ends[0]), first > 0 else { throw self.error("attempts needs N, N-M or N-") }
            var last = ends.count == 1 ? first : Int.max
            if ends.count == 2, !ends[1].isEmpty {
                guard let end = Int(ends[1]), end >= first else { throw self.error("attempts needs N, N-M or N-") }
                last = end
            }
            rule.attempts = first...last
        case "every":
            guard let count = Int(value), count > 0 else { throw self.error("every needs a number from 1") }
            rule.every = count
        default: throw self.error("unknown condition \(word)")
        }
    }

    private func action(_ text: Substring, into rule: inout SinkScript.Rule) throws {
        let trimmed = text.drop { $0.isWhitespace }
        let word = trimmed.prefix { !$0.isWhitespace }
        let rest = trimmed.dropFirst(word.count).drop { $0.isWhitespace }
        let value = rest.prefix { !$0.isWhitespace }
        switch word {
        case "reply":
            guard rule.step != .content else { throw self.error("at content only drop is possible") }
            guard let code = Int(value), (200...599).contains(code) else {
                throw self.error("reply needs a code from 200 to 599")
            }
            var words = rest.dropFirst(value.count).drop { $0.isWhitespace }
            while words.last?.isWhitespace == true { words.removeLast() }
            rule.decision.reply = SMTPServerReply(code, words.isEmpty ? "scripted" : String(words))
        case "flood":
            guard let bytes = Int(value), (1...16_777_216).contains(bytes), let reply = rule.decision.reply else {
                throw self.error("flood needs a number of bytes, and a reply before it")
            }
            rule.decision.reply = Self.flooded(reply, bytes: bytes)
        case "delay":
            guard let time = Duration(scriptText: value) else { throw self.error("delay needs a time, such as 90s") }
            rule.decision.delay = time
        case "tarpit":
            guard let time = Duration(scriptText: value) else { throw self.error("tarpit needs a time, such as 1s") }
            rule.decision.tarpit = time
        case "drop":
            if rule.step != .content { rule.decision.closing = .withoutReply }
        case "close": rule.decision.closing = .afterReply
        case "slow":
            let parts = value.split(separator: "/")
            guard parts.count == 2, let bytes = Int(parts[0]), bytes > 0, let time = Duration(scriptText: parts[1])
            else { throw self.error("slow needs bytes and a time, such as 1024/1s") }
            rule.decision.readPace = .init(bytes: bytes, pause: time)
        case "stall": rule.decision.readPace = .init(bytes: 1, pause: nil)
        default: throw self.error("unknown action \(word)")
        }
    }

    /// The reply followed by lines that no store or log should choke on.
    private static func flooded(_ reply: SMTPServerReply, bytes: Int) -> SMTPServerReply {
        let junk: [UInt8] = [0x00, 0xFF, 0xC3, 0x28, 0x80, 0x41, 0xE2, 0x82]
        var text = reply.text
        while text.count < bytes {
            text.append(0x0A)
            for index in 0..<400 { text.append(junk[index % junk.count]) }
        }
        return SMTPServerReply(reply.code, bytes: text)
    }

    private func error(_ message: String) -> SinkScriptError { SinkScriptError(line: self.line, message: message) }
}

extension Duration {
    /// Reads a number with `ms`, `s`, `m` or `h`.
    init?(scriptText text: Substring) {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number <= 1_000_000 else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": self = .milliseconds(number)
        case "s": self = .seconds(number)
        case "m": self = .seconds(number * 60)
        case "h": self = .seconds(number * 3_600)
        default: return nil
        }
    }
}

/// A pattern in which `*` stands for any bytes; ASCII case is not regarded.
struct Glob: Hashable, Sendable {
    private let pattern: [UInt8]

    init(_ text: some StringProtocol) { self.pattern = text.utf8.map(Self.lowercased) }

    /// Whether the whole of `text` fits.
    func matches(_ text: String) -> Bool {
        let bytes = text.utf8.map(Self.lowercased)
        var (position, index) = (0, 0)
        var star: (index: Int, position: Int)?
        while position < bytes.count {
            if index < self.pattern.count, self.pattern[index] == 0x2A {
                star = (index, position)
                index += 1
            } else if index < self.pattern.count, self.pattern[index] == bytes[position] {
                index += 1
                position += 1
            } else if let last = star {
                index = last.index + 1
                position = last.position + 1
                star = (last.index, position)
            } else {
                return false
            }
        }
        return self.pattern[index...].allSatisfy { $0 == 0x2A }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte + 0x20 : byte }
}
