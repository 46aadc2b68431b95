// SPDX-License-Identifier: Apache-2.0

/// The kinds of records that mail asks for.
enum DNSType: Int32, Hashable, Sendable {
    case a = 1
    case mx = 15
    case txt = 16
    case aaaa = 28
}

/// One record, read.
enum DNSRecord: Hashable, Sendable {
    /// Target in lower case without the final dot; empty for the root, which stands for "no mail".
    case mx(preference: Int, target: String)
    /// A numeric IPv4 or IPv6 address.
    case address(String)
    /// The character-strings of one TXT record, joined.
    case text(String)
}

/// What the DNS says to one question; aliases have been followed.
enum DNSAnswer: Hashable, Sendable {
    /// 1 or more records that could be read.
    case records([DNSRecord], timeToLive: Int)
    /// The name exists and has no records of the type.
    case noData(timeToLive: Int)
    /// The name does not exist.
    case noName(timeToLive: Int)
    /// Nobody answered, or the answer cannot be used; the text says why. It may be different soon.
    case failure(String)
}

/// Reads the wire form of record data, RFC 1035 §3.3.
///
/// Names in it are not compressed, as libunbound delivers them.
enum RecordData {
    static func record(_ type: DNSType, _ data: [UInt8]) -> DNSRecord? {
        switch type {
        case .a: data.count == 4 ? .address(data.map(String.init).joined(separator: ".")) : nil
        case .aaaa: data.count == 16 ? .address(NumericAddress.text(ipv6: data)) : nil
        case .mx: self.mx(data)
        case .txt: self.text(data)
        }
    }

    private static func mx(_ data: [UInt8]) -> DNSRecord? {
        guard data.count >= 3, let target = self.name(data[2...]) else { return nil }
        return .mx(preference: Int(data[0]) << 8 | Int(data[1]), target: target)
    }

    /// A name in lower case without the final dot; `nil` if it is malformed or holds bytes that no host name has.
    private static func name(_ data: ArraySlice<UInt8>) -> String? {
        var rest = data
        var labels: [String] = []
        while let length = rest.popFirst() {
            guard length > 0 else { return rest.isEmpty ? labels.joined(separator: ".") : nil }
            guard length < 64, rest.count >= Int(length), labels.count < 127 else { return nil }
            let label = rest.prefix(Int(length))
            guard label.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ".") }) else { return nil }
            labels.append(String(decoding: label, as: UTF8.self).lowercased())
            rest = rest.dropFirst(Int(length))
        }
        return nil
    }

    private static func text(_ data: [UInt8]) -> DNSRecord? {
        var rest = data[...]
        var text: [UInt8] = []
        while let length = rest.popFirst() {
            guard rest.count >= Int(length) else { return nil }
            text += rest.prefix(Int(length))
            rest = rest.dropFirst(Int(length))
        }
        return .text(String(decoding: text, as: UTF8.self))
    }
}
