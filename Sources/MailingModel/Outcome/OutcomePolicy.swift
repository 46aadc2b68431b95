// SPDX-License-Identifier: Apache-2.0

/// What a reply means: the only place that turns SMTP codes, enhanced statuses and DNS answers into verdicts.
///
/// The first digit of the reply decides (RFC 5321 §4.2.1) unless an earlier row of the table knows better. Two rules
/// stand behind the rows. A host that refuses the *connection* says nothing about the recipient, so the attempt is only
/// deferred and another host or hour may do better. And where code and enhanced status contradict each other the
/// milder one is believed, since trying again is bounded by ``RetrySchedule/giveUpAfter`` and giving up is not undone.
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
        let codes: ClosedRange<Int>
        /// Prefixes of enhanced statuses, with their final dot unless complete; `nil` is any, or none at all.
        var statuses: [String]?
        /// What it decides.
        let verdict: Verdict
    }

    private static let beforeEnvelope: [DeliveryStage] = [.lookup, .connect, .greeting, .hello, .tls]
    private static let withContent: [DeliveryStage] = [.data, .content, .finalDot]

    /// The table, after RFC 5321 §4.2, RFC 3463 and RFC 7504.
    static let rules: [Rule] = [
        Rule(name: "accepted after the final dot", stages: [.finalDot], codes: 200...299, verdict: .delivered),
        Rule(
            name: "any reply before the envelope is about the host",
            stages: Self.beforeEnvelope,
            codes: 0...999,
            verdict: .deferred
        ),
        Rule(name: "transient by code, whatever the enhanced status says", codes: 400...499, verdict: .deferred),
        Rule(
            name: "permanent code with a transient enhanced status",
            codes: 500...599,
            statuses: ["4."],
            verdict: .deferred
        ),
        Rule(
            name: "552 for a message that is too big",
            codes: 552...552,
            statuses: ["5.2.3", "5.3.4"],
            verdict: .failed
        ),
        Rule(name: "552 for a full mailbox", codes: 552...552, statuses: ["5.2.2"], verdict: .deferred),
        // RFC 5321 §4.5.3.1.10: old servers say 552 for "too many recipients", to be read as 452.
        Rule(name: "552 to RCPT", stages: [.mail, .recipient], codes: 552...552, verdict: .deferred),
        Rule(name: "552 once the content was offered", stages: Self.withContent, codes: 552...552, verdict: .failed),
        Rule(name: "503 says that the dialogue went wrong, not the recipient", codes: 503...503, verdict: .deferred),
        Rule(name: "too many recipients", codes: 500...599, statuses: ["5.5.3"], verdict: .deferred),
        Rule(name: "permanent by code", codes: 500...599, verdict: .failed),
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
    /// - Returns: The verdict of the first row that fits.
    public static func verdict(stage: DeliveryStage, replyCode: Int, enhancedStatus: String?) -> Verdict {
        self.rule(stage: stage, replyCode: replyCode, enhancedStatus: enhancedStatus)?.verdict ?? .deferred
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
        guard let code = trace.replyCode else { return .deferred(trace) }
        return switch self.verdict(stage: trace.stage, replyCode: code, enhancedStatus: trace.enhancedStatus) {
        case .delivered: .delivered(trace)
        case .deferred: .deferred(trace)
        case .failed: .failed(trace)
        }
    }

    static func rule(stage: DeliveryStage, replyCode: Int, enhancedStatus: String?) -> Rule? {
        self.rules.first { rule in
            guard rule.codes.contains(replyCode) else { return false }
            guard rule.stages.isEmpty || rule.stages.contains(stage) else { return false }
            guard let statuses = rule.statuses else { return true }
            guard let enhancedStatus else { return false }
            return statuses.contains { $0.hasSuffix(".") ? enhancedStatus.hasPrefix($0) : enhancedStatus == $0 }
        }
    }
}
