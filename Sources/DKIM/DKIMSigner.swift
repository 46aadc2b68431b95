// SPDX-License-Identifier: Apache-2.0

import MailFormat

/// One identity that signs: a domain, a selector and the key published there.
public struct DKIMSigner: Sendable {
    /// The signing domain in lower-case A-labels, tag `d=`.
    public let domain: String
    /// The selector, tag `s=`.
    public let selector: String
    /// The key.
    public let key: DKIMPrivateKey
    /// The user or agent signed for, tag `i=`; its domain is the signing domain or lies within it.
    public let identity: DKIMIdentity?

    /// The tags `v=` to `i=` as written, each with its semicolon.
    let leadingTags: [[UInt8]]

    /// Creates a signer.
    ///
    /// - Parameters:
    ///   - domain: The signing domain, in Unicode or ASCII.
    ///   - selector: One or more labels.
    ///   - key: The private key.
    ///   - identity: For the tag `i=`: an address, or `@` and a domain; left out of signatures if `nil` or empty.
    /// - Throws: `DKIMError.Code.badSigner` for names that no signature can carry or no key can be found under.
    public init(
        domain: String,
        selector: String,
        key: DKIMPrivateKey,
        identity: String? = nil
    ) throws(DKIMError) {
        do {
            self.domain = try DomainName.ascii(domain)
        } catch {
            throw DKIMError(.badSigner, "the signing domain cannot be used: \(error)")
        }
        guard !self.domain.hasPrefix("[") else {
            throw DKIMError(.badSigner, "the signing domain is a network address")
        }
        guard Self.isSelector(selector) else {
            throw DKIMError(
                .badSigner,
                "the selector is not made of labels of letters, digits and inner hyphens with single dots between them"
            )
        }
        guard "\(selector)._domainkey.\(self.domain)".utf8.count <= DomainName.byteLimit else {
            throw DKIMError(.badSigner, "selector and signing domain together are longer than a domain name may be")
        }
        let identity = try identity.flatMap { text throws(DKIMError) in
            text.isEmpty ? nil : try DKIMIdentity(parsing: text)
        }
        if let identity, identity.domain != self.domain, !identity.domain.hasSuffix(".\(self.domain)") {
            throw DKIMError(
                .badSigner,
                "the identity's domain \(identity.domain) is not within the signing domain \(self.domain)"
            )
        }
        self.selector = selector
        self.key = key
        self.identity = identity
        var tags = [
            "v=1;", "a=\(key.algorithm.rawValue);", "c=relaxed/relaxed;", "d=\(self.domain);", "s=\(selector);",
        ]
        if let identity { tags.append("i=\(Self.quoted(identity.quotedLocalPart))@\(identity.domain);") }
        self.leadingTags = tags.map { Array($0.utf8) }
    }

    /// Whether a text is labels joined by dots, RFC 6376 §3.1; underscores occur and do no harm.
    private static func isSelector(_ text: String) -> Bool {
        text.utf8.count <= 180
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.utf8.allSatisfy {
                        switch $0 {
                        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                        default: false
                        }
                    }
            }
    }

    /// A text in the quoted-printable of DKIM, RFC 6376 §2.11.
    private static func quoted(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7F, byte != 0x3B, byte != 0x3D {
                bytes.append(byte)
            } else {
                bytes.append(contentsOf: [0x3D, hex[Int(byte >> 4)], hex[Int(byte & 15)]])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
