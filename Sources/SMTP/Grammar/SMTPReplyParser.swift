// SPDX-License-Identifier: Apache-2.0

import MailFormat
import NIOCore

/// Reads replies from a server's bytes, RFC 5321 §4.2, in whatever pieces they come.
///
/// The text is kept up to a bound and the rest skipped, so that a reply of 64 KiB of invalid UTF-8 is only a long
/// reply. A line or a reply past the hard limits, or a line that is not a reply line, is a violation: from there on
/// nobody can say which command an answer belongs to. A bare LF ends a line too; the text's NULs are removed when a
/// reply value is made of it. If the codes of a multi-line reply differ, the last one counts.
struct SMTPReplyParser {
    /// What the bytes so far amount to.
    enum Step: Equatable {
        /// A whole reply is in `code` and `text`.
        case reply
        /// All input is consumed.
        case needsMore
        /// Not SMTP any more.
        case violation(String)
    }

    /// The longest line, in bytes.
    static let lineLimit = 65_536
    /// The longest reply over all of its lines, in bytes.
    static let replyLimit = 262_144
    /// How much text is kept, in bytes.
    static let textLimit = 4_096

    /// The code of the last whole reply.
    private(set) var code = 0
    /// The text of the last whole reply, lines joined by LF, without codes and separators.
    private(set) var text: [UInt8] = []

    private var prefix: (UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0)
    private var lineBytes = 0
    private var replyBytes = 0
    private var endsInCR = false
    private var isComplete = true
    /// Whether a line of the present reply has been read and another must follow.
    private var isInReply = false

    /// Whether part of a reply has been read whose end is still to come.
    var hasPartialReply: Bool { self.lineBytes > 0 || !self.isComplete }

    /// Consumes `input` up to the end of one reply.
    ///
    /// - Parameters:
    ///   - input: The bytes at hand.
    ///   - skips: Whether an empty line is skipped rather than taken for a violation.
    /// - Returns: What the bytes amount to.
    mutating func next(_ input: inout ByteBuffer, skippingEmptyLines skips: Bool = false) -> Step {
        var step = Step.needsMore
        let consumed = input.withUnsafeReadableBytes { bytes in
            var position = 0
            while position < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
                let end = ByteSearch.first(0x0A, in: rest)
                self.take(UnsafeRawBufferPointer(rebasing: rest[..<(end ?? rest.count)]))
                guard self.lineBytes <= Self.lineLimit, self.replyBytes <= Self.replyLimit else {
                    step = .violation("a reply exceeds \(Self.replyLimit) bytes or a line \(Self.lineLimit)")
                    return bytes.count
                }
                guard let end else { return bytes.count }
                position += end + 1
                if skips, self.skipEmptyLine() { continue }
                switch self.finishLine() {
                case .needsMore: continue
                case let other:
                    step = other
                    return position
                }
            }
            return position
        }
        input.moveReaderIndex(forwardBy: consumed)
        return step
    }

    /// The last whole reply as a value.
    func makeReply() -> SMTPReply { SMTPReply(code: self.code, lossyText: self.text) }

    private mutating func take(_ bytes: UnsafeRawBufferPointer) {
        if self.isComplete {
            self.isComplete = false
            self.text.removeAll(keepingCapacity: true)
            self.replyBytes = 0
            self.lineBytes = 0
            self.endsInCR = false
        }
        guard !bytes.isEmpty else { return }
        var index = 0
        while self.lineBytes + index < 4, index < bytes.count {
            switch self.lineBytes + index {
            case 0: self.prefix.0 = bytes[index]
            case 1: self.prefix.1 = bytes[index]
            case 2: self.prefix.2 = bytes[index]
            default: self.prefix.3 = bytes[index]
            }
            index += 1
        }
        // A CR held back from the last piece was text after all if the line goes on.
        if self.endsInCR, self.lineBytes > 3, self.text.count < Self.textLimit { self.text.append(0x0D) }
        let body = bytes[index...]
        let room = Self.textLimit - self.text.count
        if room > 0, !body.isEmpty {
            let kept = body.last == 0x0D ? body.dropLast() : body
            self.text.append(contentsOf: kept.prefix(room))
        }
        self.endsInCR = bytes[bytes.count - 1] == 0x0D
        self.lineBytes += bytes.count
        self.replyBytes += bytes.count
    }

    /// Drops the line just read if it is empty; it counts towards the limit of its reply.
    private mutating func skipEmptyLine() -> Bool {
        guard self.lineBytes - (self.endsInCR ? 1 : 0) == 0 else { return false }
        self.lineBytes = 0
        self.endsInCR = false
        if !self.isInReply { self.isComplete = true }
        return true
    }

    private mutating func finishLine() -> Step {
        var length = self.lineBytes - (self.endsInCR ? 1 : 0)
        let (first, second, third, separator) = self.prefix
        defer {
            self.lineBytes = 0
            self.endsInCR = false
        }
        guard length >= 3, (0x31...0x35).contains(first), (0x30...0x39).contains(second),
            (0x30...0x39).contains(third)
        else { return .violation("a line is not a reply") }
        length -= 3
        self.code = Int(first - 0x30) * 100 + Int(second - 0x30) * 10 + Int(third - 0x30)
        if length == 0 || separator == 0x20 {
            self.isComplete = true
            self.isInReply = false
            return .reply
        }
        guard separator == 0x2D else { return .violation("a line is not a reply") }
        self.isInReply = true
        if self.text.count < Self.textLimit { self.text.append(0x0A) }
        return .needsMore
    }
}
