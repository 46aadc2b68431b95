// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import MailingModel

@Suite("What a reply means (RFC 5321 §4.2, RFC 3463)")
struct OutcomePolicyTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let code: Int
        let status: String?
        let stage: DeliveryStage
        let ruling: OutcomePolicy.Ruling
        let name: String

        init(
            _ code: Int,
            _ status: String?,
            _ stage: DeliveryStage,
            _ verdict: OutcomePolicy.Verdict,
            _ subject: OutcomePolicy.Subject,
            _ site: OutcomePolicy.SiteResponse,
            _ name: String
        ) {
            self.code = code
            self.status = status
            self.stage = stage
            self.ruling = OutcomePolicy.Ruling(verdict: verdict, subject: subject, site: site)
            self.name = name
        }

        var testDescription: String { "\(self.name): \(self.stage) \(self.code) \(self.status ?? "-")" }
    }

    static let rows: [Row] = [
        // the end of a transaction
        Row(250, "2.0.0", .finalDot, .delivered, .recipient, .goOn, "accepted"),
        Row(200, nil, .finalDot, .delivered, .recipient, .goOn, "accepted with an unusual 2xx"),
        Row(250, "2.1.5", .recipient, .deferred, .channel, .goOn, "a 2xx that ends nothing"),
        Row(354, nil, .finalDot, .deferred, .channel, .goOn, "a 3xx after the dot"),
        Row(0, nil, .finalDot, .deferred, .channel, .goOn, "no code at all"),
        Row(999, nil, .recipient, .deferred, .channel, .goOn, "a code beyond 599"),
        // before the envelope
        Row(554, nil, .greeting, .deferred, .channel, .pause, "no SMTP service here"),
        Row(
            554,
            "5.7.1",
            .greeting,
            .deferred,
            .sender,
            .pause,
            "Postfix: the client host is blocked, at the greeting"
        ),
        Row(421, "4.7.0", .greeting, .deferred, .sender, .pause, "Gmail: try again later, at the greeting"),
        Row(421, nil, .greeting, .deferred, .channel, .pause, "too many connections, at the greeting"),
        Row(450, nil, .greeting, .deferred, .channel, .pause, "Exim: a delay at connect"),
        Row(521, nil, .greeting, .deferred, .channel, .pause, "the host takes no mail (RFC 7504)"),
        Row(556, nil, .greeting, .deferred, .channel, .pause, "the domain takes no mail, at the greeting"),
        Row(220, nil, .greeting, .deferred, .channel, .pause, "a greeting that came twice"),
        Row(500, nil, .connect, .deferred, .channel, .pause, "a reply to nothing"),
        Row(504, "5.5.2", .hello, .deferred, .configuration, .pause, "Postfix: the EHLO name needs a domain"),
        Row(501, "5.5.4", .hello, .deferred, .configuration, .pause, "Exchange: an invalid domain name in EHLO"),
        Row(550, nil, .hello, .deferred, .sender, .pause, "Exim: EHLO refused"),
        Row(550, "5.7.1", .hello, .deferred, .sender, .pause, "a HELO policy"),
        Row(530, "5.7.0", .hello, .deferred, .configuration, .pause, "authentication asked for at EHLO"),
        Row(502, nil, .hello, .deferred, .channel, .pause, "neither EHLO nor HELO"),
        Row(421, "4.3.2", .hello, .deferred, .channel, .pause, "shutting down at EHLO"),
        Row(454, "4.7.0", .tls, .deferred, .channel, .pause, "Postfix: TLS not available for now"),
        Row(454, nil, .tls, .deferred, .channel, .pause, "TLS not available for now, bare (RFC 3207)"),
        Row(501, nil, .tls, .deferred, .channel, .pause, "STARTTLS refused"),
        // 4xx
        Row(450, "4.2.0", .recipient, .deferred, .recipient, .goOn, "Postfix: greylisted"),
        Row(450, nil, .recipient, .deferred, .recipient, .goOn, "greylisted, bare"),
        Row(451, "4.7.1", .recipient, .deferred, .sender, .goOn, "greylisted as a policy"),
        Row(451, nil, .recipient, .deferred, .recipient, .goOn, "Exim: try again later"),
        Row(450, "4.7.1", .recipient, .deferred, .sender, .goOn, "Postfix: the EHLO name is not found"),
        Row(450, "4.7.25", .recipient, .deferred, .configuration, .backOff, "Postfix: no name for our address"),
        Row(450, "4.1.8", .recipient, .deferred, .configuration, .backOff, "Postfix: the sender's domain is not found"),
        Row(450, "4.1.1", .recipient, .deferred, .recipient, .goOn, "Postfix: an unverified recipient"),
        Row(450, "4.2.1", .recipient, .deferred, .recipient, .goOn, "Gmail: the user receives too quickly"),
        Row(452, "4.5.3", .recipient, .deferred, .channel, .goOn, "too many recipients"),
        Row(452, "4.2.2", .recipient, .deferred, .recipient, .goOn, "Gmail: over quota, for now"),
        Row(452, "4.3.1", .recipient, .deferred, .channel, .goOn, "Exchange: insufficient resources"),
        Row(432, "4.3.2", .recipient, .deferred, .channel, .goOn, "Exchange: the mailbox is throttled"),
        Row(
            451,
            "4.7.500",
            .recipient,
            .deferred,
            .sender,
            .goOn,
            "Exchange Online: server busy, slowing this address down"
        ),
        Row(451, "4.7.3", .recipient, .deferred, .channel, .pause, "Exchange: STARTTLS is required"),
        Row(421, "4.7.0", .recipient, .deferred, .sender, .backOff, "Yahoo: deferred because of volume or complaints"),
        Row(421, nil, .recipient, .deferred, .channel, .goOn, "shutting down"),
        Row(421, "4.3.2", .finalDot, .deferred, .channel, .goOn, "shutting down after the dot"),
        Row(421, "4.7.28", .finalDot, .deferred, .sender, .backOff, "Gmail: an unusual rate from this address"),
        Row(421, "4.7.26", .finalDot, .deferred, .configuration, .backOff, "Gmail: not authenticated, rate limited"),
        Row(421, "4.7.29", .finalDot, .deferred, .configuration, .backOff, "Gmail: sent without TLS"),
        Row(421, nil, .mail, .deferred, .channel, .goOn, "shutting down at MAIL"),
        Row(451, "4.3.0", .finalDot, .deferred, .channel, .goOn, "Gmail: temporarily rejected"),
        Row(454, nil, .finalDot, .deferred, .recipient, .goOn, "throttled"),
        Row(450, "5.1.1", .recipient, .deferred, .recipient, .goOn, "5.x.x with a 4xx code"),
        Row(550, "4.2.1", .recipient, .deferred, .recipient, .goOn, "4.x.x with a 5xx code"),
        // our side
        Row(530, "5.7.0", .mail, .deferred, .channel, .pause, "STARTTLS first (RFC 3207)"),
        Row(530, nil, .recipient, .deferred, .channel, .pause, "authentication required (RFC 4954)"),
        Row(530, "5.7.57", .mail, .deferred, .sender, .backOff, "Exchange Online: no anonymous mail"),
        Row(535, "5.7.8", .mail, .deferred, .configuration, .pause, "credentials invalid"),
        Row(534, "5.7.9", .mail, .deferred, .configuration, .pause, "the mechanism is too weak"),
        Row(538, "5.7.11", .mail, .deferred, .channel, .pause, "encryption needed for authentication"),
        Row(550, "5.7.10", .recipient, .deferred, .channel, .pause, "encryption needed"),
        Row(
            504,
            "5.5.2",
            .recipient,
            .deferred,
            .configuration,
            .pause,
            "Postfix: the EHLO name needs a domain, said at RCPT"
        ),
        Row(504, nil, .mail, .deferred, .configuration, .pause, "a parameter of MAIL is not implemented"),
        Row(503, "5.5.1", .recipient, .deferred, .channel, .backOff, "bad sequence"),
        Row(503, nil, .data, .deferred, .channel, .backOff, "Exim: valid RCPT first"),
        Row(500, "5.5.1", .mail, .deferred, .channel, .backOff, "MAIL is not known"),
        Row(502, "5.5.2", .recipient, .deferred, .channel, .backOff, "RCPT is not implemented"),
        Row(501, "5.5.4", .mail, .deferred, .configuration, .backOff, "Exchange: invalid arguments"),
        Row(555, "5.5.2", .recipient, .deferred, .configuration, .backOff, "Gmail: a syntax error"),
        Row(555, nil, .mail, .deferred, .configuration, .backOff, "a parameter of MAIL is not known"),
        Row(550, "5.5.1", .recipient, .deferred, .configuration, .backOff, "a protocol error"),
        Row(550, "5.5.3", .recipient, .deferred, .channel, .goOn, "too many recipients as 5xx"),
        Row(521, nil, .recipient, .deferred, .channel, .backOff, "the host takes no mail, said at RCPT (RFC 7504)"),
        Row(550, "5.7.26", .finalDot, .deferred, .configuration, .backOff, "Gmail: neither SPF nor DKIM"),
        Row(550, "5.7.27", .finalDot, .deferred, .configuration, .backOff, "Gmail: SPF failed"),
        Row(550, "5.7.30", .finalDot, .deferred, .configuration, .backOff, "Gmail: DKIM failed"),
        Row(550, "5.7.25", .recipient, .deferred, .configuration, .backOff, "Gmail: no PTR record"),
        Row(
            550,
            "5.7.515",
            .finalDot,
            .deferred,
            .configuration,
            .backOff,
            "Outlook.com: authentication below what bulk senders need"
        ),
        Row(550, "5.7.509", .finalDot, .deferred, .configuration, .backOff, "Exchange Online: DMARC says reject"),
        Row(
            550,
            "5.1.8",
            .recipient,
            .deferred,
            .configuration,
            .backOff,
            "Postfix: the sender's domain does not exist"
        ),
        Row(553, "5.1.7", .mail, .deferred, .configuration, .backOff, "the sender's address is malformed"),
        // the recipient
        Row(550, "5.1.1", .recipient, .failed, .recipient, .goOn, "Gmail, Postfix: no such user"),
        Row(550, nil, .recipient, .failed, .recipient, .goOn, "Exim: unrouteable address"),
        Row(550, "5.1.10", .recipient, .failed, .recipient, .goOn, "Exchange Online: recipient not found"),
        Row(550, "5.4.1", .recipient, .failed, .recipient, .goOn, "Exchange Online: unknown at the edge"),
        Row(550, "5.5.0", .recipient, .failed, .recipient, .goOn, "Outlook.com: mailbox unavailable"),
        Row(550, "5.2.1", .recipient, .failed, .recipient, .goOn, "Gmail: the account is disabled"),
        Row(550, "5.1.0", .recipient, .failed, .recipient, .goOn, "an address status of no kind"),
        Row(553, "5.1.3", .recipient, .failed, .recipient, .goOn, "Gmail: the address is malformed"),
        Row(553, "5.1.2", .recipient, .failed, .recipient, .goOn, "Gmail: no such domain"),
        Row(501, "5.1.3", .recipient, .failed, .recipient, .goOn, "Postfix: bad recipient syntax"),
        Row(501, nil, .recipient, .failed, .recipient, .goOn, "bad recipient syntax, bare"),
        Row(551, "5.1.6", .recipient, .failed, .recipient, .goOn, "moved away"),
        Row(556, "5.1.10", .recipient, .failed, .recipient, .goOn, "null MX seen by a relay (RFC 7504)"),
        Row(554, nil, .recipient, .failed, .recipient, .goOn, "Yahoo: this user has no account"),
        Row(554, nil, .finalDot, .failed, .message, .goOn, "Yahoo: refused after the dot"),
        Row(552, "5.2.2", .recipient, .deferred, .recipient, .goOn, "Gmail: over quota"),
        Row(554, "5.2.2", .recipient, .deferred, .recipient, .goOn, "Exchange: mailbox full"),
        Row(552, "5.2.2", .finalDot, .deferred, .recipient, .goOn, "mailbox full after the dot"),
        Row(550, "5.7.133", .recipient, .failed, .recipient, .goOn, "Exchange Online: members of the group only"),
        Row(
            550,
            "5.7.124",
            .recipient,
            .failed,
            .recipient,
            .goOn,
            "Exchange Online: not among the group's allowed senders"
        ),
        Row(550, "5.7.17", .recipient, .failed, .recipient, .goOn, "the mailbox has another owner (RFC 7293)"),
        Row(550, "5.2.22", .recipient, .failed, .recipient, .goOn, "a status that only begins alike"),
        Row(550, "garbage", .recipient, .failed, .recipient, .goOn, "an enhanced status that is none"),
        Row(553, "5.1.3", .mail, .failed, .recipient, .goOn, "our own refusal: the address cannot be written"),
        // reputation and policy
        Row(550, "5.7.1", .recipient, .deferred, .sender, .backOff, "Exchange: unable to relay"),
        Row(
            554,
            "5.7.1",
            .recipient,
            .deferred,
            .sender,
            .backOff,
            "Postfix: relay denied, or the client is on a block list"
        ),
        Row(553, "5.7.1", .recipient, .deferred, .sender, .backOff, "Yahoo: the address is on a block list"),
        Row(550, "5.7.606", .recipient, .deferred, .sender, .backOff, "Exchange Online: banned address"),
        Row(550, "5.7.511", .recipient, .deferred, .sender, .backOff, "Exchange Online: banned sender"),
        Row(550, "5.7.708", .recipient, .deferred, .sender, .backOff, "Exchange Online: no traffic from this address"),
        Row(554, "5.7.1", .mail, .deferred, .sender, .backOff, "the sender is refused"),
        Row(550, nil, .mail, .deferred, .sender, .backOff, "Outlook.com: the network is on a block list"),
        Row(553, nil, .mail, .deferred, .sender, .backOff, "the sender is refused, bare"),
        Row(550, "5.7.28", .finalDot, .deferred, .sender, .backOff, "Gmail: a flood from this address"),
        Row(554, "5.7.9", .finalDot, .deferred, .sender, .backOff, "Yahoo: policy"),
        Row(554, "5.7.1", .data, .deferred, .sender, .backOff, "Postfix: the client is refused at DATA"),
        // the message
        Row(550, "5.7.1", .finalDot, .failed, .message, .goOn, "Gmail: likely unsolicited"),
        Row(554, "5.7.1", .finalDot, .failed, .message, .goOn, "Postfix: the content is refused"),
        Row(552, "5.7.0", .finalDot, .failed, .message, .goOn, "Gmail: an attachment that may harm"),
        Row(554, "5.6.0", .finalDot, .failed, .message, .goOn, "Gmail: malformed"),
        Row(550, nil, .finalDot, .failed, .message, .goOn, "Exim: refused after DATA"),
        Row(552, "5.3.4", .mail, .failed, .message, .goOn, "Postfix: too big, said at MAIL"),
        Row(552, "5.3.4", .finalDot, .failed, .message, .goOn, "Exchange: too big"),
        Row(552, "5.2.3", .recipient, .failed, .message, .goOn, "Gmail: too big for the mailbox"),
        Row(552, nil, .finalDot, .failed, .message, .goOn, "too big, bare"),
        Row(553, "5.6.7", .mail, .failed, .message, .goOn, "our own refusal: SMTPUTF8 is not offered"),
        Row(552, nil, .recipient, .deferred, .channel, .goOn, "552 at RCPT (RFC 5321 §4.5.3.1.10)"),
        Row(552, "5.3.40", .recipient, .deferred, .channel, .goOn, "another that begins alike"),
        // the receiver's system
        Row(554, "5.4.6", .finalDot, .deferred, .channel, .backOff, "Postfix: too many hops"),
        Row(554, "5.3.5", .recipient, .deferred, .channel, .backOff, "Sendmail: mail loops back"),
        Row(550, "5.3.2", .recipient, .deferred, .channel, .backOff, "not accepting messages"),
        Row(550, "5.4.4", .recipient, .deferred, .channel, .backOff, "Exchange: cannot be routed"),
        Row(554, nil, .data, .failed, .recipient, .goOn, "Postfix: no valid recipients"),
        Row(552, nil, .data, .failed, .message, .goOn, "too big at DATA"),
    ]

    @Test("reads each reply as its row of the table says", arguments: rows)
    func table(row: Row) {
        #expect(
            OutcomePolicy.ruling(stage: row.stage, replyCode: row.code, enhancedStatus: row.status) == row.ruling
        )
    }

    @Test("every row of the policy decides at least one case of this table, and has a name of its own")
    func everyRuleIsUsed() {
        let used = Set(
            Self.rows.compactMap {
                OutcomePolicy.rule(stage: $0.stage, replyCode: $0.code, enhancedStatus: $0.status)?.name
            }
        )
        #expect(used == Set(OutcomePolicy.rules.map(\.name)))
        #expect(Set(OutcomePolicy.rules.map(\.name)).count == OutcomePolicy.rules.count)
    }

    @Test("a reply about the sender, our configuration or the channel ends no recipient, whatever its code and status")
    func endsOnlyForTheRecipientsSake() {
        let statuses = [nil] + (0...8).flatMap { subject in (0...40).map { Optional("5.\(subject).\($0)") } }
        var wrong: [String] = []
        for stage in DeliveryStage.allCases {
            for code in [500, 501, 502, 503, 504, 521, 523, 530, 535, 538, 550, 551, 552, 553, 554, 555, 556, 571] {
                for status in statuses {
                    let ruling = OutcomePolicy.ruling(stage: stage, replyCode: code, enhancedStatus: status)
                    guard ruling.verdict == .failed else { continue }
                    if ruling.subject.mayEndRecipient, ruling.site == .goOn { continue }
                    wrong.append("\(stage) \(code) \(status ?? "-")")
                }
            }
        }
        #expect(wrong.isEmpty)
    }

    @Test("nothing ends a recipient before RCPT has named him")
    func nothingEndsBeforeRecipient() {
        for stage in [DeliveryStage.connect, .greeting, .hello, .tls, .mail] {
            for code in 500...599 {
                #expect(OutcomePolicy.verdict(stage: stage, replyCode: code, enhancedStatus: nil) == .deferred)
                #expect(OutcomePolicy.verdict(stage: stage, replyCode: code, enhancedStatus: "5.7.1") == .deferred)
            }
        }
    }

    @Test("docs/replies.md shows the table as it is")
    func documented() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../docs/replies.md").standardizedFileURL
        let text = try String(contentsOf: path, encoding: .utf8)
        let shown = text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("| ") && $0.hasSuffix(" |") }
        let table = OutcomePolicy.rules.map(Self.line)
        #expect(
            shown.filter(Set(table).contains) == table,
            "the lines of the table are:\n\(table.joined(separator: "\n"))"
        )
    }

    private static func line(_ rule: OutcomePolicy.Rule) -> String {
        let stages = rule.stages.isEmpty ? "any" : rule.stages.map(\.rawValue).joined(separator: ", ")
        let codes = rule.codes.map { range in
            if range.lowerBound == range.upperBound { return "\(range.lowerBound)" }
            switch range {
            case 0...999: return "any"
            case 200...299, 400...499, 500...599: return "\(range.lowerBound / 100)xx"
            default: return "\(range.lowerBound) to \(range.upperBound)"
            }
        }
        let statusClass = rule.statusClass.map(String.init) ?? "x"
        let statuses = (rule.statuses ?? (rule.statusClass == nil ? [] : [""])).map { status in
            statusClass + "." + (status.isEmpty ? "x.x" : status.hasSuffix(".") ? status + "x" : status)
        }
        let cells = [
            rule.name, stages, codes.joined(separator: ", "),
            statuses.isEmpty ? "any" : statuses.joined(separator: ", "),
            rule.subject.rawValue, rule.verdict.rawValue, rule.site.rawValue,
        ]
        return "| \(cells.joined(separator: " | ")) |"
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
