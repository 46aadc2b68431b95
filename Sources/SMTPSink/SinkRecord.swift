// SPDX-License-Identifier: Apache-2.0

/// What a sink's journal says of one message.
struct SinkRecord: Sendable {
    var time: SinkTime
    var peer: String
    var isTLS: Bool
    var reversePath: String
    var recipients: [String]
    var messageID: [UInt8]
    var sizeBytes: Int
    var sha256: [UInt8]
    var signatures: [SinkSignature]
    /// `nil` if the connection is closed without a reply.
    var reply: String?

    /// Appends the record as one line of JSON, with its LF.
    func write(into line: inout [UInt8]) {
        line.append(contentsOf: "{\"time\":\"".utf8)
        self.time.write(into: &line)
        line.append(contentsOf: "\",\"peer\":".utf8)
        JSONText.write(self.peer.utf8, into: &line)
        line.append(contentsOf: ",\"tls\":\(self.isTLS),\"mail_from\":".utf8)
        JSONText.write(self.reversePath.utf8, into: &line)
        line.append(contentsOf: ",\"rcpt_to\":[".utf8)
        for (index, recipient) in self.recipients.enumerated() {
            if index > 0 { line.append(0x2C) }
            JSONText.write(recipient.utf8, into: &line)
        }
        line.append(contentsOf: "],\"message_id\":".utf8)
        JSONText.write(self.messageID, into: &line)
        line.append(contentsOf: ",\"size\":\(self.sizeBytes),\"sha256\":\"".utf8)
        line.append(contentsOf: self.sha256)
        line.append(contentsOf: "\",\"dkim\":[".utf8)
        for (index, signature) in self.signatures.enumerated() {
            if index > 0 { line.append(0x2C) }
            signature.write(into: &line)
        }
        line.append(contentsOf: "],\"reply\":".utf8)
        if let reply = self.reply {
            JSONText.write(reply.utf8, into: &line)
        } else {
            line.append(contentsOf: "null".utf8)
        }
        line.append(contentsOf: "}\n".utf8)
    }
}

/// One DKIM-Signature field of a message.
struct SinkSignature: Hashable, Sendable {
    var domain: String
    var selector: String
    var algorithm: String
    /// `unchecked`, or what verification said.
    var verdict = "unchecked"

    func write(into line: inout [UInt8]) {
        line.append(contentsOf: "{\"domain\":".utf8)
        JSONText.write(self.domain.utf8, into: &line)
        line.append(contentsOf: ",\"selector\":".utf8)
        JSONText.write(self.selector.utf8, into: &line)
        line.append(contentsOf: ",\"algorithm\":".utf8)
        JSONText.write(self.algorithm.utf8, into: &line)
        line.append(contentsOf: ",\"verdict\":".utf8)
        JSONText.write(self.verdict.utf8, into: &line)
        line.append(0x7D)
    }
}

/// Strings as JSON writes them.
enum JSONText {
    /// Appends `bytes` in quotes; control bytes are escaped, and invalid UTF-8 is replaced.
    static func write(_ bytes: some Collection<UInt8>, into line: inout [UInt8]) {
        line.append(0x22)
        if bytes.allSatisfy({ $0 < 0x80 }) {
            for byte in bytes { self.append(byte, into: &line) }
        } else {
            for byte in String(decoding: bytes, as: UTF8.self).utf8 { self.append(byte, into: &line) }
        }
        line.append(0x22)
    }

    @inline(__always)
    private static func append(_ byte: UInt8, into line: inout [UInt8]) {
        switch byte {
        case 0x22, 0x5C:
            line.append(0x5C)
            line.append(byte)
        case 0x00..<0x20, 0x7F:
            line.append(contentsOf: "\\u00".utf8)
            line.append(HexText.digit(byte >> 4))
            line.append(HexText.digit(byte & 15))
        default: line.append(byte)
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
enum HexText {
    /// The digit for 0 to 15.
    static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

    /// Two digits for each byte.
    static func of(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in bytes {
            text.append(self.digit(byte >> 4))
            text.append(self.digit(byte & 15))
        }
        return text
    }
}
