// SPDX-License-Identifier: Apache-2.0

/// What a server offered in its answer to EHLO.
public struct SMTPExtensions: Hashable, Sendable {
    /// Commands may be sent in groups, RFC 2920.
    public var pipelining = false
    /// SIZE was offered, RFC 1870.
    public var size = false
    /// The largest message in bytes; `nil` if none was named or zero (no fixed limit).
    public var sizeLimit: Int?
    /// 8BITMIME, RFC 6152.
    public var eightBitMIME = false
    /// SMTPUTF8, RFC 6531.
    public var smtpUTF8 = false
    /// ENHANCEDSTATUSCODES, RFC 2034.
    public var enhancedStatusCodes = false
    /// STARTTLS, RFC 3207.
    public var startTLS = false

    /// Offers nothing, as a server that only knows HELO.
    public init() {}

    /// Reads the text of an EHLO answer; the first line is the server's name, each further line a keyword.
    ///
    /// Unknown keywords are skipped; keywords are compared without regard to case.
    init(ehloText text: some Collection<UInt8>) {
        for line in text.split(separator: 0x0A).dropFirst() {
            let words = line.split(separator: 0x20)
            guard let first = words.first else { continue }
            switch Self.uppercased(first) {
            case "PIPELINING": self.pipelining = true
            case "8BITMIME": self.eightBitMIME = true
            case "SMTPUTF8": self.smtpUTF8 = true
            case "ENHANCEDSTATUSCODES": self.enhancedStatusCodes = true
            case "STARTTLS": self.startTLS = true
            case "SIZE":
                self.size = true
                if words.count > 1, let limit = Int(Self.uppercased(words[1])), limit > 0 { self.sizeLimit = limit }
            default: break
            }
        }
    }

    private static func uppercased(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: bytes.prefix(32).map { (0x61...0x7A).contains($0) ? $0 - 0x20 : $0 }, as: UTF8.self)
    }
}
