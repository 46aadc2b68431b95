// SPDX-License-Identifier: Apache-2.0

import MailFormat

/// The addresses that a mailing's tracking site answers at.
public struct TrackingSite: Sendable {
    /// The longest base URL, in bytes as written into messages: `List-Unsubscribe` has it and a tracking id in one line
    /// of 998.
    public static let byteLimit = 800

    /// The base URL in characters that stand for themselves in header fields, HTML attributes and text.
    let base: [UInt8]
    /// Whether the site is reached by HTTPS, which one-click unsubscription needs, RFC 8058 §3.1.
    let isSecure: Bool

    /// Takes a base URL as it is; a slash is added if something else would run into the path.
    init?(_ url: String?) {
        guard let url, !url.isEmpty else { return nil }
        var base: [UInt8] = []
        for byte in Self.withASCIIHost(url).utf8 {
            if Self.isPlain(byte) {
                base.append(byte)
            } else {
                PercentEncoding.append([byte], keepsSlash: false, to: &base)
            }
        }
        if let last = base.last,
            ![UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: "?"), UInt8(ascii: "&")].contains(last)
        {
            base.append(UInt8(ascii: "/"))
        }
        self.base = base
        self.isSecure = String(decoding: base.prefix(8), as: UTF8.self).lowercased() == "https://"
    }

    /// Takes a base URL that a mailing is to have: `http` or `https`, a host that can exist, perhaps a port, a path and a
    /// query that ends where an id may follow.
    ///
    /// - Throws: ``ContentError`` that says what recipients' programs could not follow.
    public init(checking url: String) throws(ContentError) {
        func refusal(_ reason: String) -> ContentError { ContentError(part: "tracking_url", message: reason) }
        guard url.unicodeScalars.allSatisfy({ !$0.properties.isWhitespace && !"\"<>\\".unicodeScalars.contains($0) }),
            url.unicodeScalars.allSatisfy({ $0.value > 0x20 && !(0x7F...0x9F).contains($0.value) })
        else { throw refusal("the tracking URL holds a space, a quote, a bracket or a control character") }
        guard let authority = Self.authority(of: url) else {
            throw refusal("the tracking URL is not an http or https URL")
        }
        guard !url.contains("#") else {
            throw refusal("the tracking URL has a fragment (#), which browsers do not send to the site")
        }
        guard !url[authority].contains("@") else { throw refusal("the tracking URL holds a user name") }
        let (host, port) = Self.hostAndPort(of: url[authority])
        if let port {
            guard let number = UInt16(port), number > 0, port.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw refusal("the tracking URL's port is not a number from 1 to 65535")
            }
        }
        do throws(AddressError) {
            // A numeric address is validated in the brackets that mail has for it.
            let isNumeric = !host.isEmpty && host.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
            if host.hasPrefix("[") {
                _ = try DomainName.ascii("[IPv6:\(host.dropFirst())")
            } else {
                _ = try DomainName.ascii(isNumeric ? "[\(host)]" : String(host))
            }
        } catch {
            let reason = host.isEmpty ? "there is none" : error.description
            throw refusal("the tracking URL's host cannot exist: \(reason)")
        }
        guard let site = Self(url), site.base.count <= Self.byteLimit else {
            throw refusal("the tracking URL is longer than \(Self.byteLimit) bytes")
        }
        self = site
    }

    /// `<base><action>/<id>`.
    func address(_ action: Character, _ trackingID: String) -> [UInt8] {
        var address = self.base
        address.append(contentsOf: action.utf8)
        address.append(UInt8(ascii: "/"))
        PercentEncoding.append(Array(trackingID.utf8)[...], keepsSlash: false, to: &address)
        return address
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        PercentEncoding.isUnreserved(byte) || ":/?#[]@!$&()*+,;=%".utf8.contains(byte)
    }

    /// What stands between the slashes of an `http` or `https` URL and its path.
    private static func authority(of url: String) -> Range<String.Index>? {
        let lower = url.prefix(8).lowercased()
        guard lower.hasPrefix("http://") || lower == "https://" else { return nil }
        let start = url.index(url.startIndex, offsetBy: lower == "https://" ? 8 : 7)
        return start..<(url[start...].firstIndex { "/?#".contains($0) } ?? url.endIndex)
    }

    private static func hostAndPort(of authority: Substring) -> (host: Substring, port: Substring?) {
        guard let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") else {
            return (authority, nil)
        }
        return (authority[..<colon], authority[authority.index(after: colon)...])
    }

    /// The URL with an international host name in A-labels; unchanged if it has none.
    private static func withASCIIHost(_ url: String) -> String {
        guard let authority = self.authority(of: url) else { return url }
        let host = self.hostAndPort(of: url[authority]).host
        // What is no name stays as it is; a URL that is checked first has one.
        guard host.utf8.contains(where: { $0 >= 0x80 }), let ascii = try? DomainName.ascii(String(host)) else {
            return url
        }
        return url.replacingCharacters(in: host.startIndex..<host.endIndex, with: ascii)
    }
}

extension String {
    fileprivate func replacingCharacters(in range: Range<String.Index>, with text: String) -> String {
        self[..<range.lowerBound] + text + self[range.upperBound...]
    }
}
