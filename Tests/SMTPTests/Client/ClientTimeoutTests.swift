// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore
import NIOEmbedded
import Testing

@testable import SMTP

@Suite("The client's waits, RFC 5321 §4.5.3.2")
struct ClientTimeoutTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        let input: [String]
        let seconds: Int64
        let end: String
        var testDescription: String { self.name }
    }

    private static let rows = [
        Row(name: "greeting", input: [], seconds: 300, end: "= closed timed out (stage greeting)"),
        Row(name: "EHLO", input: ["S: 220 mx"], seconds: 300, end: "= closed timed out (stage hello)"),
        Row(
            name: "MAIL",
            input: ["S: 220 mx", "---", "S: 250 mx"],
            seconds: 300,
            end: "= closed timed out (stage mail)"
        ),
        Row(
            name: "RCPT",
            input: ["S: 220 mx", "---", "S: 250 mx", "---", "S: 250 ok"],
            seconds: 300,
            end: "= closed timed out (stage recipient)"
        ),
        Row(
            name: "DATA",
            input: ["S: 220 mx", "---", "S: 250 mx", "---", "S: 250 ok", "---", "S: 250 ok"],
            seconds: 120,
            end: "= closed timed out (stage data)"
        ),
        Row(
            name: "final dot",
            input: ["S: 220 mx", "---", "S: 250 mx", "---", "S: 250 ok", "---", "S: 250 ok", "---", "S: 354 go"],
            seconds: 600,
            end: "= closed timed out (stage finalDot)"
        ),
    ]

    @Test("are as long as the standard asks, and no longer", arguments: Self.rows)
    func waits(_ row: Row) throws {
        let player = ClientPlayer()
        _ = try player.play(["message 1 from a@s.example to b@r.example: one"] + row.input)
        #expect(try player.play(["wait \(row.seconds - 1)s"]) == [])
        #expect(try player.play(["wait 1s"]).last == row.end)
    }

    @Test("end a transaction whose server has stopped reading in the midst of the content (kumomta#539)")
    func stoppedReader() throws {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(StuckWrites())
        var configuration = SMTPClientConfiguration(heloName: "client.example", tls: .off)
        configuration.contentBlockBytes = 10
        let delegate = ScriptedDelegate()
        delegate.transactions = [
            SMTPTransaction(
                id: 1,
                reversePath: "",
                recipient: "b@r.example",
                message: ByteBuffer(string: "0123456789012345678901234567890\r\n")
            )
        ]
        var events: [String] = []
        delegate.record = { events.append($0) }
        let connection = SMTPConnection(eventLoop: channel.eventLoop, host: "mx", address: "192.0.2.1", port: 25)
        let handler = SMTPClientHandler(connection: connection, configuration: configuration, delegate: delegate)
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.pipeline.fireChannelActive()
        for line in ["220 mx", "250 mx", "250 ok", "250 ok", "354 go"] {
            try channel.writeInbound(ByteBuffer(string: line + "\r\n"))
        }
        channel.embeddedEventLoop.advanceTime(by: .seconds(179))
        #expect(events == ["ready"])
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(events == ["ready", "ended 1 lost content", "closed timed out (stage content)"])
    }
}

/// Never completes a write that carries content, as a socket whose peer does not read.
private final class StuckWrites: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private var held: [EventLoopPromise<Void>] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if let promise { self.held.append(promise) } else { context.write(data, promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        for promise in self.held { promise.fail(ChannelError.eof) }
    }
}
