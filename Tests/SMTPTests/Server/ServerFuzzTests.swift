// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import TestKit
import Testing

@testable import SMTP

@Suite("The server under hostile input")
struct ServerFuzzTests {
    private static func answers(to bytes: [UInt8], piece: Int) throws -> String {
        let channel = EmbeddedChannel()
        let session = SMTPServerSession(eventLoop: channel.eventLoop, peer: "", local: "")
        let handler = SMTPServerHandler(
            session: session,
            configuration: SMTPServerConfiguration(hostName: "mx.example"),
            delegate: DecidingDelegate()
        )
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.pipeline.fireChannelActive()
        var position = 0
        while position < bytes.count {
            let end = min(position + piece, bytes.count)
            try channel.writeInbound(ByteBuffer(bytes: bytes[position..<end]))
            position = end
        }
        var text = ""
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: buffer) }
        return text
    }

    @Test("answers every line with a reply and never stops, whatever it is sent", arguments: 1...40)
    func fuzz(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let words = [
            "EHLO c", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "RSET", "NOOP", ".", "x", "\r\n", "\r\n", "\r\n",
            "\n",
            "\r", "<", ">", "\"", "\\", " SIZE=", "9999999999999999999999", "\0", "HELO", "VRFY", "é", ":", "..",
        ].map { Array($0.utf8) }
        var bytes: [UInt8] = []
        for _ in 0..<400 { bytes += words[Int.random(in: 0..<words.count, using: &random)] }
        // Byte by byte no command is ever early, so only that way is free of the refusal of early input.
        let answers = try Self.answers(to: bytes, piece: 1)
        #expect(answers.hasPrefix("220 "))
        var buffer = ByteBuffer(string: answers)
        var parser = SMTPReplyParser()
        replies: while true {
            switch parser.next(&buffer) {
            case .reply: continue
            case .needsMore: break replies
            case .violation(let text):
                Issue.record("\(text)")
                break replies
            }
        }
        #expect(!parser.hasPartialReply)
        _ = try Self.answers(to: bytes, piece: bytes.count)
    }

    @Test("refuses a line that is too long and reads the next one")
    func longLine() throws {
        let bytes = Array(repeating: UInt8(0x41), count: 100_000) + Array("\r\nNOOP\r\n".utf8)
        for piece in [1_000, bytes.count] {
            let answers = try Self.answers(to: bytes, piece: piece)
            #expect(answers == "220 mx.example ESMTP\r\n500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n")
        }
    }
}
