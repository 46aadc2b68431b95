// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Which addresses of an MX host may be connected to.
public enum AddressPolicy: String, Sendable, Hashable, CaseIterable {
    /// Any: for tests and closed networks.
    case any
    /// None that the public Internet does not route: loopback, private, link-local, shared, documentation, multicast.
    ///
    /// A recipient's domain is outside data; its owner must not choose which hosts of our own network we speak to.
    case publicOnly
}

/// Numeric addresses and their text.
enum NumericAddress {
    /// The bytes of an address (4 or 16), or `nil` if the text is none.
    static func bytes(_ text: String) -> [UInt8]? {
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, text, &four) == 1 { return four }
        var sixteen = [UInt8](repeating: 0, count: 16)
        return inet_pton(AF_INET6, text, &sixteen) == 1 ? sixteen : nil
    }

    /// The text of 16 bytes.
    static func text(ipv6 bytes: [UInt8]) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        guard bytes.count == 16, inet_ntop(AF_INET6, bytes, &buffer, socklen_t(buffer.count)) != nil else {
            return "::"
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Whether the public Internet routes an address (IANA's special-purpose registries, RFC 6890).
    static func isPublic(_ text: String) -> Bool {
        guard let bytes = self.bytes(text) else { return false }
        if bytes.count == 4 { return self.isPublic(ipv4: bytes) }
        // ::/96 and ::ffff:0:0/96 carry an IPv4 address, 64:ff9b::/96 translates to one.
        let isMapped =
            bytes[0..<10].allSatisfy { $0 == 0 } && bytes[10] == bytes[11] && [0, 0xFF].contains(bytes[10])
        let isTranslated = bytes[0..<12] == [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]
        if isMapped || isTranslated { return self.isPublic(ipv4: Array(bytes[12...])) }
        // 2001:db8::/32 is for documentation, 2002::/16 (6to4) carries an IPv4 address. Global unicast is 2000::/3.
        if bytes[0] == 0x20, bytes[1] == 0x02 { return self.isPublic(ipv4: Array(bytes[2..<6])) }
        return bytes[0] & 0xE0 == 0x20 && bytes[0..<4] != [0x20, 0x01, 0x0D, 0xB8]
    }

    private static func isPublic(ipv4 bytes: [UInt8]) -> Bool {
        switch (bytes[0], bytes[1], bytes[2]) {
        case (0, _, _), (10, _, _), (127, _, _), (224..., _, _): false
        case (100, 64...127, _): false
        case (169, 254, _), (192, 168, _): false
        case (172, 16...31, _): false
        case (192, 0, 0), (192, 0, 2), (198, 51, 100), (203, 0, 113): false
        case (198, 18...19, _): false
        default: true
        }
    }
}
