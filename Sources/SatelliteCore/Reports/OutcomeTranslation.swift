// SPDX-License-Identifier: Apache-2.0

import MailFormat
import MailingModel
import SMTP

extension AttemptTrace {
    /// What a server's reply says about an attempt.
    init(_ stage: SMTPStage, _ reply: SMTPReply, host: String) {
        self.init(
            stage: DeliveryStage(stage),
            replyCode: reply.code,
            enhancedStatus: reply.enhancedStatus?.description,
            text: reply.text,
            mxHost: host
        )
    }

    /// Reply code and text in one bounded line, for logs and the status.
    var summary: String {
        let text = self.text.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(300)
        return self.replyCode.map { "\($0) \(text)" } ?? String(text)
    }

    /// What the end of a connection says about an attempt.
    init(_ stage: DeliveryStage, _ end: SMTPConnectionEnd, host: String) {
        switch end {
        case .greetingRefused(let reply): self.init(.greeting, reply, host: host)
        case .helloRefused(let reply): self.init(.hello, reply, host: host)
        case .unavailable(let reply): self.init(.mail, reply, host: host)
        case .tlsRefused(let reply): self.init(.tls, reply, host: host)
        default: self.init(stage: stage, text: String(end.description.prefix(1_000)), mxHost: host)
        }
    }
}

extension DeliveryStage {
    init(_ stage: SMTPStage) {
        switch stage {
        case .connect: self = .connect
        case .greeting: self = .greeting
        case .hello: self = .hello
        case .tls: self = .tls
        case .mail, .idle: self = .mail
        case .recipient: self = .recipient
        case .data: self = .data
        case .content: self = .content
        case .finalDot: self = .finalDot
        }
    }
}

extension SMTPConnectionEnd {
    /// How far a connection came that was never ready.
    var stageOfFailure: DeliveryStage {
        switch self {
        case .connectFailed, .lacksResources: .connect
        case .greetingRefused: .greeting
        case .helloRefused: .hello
        case .tlsFailed, .tlsRefused: .tls
        case .timedOut(let stage), .closedByPeer(let stage): stage == .idle ? .hello : DeliveryStage(stage)
        case .unavailable, .outOfStep, .transport, .finished: .greeting
        }
    }
}
