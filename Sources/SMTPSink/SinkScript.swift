// SPDX-License-Identifier: Apache-2.0

import SMTP

/// What a sink does instead of accepting everything: rules, each for one step of the dialogue.
///
/// One rule a line; `#` begins a comment. The first rule that fits at a step is carried out; with none, the sink accepts.
///
///     seed 7
///     idle 1h
///     at connect every 10: reply 421 4.3.2 too many connections; close
///     at rcpt to *@full.example: reply 452 4.2.2 mailbox full
///     at rcpt share 60% attempts 1: reply 454 4.7.0 throttled
///     at dot to slow*@*: delay 90s
///     at dot share 1%: drop
///     at dot every 2500: close
///     at data on *:2526: stall
///
/// A rule is `at STEP [CONDITION…]: ACTION[; ACTION…]`.
///
/// Steps: `connect` (the greeting), `hello`, `tls`, `mail`, `rcpt`, `data` (before the 354), `content` (behind the 354),
/// `dot`.
///
/// Conditions, all of which must hold (`*` stands for any bytes; case is not regarded):
/// - `to GLOB`: the recipient; from `data` on, any recipient.
/// - `from GLOB`: the reverse path.
/// - `on GLOB`: the local `address:port`.
/// - `share P%`: a part of the recipients, always the same ones for one `seed` and line of the script; of the
///   connections at steps before `rcpt`.
/// - `attempts N`, `attempts N-M`, `attempts N-`: the number of RCPT commands for this recipient since the sink started, counted from 1.
/// - `every N`: each N-th connection at `connect`, `hello` and `tls`; each N-th message of the connection otherwise.
///
/// Actions:
/// - `reply CODE TEXT…`: this instead of the ordinary reply.
/// - `flood BYTES`: makes the reply so long, with many lines of NULs and invalid UTF-8.
/// - `delay TIME`: waits before the reply. A time is a number with `ms`, `s`, `m` or `h`.
/// - `tarpit TIME`: waits before each byte of the reply.
/// - `drop`: closes without a reply; at `content` in the midst of the content; at `dot` the message counts as accepted.
/// - `close`: closes after the reply.
/// - `slow BYTES/TIME`: from now on reads at most so much in each such time.
/// - `stall`: reads nothing any more.
public struct SinkScript: Hashable, Sendable {
    /// A step of the dialogue at which rules may apply.
    enum Step: String, Hashable, Sendable, CaseIterable {
        case connect, hello, tls, mail, rcpt, data, content, dot
    }

    /// One rule.
    struct Rule: Hashable, Sendable {
        var step: Step
        /// The rule's line in the script, from 1; part of the hash behind `share`.
        var line: Int
        var recipient: Glob?
        var reversePath: Glob?
        var local: Glob?
        /// Of 10,000.
        var share: UInt64?
        var attempts: ClosedRange<Int>?
        var every: Int?
        var decision = SMTPServerDecision()
    }

    /// Steers which recipients a `share` takes.
    var seed: UInt64 = 0
    /// How long a connection may be silent, if the script says so.
    var idleTimeout: Duration?
    /// The rules of each step, in script order.
    private(set) var rules: [Step: [Rule]] = [:]

    /// Accepts everything.
    public init() {}

    /// Reads a script.
    ///
    /// - Throws: `SinkScriptError` with the line that cannot be read.
    public init(parsing text: String) throws {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let code = line.prefix { $0 != "#" }.drop { $0.isWhitespace }
            guard !code.isEmpty else { continue }
            try self.read(code, line: index + 1)
        }
    }

    /// Whether some rule counts the attempts for each recipient.
    var countsAttempts: Bool { self.rules.values.joined().contains { $0.attempts != nil } }

    private mutating func read(_ code: Substring, line: Int) throws {
        let words = code.split { $0.isWhitespace }
        switch words.first {
        case "seed":
            guard words.count == 2, let seed = UInt64(words[1]) else {
                throw SinkScriptError(line: line, message: "seed needs a number")
            }
            self.seed = seed
        case "idle":
            guard words.count == 2, let time = Duration(scriptText: words[1]) else {
                throw SinkScriptError(line: line, message: "idle needs a time, such as 10m")
            }
            self.idleTimeout = time
        case "at":
            var reader = SinkRuleReader(line: line)
            let rule = try reader.rule(code.dropFirst(2))
            self.rules[rule.step, default: []].append(rule)
        default:
            throw SinkScriptError(line: line, message: "a line begins with at, seed or idle")
        }
    }
}

/// Why a script cannot be read.
public struct SinkScriptError: Error, Hashable, CustomStringConvertible {
    /// The line, from 1.
    public let line: Int
    /// What is wrong with it.
    public let message: String

    /// Both on one line.
    public var description: String { "line \(self.line): \(self.message)" }
}
