// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The name that a client gives with EHLO, RFC 5321 §4.1.1.1 and §4.1.4.
public enum SMTPHostName {
    /// Why a receiver may refuse a name: neither a full host name nor an address literal; `nil` if it is either.
    ///
    /// A full name has two labels or more, each of letters, digits and inner hyphens, and the last one is not all digits.
    /// Names that stand for the host itself, such as `localhost.localdomain`, say nothing to a receiver.
    public static func objection(to name: String) -> String? {
        if name.hasPrefix("["), name.hasSuffix("]") {
            let inner = name.dropFirst().dropLast()
            let address = inner.lowercased().hasPrefix("ipv6:") ? inner.dropFirst(5) : inner
            guard (try? SocketAddress(ipAddress: String(address), port: 25)) != nil else {
                return "\(name) is no address literal such as [192.0.2.1] or [IPv6:2001:db8::1]"
            }
            return nil
        }
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count > 1 else { return "\(name) is a host name without a domain" }
        guard name.utf8.count <= 253, labels.allSatisfy(Self.isLabel), labels.last?.allSatisfy(\.isNumber) == false
        else {
            return "\(name) is no host name"
        }
        guard labels[0].lowercased() != "localhost" else { return "\(name) names no host to a receiver" }
        return nil
    }

    /// The address literal of a socket's address, RFC 5321 §4.1.3; `nil` for one that is not numeric.
    public static func literal(of address: SocketAddress?) -> String? {
        guard let address, let text = address.ipAddress else { return nil }
        switch address {
        case .v4: return "[\(text)]"
        case .v6: return "[IPv6:\(text.prefix { $0 != "%" })]"
        case .unixDomainSocket: return nil
        }
    }

    private static func isLabel(_ label: Substring) -> Bool {
        guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-" else { return false }
        return label.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D: true
            default: false
            }
        }
    }
}
