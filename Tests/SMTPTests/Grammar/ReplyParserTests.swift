// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore
import TestKit
import Testing

@testable import SMTP

@Suite("Reply parser, RFC 5321 §4.2")
struct ReplyParserTests {
    private static func parse(_ pieces: [[UInt8]]) -> (replies: [SMTPReply], violation: String?, isPartial: Bool) {
        var parser = SMTPReplyParser()
        var replies: [SMTPReply] = []
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            pieces: while true {
                switch parser.next(&buffer) {
                case .reply: replies.append(parser.makeReply())
                case .needsMore: break pieces
                case .violation(let text): return (replies, text, false)
                }
            }
        }
        return (replies, nil, parser.hasPartialReply)
    }

    private static func parse(_ text: String) -> (replies: [SMTPReply], violation: String?, isPartial: Bool) {
        self.parse([Array(text.utf8)])
    }

    @Test("reads the code, the enhanced status and the text of one line")
    func oneLine() {
        let replies = Self.parse("550 5.1.1 no such user\r\n").replies
        #expect(replies.map(\.code) == [550])
        #expect(replies.first?.enhancedStatus?.description == "5.1.1")
        #expect(replies.first?.text == "5.1.1 no such user")
    }

    @Test("joins the lines of one reply and keeps replies apart")
    func manyLines() {
        let replies = Self.parse("250-one\r\n250-\r\n250 three\r\n354 go\r\n250\r\n").replies
        #expect(replies.map(\.text) == ["one\n\nthree", "go", ""])
        #expect(replies.map(\.code) == [250, 354, 250])
    }

    @Test("takes a bare LF for a line end and a CR within a line for text")
    func lineEnds() {
        let replies = Self.parse("250-a\rb\n250 c\n").replies
        #expect(replies.map(\.text) == ["a\rb\nc"])
    }

    @Test("gives the same replies however the bytes are cut")
    func anyPieces() {
        let text = Array("220-a\rb\r\n220 mx\r\n250-x\r\n250 \r\n250\r\n451 4.7.1 later\r\n".utf8)
        let whole = Self.parse([text]).replies
        #expect(whole.count == 4)
        for size in 1..<text.count {
            let pieces = stride(from: 0, to: text.count, by: size).map { Array(text[$0..<min($0 + size, text.count)]) }
            #expect(Self.parse(pieces).replies == whole, "pieces of \(size)")
        }
    }

    @Test(
        "calls what is no reply a violation",
        arguments: ["hello\r\n", "25\r\n", "250_x\r\n", "650 x\r\n", "\r\n", "2 50 x\r\n"]
    )
    func violations(_ text: String) { #expect(Self.parse(text).violation != nil) }

    @Test("cuts 64 KiB of lines with NULs and invalid UTF-8 to a bounded text and goes on (postal#2716)")
    func longReply() {
        var bytes: [UInt8] = []
        while bytes.count < 65_000 {
            bytes += Array("550-5.7.1 ".utf8) + [0x00, 0xFF, 0xC3, 0x28, 0x80] + Array(repeating: 0x41, count: 300)
            bytes += [0x0D, 0x0A]
        }
        bytes += Array("550 5.7.1 end\r\n250 ok\r\n".utf8)
        let result = Self.parse([bytes])
        #expect(result.violation == nil)
        #expect(result.replies.map(\.code) == [550, 250])
        #expect(result.replies.first?.enhancedStatus?.description == "5.7.1")
        #expect((result.replies.first?.text.utf8.count ?? 0) <= 2_048)
        #expect(result.replies.first?.text.utf8.contains(0) == false)
    }

    @Test("gives up on a line or a reply past the hard limits")
    func limits() {
        #expect(Self.parse([Array(repeating: 0x32, count: 70_000)]).violation != nil)
        let line = Array("250-".utf8) + Array(repeating: 0x41, count: 1_000) + [0x0D, 0x0A]
        #expect(Self.parse(Array(repeating: line, count: 300)).violation != nil)
    }

    @Test("survives any bytes and never keeps more than its bounds", arguments: 1...40)
    func fuzz(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let words = ["250", "-", " ", "\r", "\n", "\r\n", "354 go\r\n", "5.1.1", "\0", "421"].map { Array($0.utf8) }
        var pieces: [[UInt8]] = []
        for _ in 0..<200 {
            var piece = words[Int.random(in: 0..<words.count, using: &random)]
            if Int.random(in: 0..<20, using: &random) == 0 { piece = [UInt8.random(in: 0...255, using: &random)] }
            pieces.append(piece)
        }
        let cut = Self.parse(pieces)
        let whole = Self.parse([Array(pieces.joined())])
        #expect(cut.replies == whole.replies)
        #expect(cut.violation == whole.violation)
        #expect(cut.replies.allSatisfy { (100...599).contains($0.code) && $0.text.utf8.count <= 2_048 })
    }
}
