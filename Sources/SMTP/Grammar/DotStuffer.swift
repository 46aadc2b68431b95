// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The last writer before the wire: doubles leading dots and lets only CRLF end a line, RFC 5321 §4.5.2.
///
/// State is carried across pieces, so a piece may end anywhere, also between CR and LF. A bare CR or LF becomes CRLF
/// and never leaves as it is, because a server that takes it for a line end could be made to see a final dot where
/// there is none. Content is normalised before it is signed, so in practice nothing is changed here.
struct DotStuffer {
    private var isAtLineStart = true
    private var holdsCR = false

    /// Appends `source`, stuffed, to `output`.
    mutating func write(_ source: UnsafeRawBufferPointer, into output: inout ByteBuffer) {
        let end = source.count
        guard end > 0 else { return }
        output.reserveCapacity(minimumWritableBytes: end + end / 64 + 8)
        var position = 0
        if self.holdsCR {
            self.holdsCR = false
            self.isAtLineStart = true
            output.writeStaticString("\r\n")
            if source[0] == 0x0A { position = 1 }
        }
        var run = position  // start of what is not yet copied
        while position < end {
            if self.isAtLineStart, source[position] == 0x2E {
                Self.copy(source, run, position, into: &output)
                output.writeInteger(UInt8(0x2E))
                run = position
            }
            self.isAtLineStart = false
            let rest = UnsafeRawBufferPointer(rebasing: source[position...])
            let lineFeed = ByteSearch.first(0x0A, in: rest).map { position + $0 } ?? end
            let line = UnsafeRawBufferPointer(rebasing: source[position..<lineFeed])
            if let carriageReturn = ByteSearch.first(0x0D, in: line).map({ position + $0 }) {
                if carriageReturn + 1 == end {
                    Self.copy(source, run, carriageReturn, into: &output)
                    self.holdsCR = true
                    return
                }
                if carriageReturn + 1 != lineFeed {  // a bare CR
                    Self.copy(source, run, carriageReturn, into: &output)
                    output.writeStaticString("\r\n")
                    position = carriageReturn + 1
                    run = position
                } else {
                    position = lineFeed + 1
                }
                self.isAtLineStart = true
            } else if lineFeed < end {  // a bare LF
                Self.copy(source, run, lineFeed, into: &output)
                output.writeStaticString("\r\n")
                position = lineFeed + 1
                run = position
                self.isAtLineStart = true
            } else {
                position = end
            }
        }
        Self.copy(source, run, end, into: &output)
    }

    /// Ends the last line if it is open, writes the final dot, and is as new.
    mutating func finish(into output: inout ByteBuffer) {
        if self.holdsCR || !self.isAtLineStart { output.writeStaticString("\r\n") }
        output.writeStaticString(".\r\n")
        self = DotStuffer()
    }

    @inline(__always)
    private static func copy(_ source: UnsafeRawBufferPointer, _ from: Int, _ to: Int, into output: inout ByteBuffer) {
        guard from < to else { return }
        output.writeBytes(UnsafeRawBufferPointer(rebasing: source[from..<to]))
    }
}
