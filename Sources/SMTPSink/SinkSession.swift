// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailingModel
import NIOCore
import SMTP

/// One connection to the sink: finds the rule for each step, and keeps what is accepted.
final class SinkSession: SMTPServerDelegate {
    private let core: SinkCore
    private let serial: Int
    private var messageCount = 0
    /// The attempts of the envelope's recipients, in order; empty unless the script counts them.
    private var attempts: [Int] = []

    init(core: SinkCore) {
        self.core = core
        self.serial = core.connectionOpened()
    }

    func greeting(_ session: SMTPServerSession) -> SMTPServerDecision { self.decision(at: .connect, session) }

    func hello(_ session: SMTPServerSession, name: String) -> SMTPServerDecision {
        self.decision(at: .hello, session)
    }

    func startTLS(_ session: SMTPServerSession) -> SMTPServerDecision { self.decision(at: .tls, session) }

    func mail(_ session: SMTPServerSession, reversePath: String) -> SMTPServerDecision {
        self.messageCount += 1
        self.attempts.removeAll(keepingCapacity: true)
        return self.decision(at: .mail, session, reversePath: reversePath)
    }

    func recipient(_ session: SMTPServerSession, address: String) -> SMTPServerDecision {
        guard self.core.countsAttempts else { return self.decision(at: .rcpt, session, recipient: address) }
        let attempt = self.core.attempts.next(address)
        let decision = self.decision(at: .rcpt, session, recipient: address, attempt: attempt)
        if decision.reply?.isPositive ?? true { self.attempts.append(attempt) }
        return decision
    }

    func data(_ session: SMTPServerSession) -> SMTPServerDecision {
        var decision = self.decision(at: .data, session)
        let content = self.decision(at: .content, session)
        decision.dropsAfterContentBytes = content.dropsAfterContentBytes
        if let pace = content.readPace {
            decision.readPace = pace
            decision.dropsAfterContentBytes = nil
        }
        return decision
    }

    func message(_ session: SMTPServerSession, content: [UInt8]) -> SMTPServerDecision {
        var decision = self.decision(at: .dot, session)
        let isDropped = decision.closing == .withoutReply
        guard isDropped || decision.reply?.isPositive ?? true else {
            self.core.refused()
            return decision
        }
        let number = self.core.nextMessageNumber()
        if decision.reply == nil { decision.reply = SMTPServerReply(250, "2.0.0 Ok: queued as \(number)") }
        let scan = MessageScan(content)
        var hash = SHA256()
        content.withUnsafeBytes { hash.update(bufferPointer: $0) }
        let record = SinkRecord(
            time: .now,
            peer: session.peer,
            isTLS: session.isTLS,
            reversePath: session.reversePath ?? "",
            recipients: session.recipients,
            messageID: scan.messageID,
            sizeBytes: content.count,
            sha256: HexText.of(hash.finalize()),
            signatures: scan.signatures,
            reply: isDropped ? nil : decision.reply?.line
        )
        guard self.core.verifies else {
            return self.core.keep(record, content, number) ? decision : Self.cannotKeep
        }
        let bound = NIOLoopBound(session, eventLoop: session.eventLoop)
        let verdict = decision
        let core = self.core
        core.verify(
            SinkVerification(content: content) { signatures in
                var record = record
                record.signatures = signatures
                let decision = core.keep(record, content, number) ? verdict : Self.cannotKeep
                bound.eventLoop.execute { bound.value.resume(with: decision) }
            }
        )
        return .postpone
    }

    private static let cannotKeep = SMTPServerDecision(reply: SMTPServerReply(452, "4.3.1 Cannot keep the message"))

    // MARK: Rules

    private func decision(
        at step: SinkScript.Step,
        _ session: SMTPServerSession,
        reversePath: String? = nil,
        recipient: String? = nil,
        attempt: Int? = nil
    ) -> SMTPServerDecision {
        guard let rules = self.core.rules(at: step) else { return .accept }
        let recipients = recipient.map { [$0] } ?? session.recipients
        let attempts = attempt.map { [$0] } ?? self.attempts
        for rule in rules {
            if let glob = rule.local, !glob.matches(session.local) { continue }
            if let glob = rule.reversePath, !glob.matches(reversePath ?? session.reversePath ?? "") { continue }
            if let glob = rule.recipient, !recipients.contains(where: glob.matches) { continue }
            if let range = rule.attempts, !attempts.contains(where: range.contains) { continue }
            let isEarly = step == .connect || step == .hello || step == .tls
            if let every = rule.every, (isEarly ? self.serial : self.messageCount) % every != 0 { continue }
            if let share = rule.share {
                let key = isEarly || step == .mail ? "\(self.serial)/\(self.messageCount)" : recipients.first ?? ""
                let hash = StableHash.of(key, seed: self.core.seed &+ UInt64(rule.line) &* 1_000_003)
                guard hash % 10_000 < share else { continue }
            }
            return rule.decision
        }
        return .accept
    }
}
