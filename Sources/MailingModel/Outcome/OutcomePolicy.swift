// SPDX-License-Identifier: Apache-2.0

/// What a reply means: the only place that turns SMTP codes, enhanced statuses and DNS answers into verdicts.
///
/// Each row of the table says whom a reply is about, by what the server knew when it gave it. Before RCPT it has
/// not heard of the recipient; before the content it does not know the message. Only what is about the recipient or the
/// message ends a recipient at once. What is about the sender's reputation, about our configuration or about the
/// channel would be said to every other recipient too: such an attempt is deferred, the site may be left alone for a
/// while (``SiteResponse``), and the recipient is given up by ``RetrySchedule/giveUpAfter`` or the end of the mailing.
///
/// Where code and enhanced status contradict each other the milder one is believed, since trying again is bounded and
/// giving up is not undone. The text of a reply is never read.
///
/// Sources: RFC 5321 §4.2 (codes), RFC 3463 and the IANA registry of enhanced status codes (RFC 5248), RFC 7504 (521,
/// 556), RFC 4954 (530 to 538), RFC 3207 (454, 530), RFC 7372 (5.7.20 to 5.7.26), RFC 7505 (5.1.10, 5.7.27).
public enum OutcomePolicy {
    /// What becomes of an attempt.
    public enum Verdict: String, Sendable, Hashable, CaseIterable {
        /// The server took responsibility.
        case delivered
        /// Not now.
        case deferred
        /// Never.
        case failed
    }

    /// Whom a reply is about.
    public enum Subject: String, Sendable, Hashable, CaseIterable {
        /// The mailbox or its address.
        case recipient
        /// What was to be delivered.
        case message
        /// The sender's reputation, or a policy of the receiver towards it.
        case sender
        /// How this cluster or the sender's domain is set up: its host name, addresses, authentication records.
        case configuration
        /// The connection, the host or the network.
        case channel

        /// Whether a permanent reply about it ends the recipient.
        public var mayEndRecipient: Bool {
            switch self {
            case .recipient, .message: true
            case .sender, .configuration, .channel: false
            }
        }
    }

    /// What a reply means for the other recipients of the site.
    public enum SiteResponse: String, Sendable, Hashable, CaseIterable {
        /// Nothing.
        case goOn
        /// The site is paused if several recipients in a row are answered like this.
        case backOff
        /// The site is paused at once: every other recipient would hear the same.
        case pause
    }

    /// What the table says about one reply.
    public struct Ruling: Sendable, Hashable {
        /// What becomes of the attempt.
        public var verdict: Verdict
        /// Whom the reply is about.
        public var subject: Subject
        /// What it means for others.
        public var site: SiteResponse

        /// Composes a ruling.
        public init(verdict: Verdict, subject: Subject, site: SiteResponse) {
            self.verdict = verdict
            self.subject = subject
            self.site = site
        }
    }

    /// Why no host could be asked.
    public enum LookupFailure: String, Sendable, Hashable, CaseIterable {
        /// The domain does not exist, or has neither MX nor address.
        case noSuchDomain
        /// A null MX, RFC 7505 §3.
        case refusesMail
        /// The name servers gave no usable answer in time.
        case temporary
        /// Hosts exist, and all of them are forbidden or point back at us.
        case noUsableHost
    }

    /// One row of the table; the first that fits decides.
    struct Rule: Sendable {
        /// What it is about, for readers and tests.
        let name: String
        /// Where the reply came; empty is everywhere.
        var stages: [DeliveryStage] = []
        /// The codes that it is about.
        let codes: [ClosedRange<Int>]
        /// The enhanced status's class; `nil` is any, or no status at all.
        var statusClass: Int?
        /// Enhanced statuses without their class, `nil` for any or none at all.
        ///
        /// One that ends in a dot is a prefix.
        var statuses: [String]?
        /// Whom it is about.
        let subject: Subject
        /// What it decides.
        let verdict: Verdict
        /// What it means for others.
        var site = SiteResponse.goOn
    }

    private static let beforeEnvelope: [DeliveryStage] = [.lookup, .connect, .greeting, .hello, .tls]
    private static let beforeContent: [DeliveryStage] = [.mail, .recipient, .data]
    private static let withContent: [DeliveryStage] = [.content, .finalDot]
    private static let transient = 400...499
    private static let permanent = 500...599
    private static let any = 0...999

    /// The table.
    static let rules =
        Self.acceptance + Self.connectionRules + Self.transientRules + Self.setupRules
        + Self.addressRules + Self.policyRules + Self.messageRules + Self.systemRules + Self.rest

    private static let acceptance = [
        Rule(
            name: "accepted after the final dot",
            stages: [.finalDot],
            codes: [200...299],
            subject: .recipient,
            verdict: .delivered
        )
    ]

