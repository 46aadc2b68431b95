// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MailingModel

@Suite("What a reply means (RFC 5321 §4.2, RFC 3463)")
struct OutcomePolicyTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let stage: DeliveryStage
        let code: Int
        let status: String?
        let verdict: OutcomePolicy.Verdict
        let name: String

        var testDescription: String { "\(self.name): \(self.stage) \(self.code) \(self.status ?? "-")" }
    }

    static let rows: [Row] = [
        Row(stage: .finalDot, code: 250, status: "2.0.0", verdict: .delivered, name: "accepted"),
        Row(stage: .finalDot, code: 200, status: nil, verdict: .delivered, name: "accepted with an unusual 2xx"),
        Row(stage: .recipient, code: 250, status: "2.1.5", verdict: .deferred, name: "a 2xx that ends nothing"),
        Row(stage: .finalDot, code: 354, status: nil, verdict: .deferred, name: "a 3xx after the dot"),
        Row(stage: .finalDot, code: 0, status: nil, verdict: .deferred, name: "no code at all"),
        Row(stage: .recipient, code: 999, status: nil, verdict: .deferred, name: "a code beyond 599"),
        Row(stage: .greeting, code: 554, status: nil, verdict: .deferred, name: "no SMTP service here"),
        Row(stage: .greeting, code: 554, status: "5.7.1", verdict: .deferred, name: "the host blocks us"),
        Row(stage: .greeting, code: 421, status: "4.7.0", verdict: .deferred, name: "too many connections"),
        Row(stage: .greeting, code: 521, status: nil, verdict: .deferred, name: "the host takes no mail (RFC 7504)"),
        Row(stage: .hello, code: 550, status: nil, verdict: .deferred, name: "EHLO refused"),
        Row(stage: .tls, code: 501, status: nil, verdict: .deferred, name: "STARTTLS refused"),
        Row(stage: .connect, code: 500, status: nil, verdict: .deferred, name: "connecting"),
        Row(stage: .recipient, code: 450, status: "4.2.0", verdict: .deferred, name: "greylisting"),
        Row(stage: .recipient, code: 450, status: nil, verdict: .deferred, name: "greylisting, bare"),
        Row(stage: .recipient, code: 451, status: "4.7.1", verdict: .deferred, name: "policy, for now"),
        Row(stage: .recipient, code: 452, status: "4.5.3", verdict: .deferred, name: "too many recipients"),
        Row(stage: .mail, code: 421, status: nil, verdict: .deferred, name: "shutting down"),
        Row(stage: .finalDot, code: 421, status: "4.3.2", verdict: .deferred, name: "shutting down after the dot"),
        Row(stage: .finalDot, code: 454, status: nil, verdict: .deferred, name: "throttled"),
        Row(stage: .recipient, code: 450, status: "5.1.1", verdict: .deferred, name: "5.x.x with a 4xx code"),
        Row(stage: .recipient, code: 550, status: "4.2.1", verdict: .deferred, name: "4.x.x with a 5xx code"),
        Row(stage: .recipient, code: 550, status: "5.1.1", verdict: .failed, name: "no such mailbox"),
        Row(stage: .recipient, code: 550, status: nil, verdict: .failed, name: "no such mailbox, bare"),
        Row(
            stage: .recipient,
            code: 556,
            status: "5.1.10",
            verdict: .failed,
            name: "null MX seen by a relay (RFC 7504)"
        ),
        Row(stage: .mail, code: 553, status: "5.1.8", verdict: .failed, name: "bad sender"),
        Row(stage: .finalDot, code: 554, status: "5.7.1", verdict: .failed, name: "content refused"),
        Row(stage: .data, code: 554, status: nil, verdict: .failed, name: "no valid recipients"),
        Row(stage: .recipient, code: 552, status: nil, verdict: .deferred, name: "552 to RCPT (RFC 5321 §4.5.3.1.10)"),
        Row(stage: .recipient, code: 552, status: "5.2.2", verdict: .deferred, name: "mailbox full"),
        Row(stage: .finalDot, code: 552, status: "5.2.2", verdict: .deferred, name: "mailbox full after the dot"),
        Row(stage: .finalDot, code: 552, status: "4.2.2", verdict: .deferred, name: "mailbox full, honestly"),
        Row(stage: .recipient, code: 552, status: "5.2.3", verdict: .failed, name: "too big for the mailbox"),
        Row(stage: .mail, code: 552, status: "5.3.4", verdict: .failed, name: "too big for the system"),
        Row(stage: .finalDot, code: 552, status: nil, verdict: .failed, name: "too big, bare"),
        Row(stage: .recipient, code: 503, status: "5.5.1", verdict: .deferred, name: "bad sequence"),
        Row(stage: .recipient, code: 550, status: "5.5.3", verdict: .deferred, name: "too many recipients as 5xx"),
        Row(stage: .recipient, code: 550, status: "5.2.22", verdict: .failed, name: "a status that only begins alike"),
        Row(stage: .recipient, code: 552, status: "5.3.40", verdict: .deferred, name: "another that begins alike"),
        Row(stage: .recipient, code: 550, status: "garbage", verdict: .failed, name: "an enhanced status that is none"),
    ]

    @Test("reads each reply as its row of the table says", arguments: rows)
    func table(row: Row) {
        #expect(
            OutcomePolicy.verdict(stage: row.stage, replyCode: row.code, enhancedStatus: row.status) == row.verdict
        )
    }

    @Test("every row of the policy decides at least one case of this table")
    func everyRuleIsUsed() {
        let used = Set(
            Self.rows.compactMap {
                OutcomePolicy.rule(stage: $0.stage, replyCode: $0.code, enhancedStatus: $0.status)?.name
            }
        )
        #expect(used == Set(OutcomePolicy.rules.map(\.name)))
    }

    @Test("never takes a recipient for delivered before the final dot")
    func deliveredOnlyAfterDot() {
        for stage in DeliveryStage.allCases where stage != .finalDot {
            for code in 0...999 {
                #expect(OutcomePolicy.verdict(stage: stage, replyCode: code, enhancedStatus: nil) != .delivered)
            }
        }
    }

    @Test(
        "fails only for what the DNS says for good (RFC 7505)",
        arguments: [
            (OutcomePolicy.LookupFailure.noSuchDomain, OutcomePolicy.Verdict.failed), (.refusesMail, .failed),
            (.temporary, .deferred), (.noUsableHost, .deferred),
        ]
    )
    func lookups(failure: OutcomePolicy.LookupFailure, verdict: OutcomePolicy.Verdict) {
        #expect(OutcomePolicy.verdict(lookup: failure) == verdict)
    }

    @Test("makes an outcome of a trace, deferred without a reply")
    func outcomes() {
        let refused = AttemptTrace(stage: .recipient, replyCode: 550, enhancedStatus: "5.1.1", text: "no")
        #expect(OutcomePolicy.outcome(refused) == .failed(refused))
        let lost = AttemptTrace(stage: .connect, text: "connection refused")
        #expect(OutcomePolicy.outcome(lost) == .deferred(lost))
        let taken = AttemptTrace(stage: .finalDot, replyCode: 250, text: "ok")
        #expect(OutcomePolicy.outcome(taken) == .delivered(taken))
    }
}
