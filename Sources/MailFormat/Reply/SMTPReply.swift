// SPDX-License-Identifier: Apache-2.0

/// An SMTP server's answer: a three-digit code and its text.
///
/// Whatever a server sends becomes a value that any store can hold: valid UTF-8 without NUL and of bounded length.
///
/// - Note: RFC 5321 §4.2, RFC 2034 for the enhanced status.
public struct SMTPReply: Hashable, Sendable, CustomStringConvertible {
    /// The most text that is kept, in bytes.
    public static let textByteLimit = 2_048

    /// The reply code, 200 to 599 from a server that keeps to the rules.
    public let code: Int
    /// The status that the text begins with, if there is one.
    public let enhancedStatus: EnhancedStatus?
    /// The text of all lines without their codes, joined by LF.
    public let text: String

    /// Creates a reply; the text is cut to the limit and loses its NULs.
    public init(code: Int, enhancedStatus: EnhancedStatus?, text: String) {
        self.code = code
        self.enhancedStatus = enhancedStatus
        let count = text.utf8.count
        if count <= Self.textByteLimit, !text.utf8.contains(0) {
            self.text = text
        } else {
            self.text = Self.bounded(text.utf8)
        }
    }

    /// Creates a reply of a server's bytes, whatever they are.
    ///
    /// The text is the lines without codes and line ends, joined by LF.
    public init(code: Int, lossyText text: some Collection<UInt8>) {
        let bounded = Self.bounded(text)
        self.init(code: code, enhancedStatus: Self.leadingStatus(bounded, code: code), text: bounded)
    }

    /// The lines as written on the wire would be joined by spaces: code, then text.
    public var description: String {
        let line = self.text.split(whereSeparator: { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }).joined(separator: " ")
        return line.isEmpty ? "\(self.code)" : "\(self.code) \(line)"
    }

    /// The enhanced status at the beginning of a reply's text, if its class agrees with the code.
    public static func leadingStatus(_ text: String, code: Int) -> EnhancedStatus? {
        let word = text.utf8.prefix(12).prefix { $0 != 0x20 && $0 != 0x0A && $0 != 0x09 }
        guard let status = EnhancedStatus(parsing: Substring(word)), status.class == code / 100 else { return nil }
        return status
    }

    private static func bounded(_ bytes: some Collection<UInt8>) -> String {
        var kept: [UInt8] = []
        kept.reserveCapacity(min(bytes.count, self.textByteLimit))
        for byte in bytes where byte != 0 {
            guard kept.count < self.textByteLimit + 4 else { break }
            kept.append(byte)
        }
        // A replacement character is longer than the byte it stands for, so the bound is applied to the result.
        let decoded = String(decoding: kept, as: UTF8.self)
        guard decoded.utf8.count > self.textByteLimit else { return decoded }
        var end = decoded.utf8.index(decoded.startIndex, offsetBy: self.textByteLimit)
        while end.samePosition(in: decoded.unicodeScalars) == nil { end = decoded.utf8.index(before: end) }
        return String(decoded[..<end])
    }
}