    /// No recipient has been named yet.
    private static let connectionRules = [
        Rule(
            name: "the name given with EHLO is refused",
            stages: [.hello],
            codes: [501...501, 504...504],
            subject: .configuration,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "authentication is asked for before the envelope",
            stages: [.hello],
            codes: [530...538],
            subject: .configuration,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "the host refuses this sender before the envelope",
            stages: [.connect, .greeting, .hello],
            codes: [400...599],
            statuses: ["7."],
            subject: .sender,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "EHLO is refused",
            stages: [.hello],
            codes: [550...559],
            subject: .sender,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "any other reply before the envelope is about the host",
            stages: Self.beforeEnvelope,
            codes: [Self.any],
            subject: .channel,
            verdict: .deferred,
            site: .pause
        ),
    ]

    /// 4xx, or a status of class 4, is never final.
    private static let transientRules = [
        Rule(
            name: "encryption is asked for, for now",
            codes: [Self.transient],
            statuses: ["7.3", "7.10", "7.11"],
            subject: .channel,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "the mail is not authenticated, for now",
            codes: [Self.transient],
            statuses: Self.authentication,
            subject: .configuration,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "the service closes because of the sender",
            codes: [421...421],
            statuses: ["7."],
            subject: .sender,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(name: "the service closes", codes: [421...421], subject: .channel, verdict: .deferred),
        Rule(
            name: "the sender is slowed down",
            codes: [Self.transient],
            statuses: ["7."],
            subject: .sender,
            verdict: .deferred
        ),
        Rule(
            name: "the sender's address cannot be verified, for now",
            codes: [Self.transient],
            statuses: ["1.7", "1.8"],
            subject: .configuration,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "the receiver's system, for now",
            codes: [Self.transient],
            statuses: ["3.", "4.", "5."],
            subject: .channel,
            verdict: .deferred
        ),
        Rule(
            name: "transient by code, whatever the status says",
            codes: [Self.transient],
            subject: .recipient,
            verdict: .deferred
        ),
        Rule(
            name: "permanent code with a transient status",
            codes: [Self.permanent],
            statusClass: 4,
            subject: .recipient,
            verdict: .deferred
        ),
    ]

    /// SPF, DKIM, DMARC, reverse DNS: RFC 7372, RFC 7505, IANA; 5.7.30 as Gmail, 5.7.509 and 5.7.515 as Microsoft use them.
    private static let authentication = [
        "7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27", "7.29", "7.30", "7.509", "7.515",
    ]

    /// What is asked of our side of the dialogue.
    private static let setupRules = [
        Rule(
            name: "the receiver takes no mail from strangers",
            codes: [530...530],
            statuses: ["7.57"],
            subject: .sender,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "encryption or authentication is asked for",
            codes: [523...524, 530...530, 538...538],
            subject: .channel,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "encryption is needed",
            codes: [Self.permanent],
            statuses: ["7.3", "7.10", "7.11"],
            subject: .channel,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "authentication failed",
            codes: [534...535],
            subject: .configuration,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "a parameter is refused, such as a host name that is not full",
            codes: [504...504],
            subject: .configuration,
            verdict: .deferred,
            site: .pause
        ),
        Rule(
            name: "the mail is not authenticated",
            codes: [Self.permanent],
            statuses: Self.authentication,
            subject: .configuration,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "the sender's address is refused",
            codes: [Self.permanent],
            statuses: ["1.7", "1.8"],
            subject: .configuration,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "the dialogue went wrong",
            codes: [500...500, 502...503],
            subject: .channel,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "too many recipients",
            codes: [Self.permanent],
            statuses: ["5.3"],
            subject: .channel,
            verdict: .deferred
        ),
        Rule(
            name: "a command is not understood",
            codes: [Self.permanent],
            statuses: ["5.1", "5.2", "5.4", "5.5", "5.6"],
            subject: .configuration,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "a parameter of MAIL or RCPT is not known",
            codes: [555...555],
            subject: .configuration,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "the host takes no mail (RFC 7504)",
            codes: [521...521],
            subject: .channel,
            verdict: .deferred,
            site: .backOff
        ),
    ]

    /// The mailbox.
    private static let addressRules = [
        Rule(
            name: "the mailbox is full",
            codes: [Self.permanent],
            statuses: ["2.2"],
            subject: .recipient,
            verdict: .deferred
        ),
        Rule(
            name: "the message is too big",
            codes: [Self.permanent],
            statuses: ["2.3", "3.4"],
            subject: .message,
            verdict: .failed
        ),
        Rule(
            name: "no such address, or not in use",
            codes: [Self.permanent],
            statuses: ["1.", "2."],
            subject: .recipient,
            verdict: .failed
        ),
        Rule(
            name: "no such recipient as Exchange Online says it",
            stages: [.recipient],
            codes: [550...550],
            statuses: ["4.1"],
            subject: .recipient,
            verdict: .failed
        ),
        Rule(
            name: "the mailbox or list takes mail of members only",
            codes: [Self.permanent],
            statuses: ["7.2", "7.17", "7.18", "7.124", "7.129", "7.133", "7.134", "7.135", "7.136"],
            subject: .recipient,
            verdict: .failed
        ),
    ]

    /// 5.7: security and policy.
    private static let policyRules = [
        Rule(
            name: "the content is refused",
            stages: Self.withContent,
            codes: [Self.permanent],
            statuses: ["7.0", "7.1", "7.7"],
            subject: .message,
            verdict: .failed
        ),
        Rule(
            name: "policy, or the sender's reputation",
            codes: [Self.permanent],
            statuses: ["7."],
            subject: .sender,
            verdict: .deferred,
            site: .backOff
        ),
    ]

    /// What was to be delivered.
    private static let messageRules = [
        Rule(
            name: "the form of the content is refused",
            codes: [Self.permanent],
            statuses: ["6."],
            subject: .message,
            verdict: .failed
        ),
        Rule(
            name: "552 once the content was offered",
            stages: [.data] + Self.withContent,
            codes: [552...552],
            subject: .message,
            verdict: .failed
        ),
        // RFC 5321 §4.5.3.1.10: old servers say 552 for "too many recipients", to be read as 452.
        Rule(name: "552 before the content", codes: [552...552], subject: .channel, verdict: .deferred),
    ]

    /// The receiver's system, and whatever is left at MAIL.
    private static let systemRules = [
        Rule(
            name: "the receiver's system or routing",
            codes: [Self.permanent],
            statuses: ["3.", "4."],
            subject: .channel,
            verdict: .deferred,
            site: .backOff
        ),
        Rule(
            name: "the sender is refused before a recipient was named",
            stages: [.mail],
            codes: [Self.permanent],
            subject: .sender,
            verdict: .deferred,
            site: .backOff
        ),
    ]

    private static let rest = [
        Rule(
            name: "the recipient is refused",
            stages: [.recipient, .data],
            codes: [Self.permanent],
            subject: .recipient,
            verdict: .failed
        ),
        Rule(
            name: "the message is refused",
            stages: Self.withContent,
            codes: [Self.permanent],
            subject: .message,
            verdict: .failed
        ),
        Rule(
            name: "a reply that makes no sense where it came",
            codes: [Self.any],
            subject: .channel,
            verdict: .deferred
        ),
    ]

    /// What a reply means.
    ///
    /// A 2xx or 3xx where the dialogue cannot end, and a code outside 200…599, is a server that makes no sense:
    /// deferred.
    ///
    /// - Parameters:
    ///   - stage: What the reply answered.
    ///   - replyCode: The three digits.
    ///   - enhancedStatus: `class.subject.detail`, if the reply carried one; RFC 3463.
    /// - Returns: What the first row that fits says.
    public static func ruling(stage: DeliveryStage, replyCode: Int, enhancedStatus: String?) -> Ruling {
        guard let rule = self.rule(stage: stage, replyCode: replyCode, enhancedStatus: enhancedStatus) else {
            return Ruling(verdict: .deferred, subject: .channel, site: .goOn)
        }
        return Ruling(verdict: rule.verdict, subject: rule.subject, site: rule.site)
    }

    /// What the end of an attempt means; without a reply code it is deferred, about the channel.
    public static func ruling(_ trace: AttemptTrace) -> Ruling {
        guard let code = trace.replyCode else { return Ruling(verdict: .deferred, subject: .channel, site: .goOn) }
        return self.ruling(stage: trace.stage, replyCode: code, enhancedStatus: trace.enhancedStatus)
    }

    /// What becomes of an attempt that a reply ended.
    public static func verdict(stage: DeliveryStage, replyCode: Int, enhancedStatus: String?) -> Verdict {
        self.ruling(stage: stage, replyCode: replyCode, enhancedStatus: enhancedStatus).verdict
    }

    /// What a failed look-up of the destination means; RFC 5321 §5.1, RFC 7505.
    public static func verdict(lookup failure: LookupFailure) -> Verdict {
        switch failure {
        case .noSuchDomain, .refusesMail: .failed
        case .temporary, .noUsableHost: .deferred
        }
    }

    /// The outcome of an attempt that ended with a reply; without a reply code it is deferred.
    public static func outcome(_ trace: AttemptTrace) -> DeliveryOutcome {
        switch self.ruling(trace).verdict {
        case .delivered: .delivered(trace)
        case .deferred: .deferred(trace)
        case .failed: .failed(trace)
        }
    }

    static func rule(stage: DeliveryStage, replyCode: Int, enhancedStatus: String?) -> Rule? {
        let status = enhancedStatus.flatMap(Self.parts)
        return self.rules.first { rule in
            guard rule.codes.contains(where: { $0.contains(replyCode) }) else { return false }
            guard rule.stages.isEmpty || rule.stages.contains(stage) else { return false }
            guard rule.statusClass == nil || rule.statusClass == status?.class else { return false }
            guard let statuses = rule.statuses else { return true }
            guard let rest = status?.rest else { return false }
            return statuses.contains { $0.hasSuffix(".") ? rest.hasPrefix($0) : rest == $0 }
        }
    }

    /// `5.7.1` as its class and `7.1`; `nil` if it is no enhanced status.
    private static func parts(_ status: String) -> (class: Int, rest: Substring)? {
        let parts = status.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ Int($0) != nil }), let first = Int(parts[0]) else { return nil }
        return (first, status.dropFirst(parts[0].count + 1))
    }
}
