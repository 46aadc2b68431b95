// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A reply as a server writes it.
public struct SMTPServerReply: Hashable, Sendable {
    /// The three-digit code.
    public var code: Int
    /// The bytes after the code: enhanced status and text; LF separates lines.
    public var text: [UInt8]

    /// Composes a reply; `text` may have several lines, separated by LF.
    public init(_ code: Int, _ text: String) {
        self.code = code
        self.text = Array(text.utf8)
    }

    /// Composes a reply of arbitrary bytes, to see what a client makes of them.
    public init(_ code: Int, bytes: [UInt8]) {
        self.code = code
        self.text = bytes
    }

    /// Whether the reply accepts: 2xx or 3xx.
    public var isPositive: Bool { self.code < 400 }

    /// Code and text on one line.
    public var line: String { "\(self.code) \(String(decoding: self.text, as: UTF8.self))" }

    /// Appends the reply with its CRLFs.
    func write(into buffer: inout ByteBuffer) {
        let digits = (
            UInt8(truncatingIfNeeded: 0x30 + self.code / 100 % 10),
            UInt8(truncatingIfNeeded: 0x30 + self.code / 10 % 10), UInt8(truncatingIfNeeded: 0x30 + self.code % 10)
        )
        var start = self.text.startIndex
        while true {
            let end = self.text[start...].firstIndex(of: 0x0A)
            buffer.writeMultipleIntegers(digits.0, digits.1, digits.2, end == nil ? UInt8(0x20) : UInt8(0x2D))
            buffer.writeBytes(self.text[start..<(end ?? self.text.endIndex)])
            buffer.writeStaticString("\r\n")
            guard let end else { return }
            start = end + 1
        }
    }
}
