// SPDX-License-Identifier: Apache-2.0

/// The addresses that a mailing's tracking site answers at.
struct TrackingSite: Sendable {
    /// The base URL in characters that stand for themselves in header fields, HTML attributes and text.
    let base: [UInt8]

    /// Takes a base URL; a slash is added if something else would run into the path.
    init?(_ url: String?) {
        guard let url, !url.isEmpty else { return nil }
        var base: [UInt8] = []
        for byte in url.utf8 {
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
    }

    /// `<base><verb>/<id>`.
    func address(_ verb: Character, _ trackingID: String) -> [UInt8] {
        var address = self.base
        address.append(contentsOf: verb.utf8)
        address.append(UInt8(ascii: "/"))
        PercentEncoding.append(Array(trackingID.utf8)[...], keepsSlash: false, to: &address)
        return address
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        PercentEncoding.isUnreserved(byte) || ":/?#[]@!$&()*+,;=%".utf8.contains(byte)
    }
}
