// SPDX-License-Identifier: Apache-2.0

import NIOCore
import TestKit
import Testing

@testable import SMTP

@Suite("Dot stuffing, RFC 5321 §4.5.2")
struct DotStuffingTests {
    private static func stuffed(_ content: [UInt8], pieces: [Int] = []) -> [UInt8] {
        var stuffer = DotStuffer()
        var output = ByteBuffer()
        var rest = content[...]
        for size in pieces + [content.count] where !rest.isEmpty {
            Array(rest.prefix(size)).withUnsafeBytes { stuffer.write($0, into: &output) }
            rest = rest.dropFirst(size)
        }
        stuffer.finish(into: &output)
        return Array(output.readableBytesView)
    }

    private static func read(_ bytes: [UInt8], piece: Int) -> (reader: ContentReader, consumed: Int, isAtEnd: Bool) {
        var reader = ContentReader(limit: 1_000_000)
        var position = 0
        while position < bytes.count {
            let end = min(position + piece, bytes.count)
            let (consumed, isAtEnd) = Array(bytes[position..<end]).withUnsafeBytes { reader.read($0) }
            position += consumed
            if isAtEnd { return (reader, position, true) }
        }
        return (reader, position, false)
    }

    @Test(
        "writes only CRLF line ends, doubles leading dots and ends with the dot",
        arguments: [
            ("", ".\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            (".a\r\n..b\r\n.\r\n", "..a\r\n...b\r\n..\r\n.\r\n"),
            ("a\n.b\r.c\r\r\nd", "a\r\n..b\r\n..c\r\n\r\nd\r\n.\r\n"),
            ("a\r\n.\n", "a\r\n..\r\n.\r\n"),
            ("a\r", "a\r\n.\r\n"),
            ("a\n\r\n", "a\r\n\r\n.\r\n"),
        ]
    )
    func table(_ content: String, _ expected: String) {
        let bytes = Array(content.utf8)
        #expect(String(decoding: Self.stuffed(bytes), as: UTF8.self) == expected)
        let single = Array(repeating: 1, count: bytes.count)
        #expect(String(decoding: Self.stuffed(bytes, pieces: single), as: UTF8.self) == expected)
    }

    @Test("is undone by the reader, whatever the content and the pieces", arguments: 1...60)
    func roundTrip(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let parts: [[UInt8]] = [[0x2E], [0x0D, 0x0A], [0x2E, 0x0D, 0x0A], [0x41], Array(repeating: 0x42, count: 40)]
        var content: [UInt8] = []
        for _ in 0..<300 { content += parts[Int.random(in: 0..<parts.count, using: &random)] }
        content += [0x0D, 0x0A]
        let pieces = (0..<100).map { _ in Int.random(in: 1...20, using: &random) }
        let wire = Self.stuffed(content, pieces: pieces)
        #expect(wire == Self.stuffed(content))
        for piece in [1, 2, 3, 7, 64, wire.count] {
            let (reader, consumed, isAtEnd) = Self.read(wire + Array("NOOP\r\n".utf8), piece: piece)
            #expect(isAtEnd && consumed == wire.count, "pieces of \(piece)")
            #expect(reader.content == content)
            #expect(!reader.hasBareLineEnd)
        }
    }

    @Test("never lets a bare CR or LF out, nor a final dot before the end", arguments: 1...60)
    func hostileContent(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let alphabet: [UInt8] = [0x0D, 0x0A, 0x2E, 0x41]
        let content = (0..<400).map { _ in alphabet[Int.random(in: 0..<4, using: &random)] }
        let pieces = (0..<400).map { _ in Int.random(in: 1...9, using: &random) }
        let wire = Self.stuffed(content, pieces: pieces)
        #expect(wire == Self.stuffed(content))
        let (reader, consumed, isAtEnd) = Self.read(wire, piece: 5)
        #expect(isAtEnd && consumed == wire.count && !reader.hasBareLineEnd)
    }

    @Test(
        "takes nothing but CRLF, dot, CRLF for the end",
        arguments: ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r"]
    )
    func notTheEnd(_ text: String) {
        let bytes = Array(("a" + text + "b\r\n.\r\n").utf8)
        for piece in [1, 2, 3, bytes.count] {
            let (reader, consumed, isAtEnd) = Self.read(bytes, piece: piece)
            #expect(isAtEnd && consumed == bytes.count)
            #expect(reader.hasBareLineEnd)
        }
    }
}
