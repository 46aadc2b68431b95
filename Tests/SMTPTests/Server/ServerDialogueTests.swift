// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOEmbedded
import Testing

@testable import SMTP

@Suite("The server's dialogues")
struct ServerDialogueTests {
    @Test("goes as written down", arguments: Dialogue.files("server-"))
    func goesAsWritten(_ dialogue: Dialogue) throws {
        let player = ServerPlayer()
        try dialogue.play { try player.play($0) }
    }

    @Test("does not depend on how the client's bytes are cut", arguments: Dialogue.files("server-"))
    func bytewise(_ dialogue: Dialogue) throws {
        guard !dialogue.name.contains("early") else { return }  // what comes in one piece is their subject
        let player = ServerPlayer()
        player.cutsIntoBytes = true
        try dialogue.play { try player.play($0) }
    }
}

/// Plays the lines of a dialogue that go into a server, and says what comes out.
final class ServerPlayer {
    var cutsIntoBytes = false
    private var configuration = SMTPServerConfiguration(hostName: "mx.example")
    private let channel = EmbeddedChannel()
    private let delegate = DecidingDelegate()
    private var isStarted = false
    private var input: [UInt8] = []
    private var output: [String] = []

    func play(_ lines: [String]) throws -> [String] {
        self.output = []
        for line in lines { try self.take(line) }
        try self.send()
        try self.collect()
        return self.output
    }

    private func take(_ line: String) throws {
        if let text = line.after("C: ") {
            self.input += Array((Self.unescaped(text) + "\r\n").utf8)
            return
        }
        if let text = line.after("C| ") {
            self.input += Array(Self.unescaped(text).utf8)
            return
        }
        try self.send()
        if let rest = line.after("set size ") {
            self.configuration.sizeLimit = Int(rest) ?? 0
        } else if let rest = line.after("decide ") {
            self.delegate.add(rest)
        } else if let time = line.after("wait ") {
            let seconds = try #require(Int64(time.dropLast()))
            try self.start()
            self.channel.embeddedEventLoop.advanceTime(by: .seconds(seconds))
        } else if line == "open" {
            try self.start()
        } else if line != "---" {
            Issue.record("unknown line: \(line)")
        }
        try self.collect()
    }

    private static func unescaped(_ text: String) -> String {
        text.replacingOccurrences(of: "\\r", with: "\r").replacingOccurrences(of: "\\n", with: "\n")
    }

    private func start() throws {
        guard !self.isStarted else { return }
        self.isStarted = true
        let session = SMTPServerSession(eventLoop: self.channel.eventLoop, peer: "", local: "")
        let handler = SMTPServerHandler(
            session: session,
            configuration: self.configuration,
            delegate: self.delegate
        )
        self.delegate.record = { [unowned self] event in
            try? self.collect()
            self.output.append("= \(event)")
        }
        try self.channel.pipeline.syncOperations.addHandler(handler)
        self.channel.pipeline.fireChannelActive()
    }

    private func send() throws {
        guard !self.input.isEmpty else { return }
        try self.start()
        let bytes = self.input
        self.input = []
        if self.cutsIntoBytes {
            for byte in bytes { try self.channel.writeInbound(ByteBuffer(bytes: [byte])) }
        } else {
            try self.channel.writeInbound(ByteBuffer(bytes: bytes))
        }
    }

    private func collect() throws {
        while let buffer = try self.channel.readOutbound(as: ByteBuffer.self) {
            self.output += String(buffer: buffer).components(separatedBy: "\r\n").dropLast().map { "S: \($0)" }
        }
    }
}

/// Decides as a dialogue says, and records accepted messages and the end.
final class DecidingDelegate: SMTPServerDelegate {
    private var decisions: [String: SMTPServerDecision] = [:]
    var record: (String) -> Void = { _ in }

    /// Takes `rcpt a@b.example: 550 5.1.1 no`.
    func add(_ text: String) {
        let key = String(text.prefix { $0 != ":" })
        var decision = SMTPServerDecision()
        for part in text.dropFirst(key.count + 2).components(separatedBy: "; ") {
            if part == "drop" {
                decision.closing = .withoutReply
            } else if part == "close" {
                decision.closing = .afterReply
            } else if let seconds = part.after("delay ") {
                decision.delay = .seconds(Int(seconds) ?? 0)
            } else if let seconds = part.after("tarpit ") {
                decision.tarpit = .seconds(Int(seconds) ?? 0)
            } else {
                decision.reply = SMTPServerReply(Int(part.prefix(3)) ?? 0, String(part.dropFirst(4)))
            }
        }
        self.decisions[key] = decision
    }

    func greeting(_ session: SMTPServerSession) -> SMTPServerDecision { self.decisions["connect"] ?? .accept }

    func hello(_ session: SMTPServerSession, name: String) -> SMTPServerDecision { self.decisions["hello"] ?? .accept }

    func mail(_ session: SMTPServerSession, reversePath: String) -> SMTPServerDecision {
        self.decisions["mail"] ?? .accept
    }

    func recipient(_ session: SMTPServerSession, address: String) -> SMTPServerDecision {
        self.decisions["rcpt \(address)"] ?? .accept
    }

    func data(_ session: SMTPServerSession) -> SMTPServerDecision { self.decisions["data"] ?? .accept }

    func message(_ session: SMTPServerSession, content: [UInt8]) -> SMTPServerDecision {
        let text = String(decoding: content, as: UTF8.self).replacingOccurrences(of: "\r\n", with: "|")
        self.record("from <\(session.reversePath ?? "?")> to \(session.recipients): \(text)")
        return self.decisions["dot"] ?? .accept
    }

    func closed(_ session: SMTPServerSession) { self.record("closed") }
}
