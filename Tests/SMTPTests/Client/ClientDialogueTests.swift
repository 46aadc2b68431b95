// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailFormat
import NIOCore
import NIOEmbedded
import Testing

@testable import SMTP

@Suite("The client's dialogues")
struct ClientDialogueTests {
    @Test("goes as written down", arguments: Dialogue.files("client-"))
    func goesAsWritten(_ dialogue: Dialogue) throws {
        let player = ClientPlayer()
        try dialogue.play { try player.play($0) }
    }

    @Test("does not depend on how the server's bytes are cut", arguments: Dialogue.files("client-"))
    func bytewise(_ dialogue: Dialogue) throws {
        guard !dialogue.name.contains("surplus") else { return }  // what comes in one piece is their subject
        let player = ClientPlayer()
        player.cutsIntoBytes = true
        try dialogue.play { try player.play($0) }
    }
}

/// Plays the lines of a dialogue that go into a client, and says what comes out.
final class ClientPlayer {
    var cutsIntoBytes = false
    private var configuration = SMTPClientConfiguration(heloName: "client.example", tls: .off)
    private let channel = EmbeddedChannel()
    private var script = ScriptedDelegate()
    private var connection: SMTPConnection?
    private var input = ""
    private var unfinished = ""
    private var output: [String] = []

    /// Takes one group of input lines and returns the output lines.
    func play(_ lines: [String]) throws -> [String] {
        self.output = []
        for line in lines { try self.take(line) }
        try self.send()
        try self.collect()
        return self.output
    }

    private func take(_ line: String) throws {
        if let text = line.after("S: ") {
            self.input += text + "\r\n"
            return
        }
        try self.send()
        if let rest = line.after("set ") { return self.set(rest.split(separator: " ").map(String.init)) }
        if let rest = line.after("message ") { return self.addMessage(rest) }
        try self.start()
        if let time = line.after("wait ") {
            let seconds = try #require(Int64(time.dropLast()))
            self.channel.embeddedEventLoop.advanceTime(by: .seconds(seconds))
        } else {
            switch line {
            case "---": break
            case "wake": self.connection?.wake()
            case "quit": self.connection?.quit()
            case "abort": self.connection?.abort()
            case "peer closes": self.channel.pipeline.fireChannelInactive()
            default: Issue.record("unknown line: \(line)")
            }
        }
        self.channel.embeddedEventLoop.run()
        try self.collect()
    }

    private func set(_ words: [String]) {
        switch words[0] {
        case "tls": self.configuration.tls = words[1] == "on" ? .opportunistic : .off
        case "name": self.configuration.heloName = words.count > 1 ? words[1] : ""
        case "pipelining": self.configuration.usesPipelining = words[1] == "on"
        case "riding": self.configuration.ridesBehindContent = words[1] == "on"
        case "limit": self.configuration.maxMessagesPerConnection = Int(words[1]) ?? 0
        case "block": self.configuration.contentBlockBytes = Int(words[1]) ?? 0
        case "deadline": self.configuration.transactionDeadline = .seconds(Int(words[1]) ?? 0)
        case "abort-at-dot": self.script.abortsAtDot = UInt64(words[1])
        default: Issue.record("unknown option: \(words)")
        }
    }

    private func addMessage(_ text: String) {
        let head = text.prefix { $0 != ":" }
        let words = head.split(separator: " ", omittingEmptySubsequences: false)
        var content = String(text.dropFirst(head.count + 2))
        for (escape, byte) in [("\\r", "\r"), ("\\n", "\n"), ("\\.", ".")] {
            content = content.split(separator: escape, omittingEmptySubsequences: false).joined(separator: byte)
        }
        let transaction = SMTPTransaction(
            id: UInt64(words[0]) ?? 0,
            reversePath: String(words[2]),
            recipient: String(words[4]),
            message: ByteBuffer(string: content + "\r\n")
        )
        self.script.transactions.append(transaction)
    }

    private func start() throws {
        guard self.connection == nil else { return }
        let connection = SMTPConnection(
            eventLoop: self.channel.eventLoop,
            host: "mx.example",
            address: "192.0.2.1",
            port: 25
        )
        self.connection = connection
        let handler = SMTPClientHandler(
            connection: connection,
            configuration: self.configuration,
            delegate: self.script
        )
        self.script.record = { [unowned self] event in
            try? self.collect()
            self.output.append("= \(event)")
        }
        self.channel.localAddress = try SocketAddress(ipAddress: "192.0.2.7", port: 40_000)
        try self.channel.pipeline.syncOperations.addHandler(handler)
        self.channel.pipeline.fireChannelActive()
    }

    private func send() throws {
        guard !self.input.isEmpty else { return }
        try self.start()
        let bytes = ByteBuffer(string: self.input)
        self.input = ""
        if self.cutsIntoBytes {
            for byte in bytes.readableBytesView { try self.channel.writeInbound(ByteBuffer(bytes: [byte])) }
        } else {
            try self.channel.writeInbound(bytes)
        }
        self.channel.embeddedEventLoop.run()
    }

    private func collect() throws {
        while let buffer = try self.channel.readOutbound(as: ByteBuffer.self) {
            self.unfinished += String(buffer: buffer)
        }
        var lines = self.unfinished.components(separatedBy: "\r\n")
        self.unfinished = lines.removeLast()
        self.output += lines.map { "C: \($0)" }
    }
}

/// Supplies the transactions of a dialogue and records what is called.
final class ScriptedDelegate: SMTPConnectionDelegate {
    var transactions: [SMTPTransaction] = []
    var abortsAtDot: UInt64?
    var record: (String) -> Void = { _ in }

    func connectionReady(_ connection: SMTPConnection) { self.record("ready") }

    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction? {
        self.transactions.isEmpty ? nil : self.transactions.removeFirst()
    }

    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64) {
        self.record("dot \(id)")
        if id == self.abortsAtDot { connection.abort() }
    }

    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd) {
        let text =
            switch end {
            case .reply(let stage, let reply): "reply \(stage.rawValue) \(reply.code)"
            case .notStarted: "notStarted"
            case .lost(let stage, _): "lost \(stage.rawValue)"
            case .uncertain: "uncertain"
            }
        self.record("ended \(id) \(text)")
    }

    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd) {
        self.record("closed \(reason.description.replacingLineFeeds)")
    }
}
