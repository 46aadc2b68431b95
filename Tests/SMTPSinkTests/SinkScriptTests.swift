// SPDX-License-Identifier: Apache-2.0

import MailingModel
import SMTP
import Testing

@testable import SMTPSink

@Suite("The sink's script")
struct SinkScriptTests {
    private static func rule(_ text: String) throws -> SinkScript.Rule {
        let script = try SinkScript(parsing: text)
        return try #require(script.rules.values.joined().first)
    }

    @Test("reads conditions and actions")
    func readsRule() throws {
        let rule = try Self.rule(
            "at rcpt to *@x.example share 2.5% attempts 2-: reply 454 4.7.0 busy: later ; delay 1.5s"
        )
        #expect(rule.step == .rcpt)
        #expect(rule.recipient?.matches("Somebody@X.example") == true)
        #expect(rule.recipient?.matches("somebody@y.example") == false)
        #expect(rule.share == 250)
        #expect(rule.attempts?.lowerBound == 2)
        #expect(rule.decision.reply == SMTPServerReply(454, "4.7.0 busy: later"))
        #expect(rule.decision.delay == .milliseconds(1_500))
    }

    @Test("reads an address with a port as a value, not as the end of the conditions")
    func readsPort() throws {
        let rule = try Self.rule("at data on *:2526: stall")
        #expect(rule.local?.matches("127.0.0.1:2526") == true)
        #expect(rule.decision.readPace == SMTPServerDecision.ReadPace(bytes: 1, pause: nil))
    }

    @Test("reads the other actions and the lines that are no rules")
    func readsRest() throws {
        let script = try SinkScript(
            parsing: """
                # a comment
                seed 7
                idle 1h   # another
                at dot: drop
                at content: drop
                at dot every 3: close; tarpit 10ms
                at mail from <>: slow 100/1s
                """
        )
        #expect(script.seed == 7)
        #expect(script.idleTimeout == .seconds(3_600))
        #expect(script.rules[.dot]?.map(\.decision.closing) == [.withoutReply, .afterReply])
        #expect(script.rules[.dot]?.last?.every == 3)
        #expect(script.rules[.content]?.first?.decision.dropsAfterContentBytes == 1)
        #expect(script.rules[.mail]?.first?.decision.readPace?.bytes == 100)
    }

    @Test(
        "names the line that it cannot read",
        arguments: [
            "at rcpt reply 550 no", "at lunch: drop", "at rcpt share 60: drop", "at rcpt share 101%: drop",
            "at rcpt attempts 0: drop", "at rcpt attempts 3-2: drop", "at dot every 0: drop", "at dot: reply 99 no",
            "at dot: delay 5", "at dot: dance", "at dot:", "at dot with x: drop", "at mail to x: drop",
            "at hello from x: drop", "at dot: flood 10", "at content: reply 550 no", "seed x", "idle 5", "nonsense",
        ]
    )
    func refuses(_ line: String) {
        let error = #expect(throws: SinkScriptError.self) { try SinkScript(parsing: "seed 1\n\(line)\n") }
        #expect(error?.line == 2)
    }

    @Test(
        "fits globs",
        arguments: [
            ("*", "", true), ("a*", "abc", true), ("*c", "abc", true), ("a*c", "abc", true), ("a*b*c", "aXbYbZc", true),
            ("abc", "abcd", false), ("*a", "ab", false), ("", "a", false), ("a**", "a", true),
        ]
    )
    func globs(_ pattern: String, _ text: String, _ fits: Bool) { #expect(Glob(pattern).matches(text) == fits) }

    @Test("shares by a hash that is the same on every run")
    func stableHash() {
        #expect(StableHash.of("a@example.org", seed: 1) == StableHash.of("a@example.org", seed: 1))
        #expect(StableHash.of("a@example.org", seed: 1) != StableHash.of("a@example.org", seed: 2))
        let taken = (0..<10_000).filter { StableHash.of("user\($0)@example.org", seed: 3) % 10_000 < 6_000 }.count
        #expect((5_800...6_200).contains(taken))
    }

    @Test("floods a reply with bytes that are no text")
    func flood() throws {
        let rule = try Self.rule("at rcpt: reply 550 5.7.1 no; flood 65536")
        let reply = try #require(rule.decision.reply)
        #expect(reply.text.count >= 65_536)
        #expect(reply.text.contains(0))
    }
}
