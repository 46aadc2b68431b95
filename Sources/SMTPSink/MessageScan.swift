// SPDX-License-Identifier: Apache-2.0

/// What the journal wants to know of a message's header: its Message-ID and the names in its signatures.
struct MessageScan {
    /// The Message-ID's value without surrounding space; empty if there is none.
    private(set) var messageID: [UInt8] = []
    /// The DKIM-Signature fields, in order.
    private(set) var signatures: [SinkSignature] = []

    /// Reads the header of `message`, which has CRLF line ends.
    init(_ message: [UInt8]) {
        var start = 0
        while start < message.count, message[start] != 0x0D {
            let end = Self.endOfField(message, from: start)
            switch message[start] {
            case 0x4D, 0x6D:
                if self.messageID.isEmpty, Self.hasName("message-id:", message, start, end) {
                    self.messageID = Array(Self.unfolded(message[(start + 11)..<end]).prefix(1_024))
                }
            case 0x44, 0x64:
                if Self.hasName("dkim-signature:", message, start, end) {
                    self.signatures.append(Self.signature(Self.unfolded(message[(start + 15)..<end])))
                }
            default: break
            }
            start = end
        }
    }

    /// The index after the field's last CRLF: the first line end that no space or tab follows.
    private static func endOfField(_ message: [UInt8], from start: Int) -> Int {
        var index = start
        while let lineFeed = message[index...].firstIndex(of: 0x0A) {
            index = lineFeed + 1
            guard index < message.count, message[index] == 0x20 || message[index] == 0x09 else { return index }
        }
        return message.count
    }

    private static func hasName(_ name: StaticString, _ message: [UInt8], _ start: Int, _ end: Int) -> Bool {
        guard end - start >= name.utf8CodeUnitCount else { return false }
        for index in 0..<name.utf8CodeUnitCount {
            let byte = message[start + index]
            guard ((0x41...0x5A).contains(byte) ? byte + 0x20 : byte) == name.utf8Start[index] else { return false }
        }
        return true
    }

    private static func unfolded(_ value: ArraySlice<UInt8>) -> [UInt8] {
        var text = value.filter { $0 != 0x0D && $0 != 0x0A }[...]
        while let first = text.first, first == 0x20 || first == 0x09 { text.removeFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return Array(text)
    }

    private static func signature(_ value: [UInt8]) -> SinkSignature {
        var signature = SinkSignature(domain: "", selector: "", algorithm: "")
        for tag in value.split(separator: 0x3B) {
            guard let equals = tag.firstIndex(of: 0x3D) else { continue }
            let name = tag[..<equals].filter { $0 > 0x20 }
            let text = String(decoding: tag[(equals + 1)...].filter { $0 > 0x20 }, as: UTF8.self)
            switch name {
            case [0x64]: signature.domain = text
            case [0x73]: signature.selector = text
            case [0x61]: signature.algorithm = text
            default: break
            }
        }
        return signature
    }
}
