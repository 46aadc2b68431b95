// SPDX-License-Identifier: Apache-2.0

/// How the bytes of a body are written so that every line has at most 76 characters of ASCII.
///
/// Such a body needs no re-encoding on its way, whatever the relays are able to do, so its signature survives.
///
/// - Note: RFC 2045 §6.
public enum BodyEncoding: String, Hashable, Sendable, CaseIterable {
    /// As it is; for short lines of ASCII.
    case sevenBit = "7bit"
    /// For text that is mostly ASCII.
    case quotedPrintable = "quoted-printable"
    /// For everything else.
    case base64 = "base64"

    /// The value of the field `Content-Transfer-Encoding`.
    public var headerValue: String { self.rawValue }

    /// The encoding that keeps a body safe in the fewest bytes.
    ///
    /// - Parameters:
    ///   - bytes: The content; in a text, CRLF, CR and LF each end a line.
    ///   - isText: Whether line ends are line ends and not bytes to keep.
    /// - Returns: For content that is not text always `base64`.
    public static func choose(for bytes: [UInt8], isText: Bool) -> BodyEncoding {
        isText ? bytes.withUnsafeBufferPointer { self.chooseForText($0) } : .base64
    }

    private static func chooseForText(_ bytes: UnsafeBufferPointer<UInt8>) -> BodyEncoding {
        var column = 0
        var isPlain = true
        var quoted = 0
        var previous: UInt8 = 0x0A
        for index in bytes.indices {
            let byte = bytes[index]
            switch byte {
            case 0x0A, 0x0D:
                if previous == 0x20 || previous == 0x09 { isPlain = false }
                column = 0
            case 0x09, 0x20...0x7E:
                column += 1
                if column > 76 || (column == 1 && QuotedPrintable.isGuarded(bytes, index)) { isPlain = false }
                if byte == 0x3D { quoted += 1 }
            default:
                isPlain = false
                quoted += 1
            }
            previous = byte
        }
        if isPlain, previous != 0x20, previous != 0x09 { return .sevenBit }
        return quoted * 6 > bytes.count ? .base64 : .quotedPrintable
    }

    /// Appends a body in this encoding.
    ///
    /// In a text each of CRLF, CR and LF becomes CRLF before anything else happens.
    public func append(_ bytes: [UInt8], isText: Bool, to output: inout [UInt8]) {
        switch self {
        case .sevenBit: LineEnds.appendCanonical(bytes, to: &output)
        case .quotedPrintable:
            bytes.withUnsafeBufferPointer { QuotedPrintable.encode($0, isText: isText, into: &output) }
        case .base64:
            guard isText, !LineEnds.isCanonical(bytes) else { return Base64.encode(bytes, into: &output) }
            var canonical: [UInt8] = []
            LineEnds.appendCanonical(bytes, to: &canonical)
            Base64.encode(canonical, into: &output)
        }
    }
}
