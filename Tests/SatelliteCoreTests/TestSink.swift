// SPDX-License-Identifier: Apache-2.0

import MailingModel
import NIOCore
import NIOPosix
import SMTP
import Synchronization

/// A server that counts what it gets and answers as the test scripts it.
final class TestSink: Sendable {
    struct State: Sendable {
        /// Messages accepted, by recipient.
        var messages: [String: Int] = [:]
        /// Messages that are here and not answered.
        var heldBack: [String] = []
        var reversePaths: Set<String> = []
        var lastMessage: [UInt8] = []
        var connections = 0
        var recipients = 0
    }

    /// What a step of the dialogue is answered with; `nil` accepts.
    struct Script: Sendable {
        var greeting: @Sendable (Int) -> SMTPServerDecision? = { _ in nil }
        var mail: @Sendable (Int) -> SMTPServerDecision? = { _ in nil }
        /// By address and how many recipients came before.
        var recipient: @Sendable (String, Int) -> SMTPServerDecision? = { _, _ in nil }
        var message: @Sendable (String) -> SMTPServerDecision? = { _ in nil }
    }

    let state = Watched(State())
    private let script: Script
    private let postponed = Mutex<[(any EventLoop, NIOLoopBound<SMTPServerSession>)]>([])

    init(_ script: Script = Script()) { self.script = script }

    func listen(on group: any EventLoopGroup) async throws -> SMTPListener {
        try await SMTPServer.listen(
            host: "127.0.0.1",
            port: 0,
            on: group,
            configuration: SMTPServerConfiguration(hostName: "sink.test")
        ) { _ in
            SinkSession(self, self.script)
        }
    }

    /// Keeps a message unanswered.
    fileprivate func hold(_ session: SMTPServerSession, for recipients: [String]) {
        let bound = NIOLoopBound(session, eventLoop: session.eventLoop)
        let loop = session.eventLoop
        // Under one lock with what tests see: what counts as released must have been answered.
        self.state.change { state in
            self.postponed.withLock { $0.append((loop, bound)) }
            state.heldBack += recipients
        }
    }

    /// Answers all that was held back.
    func release(_ decision: SMTPServerDecision = .accept) {
        let sessions = self.state.change { state in
            for recipient in state.heldBack { state.messages[recipient, default: 0] += 1 }
            state.heldBack = []
            return self.postponed.withLock { postponed in
                defer { postponed = [] }
                return postponed
            }
        }
        for (loop, session) in sessions { loop.execute { session.value.resume(with: decision) } }
    }

    /// Whether each recipient got exactly one copy.
    var hasDuplicates: Bool { self.state.value.messages.values.contains { $0 > 1 } }
}

private final class SinkSession: SMTPServerDelegate {
    private let sink: TestSink
    private let script: TestSink.Script
    private var messages = 0
    private var number = 0

    init(_ sink: TestSink, _ script: TestSink.Script) {
        self.sink = sink
        self.script = script
    }

    func greeting(_ session: SMTPServerSession) -> SMTPServerDecision {
        self.number = self.sink.state.change { state in
            state.connections += 1
            return state.connections
        }
        return self.script.greeting(self.number) ?? .accept
    }

    func mail(_ session: SMTPServerSession, reversePath: String) -> SMTPServerDecision {
        _ = self.sink.state.change { $0.reversePaths.insert(reversePath) }
        return self.script.mail(self.messages) ?? .accept
    }

    func recipient(_ session: SMTPServerSession, address: String) -> SMTPServerDecision {
        let before = self.sink.state.change { state in
            state.recipients += 1
            return state.recipients - 1
        }
        return self.script.recipient(address, before) ?? .accept
    }

    func message(_ session: SMTPServerSession, content: [UInt8]) -> SMTPServerDecision {
        self.messages += 1
        let recipients = session.recipients
        let decision = self.script.message(recipients.first ?? "") ?? .accept
        if decision.isPostponed {
            self.sink.hold(session, for: recipients)
        } else if decision.reply?.isPositive ?? true, decision.closing != .withoutReply {
            self.sink.state.change { state in
                for recipient in recipients { state.messages[recipient, default: 0] += 1 }
                state.lastMessage = content
            }
        }
        return decision
    }
}

extension SMTPServerDecision {
    static func reply(_ code: Int, _ text: String, closing: Closing = .no) -> SMTPServerDecision {
        var decision = SMTPServerDecision(reply: SMTPServerReply(code, text))
        decision.closing = closing
        return decision
    }
}
