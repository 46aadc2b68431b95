// SPDX-License-Identifier: Apache-2.0

import DKIM
import Foundation

/// The files that tests share, and the keys that go with them.
enum Corpus {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Corpora/dkim")

    /// A Python that has dkimpy, for checks by other people's verifiers.
    static let dkimpy = ProcessInfo.processInfo.environment["TELSTAR_DKIMPY"]

    static func bytes(_ file: String) throws -> [UInt8] {
        Array(try Data(contentsOf: self.folder.appending(path: file)))
    }

    static func text(_ file: String) throws -> String {
        String(decoding: try self.bytes(file), as: UTF8.self)
    }

    /// The key record of a domain and selector from `keys.txt`.
    static func key(_ domain: String, _ selector: String) throws -> String? {
        let name = "\(selector)._domainkey.\(domain) "
        return try self.text("keys.txt").split(separator: "\n").first { $0.hasPrefix(name) }
            .map { String($0.dropFirst(name.count)) }
    }

    /// What `key(_:_:)` does, as a value: the compiler of Swift 6.3 fails on a reference to the method itself.
    static let keys: @Sendable (String, String) async throws -> String? = { try Corpus.key($0, $1) }

    /// A signer of the corpus, selector `rsa`.
    static func rsa(domain: String = "example.org") throws -> DKIMSigner {
        try DKIMSigner(domain: domain, selector: "rsa", key: DKIMPrivateKey(pem: self.text("rsa-2048.pem")))
    }

    /// A signer of the corpus, selector `ed`.
    static func ed25519(domain: String = "example.org") throws -> DKIMSigner {
        try DKIMSigner(domain: domain, selector: "ed", key: DKIMPrivateKey(pem: self.text("ed25519.pem")))
    }

    /// Puts signatures before a message.
    static func signed(
        _ message: [UInt8],
        by signers: [DKIMSigner],
        at unixSeconds: Int64 = 1_795_412_400
    ) throws -> [UInt8] {
        let end = message.indices.dropLast(3).first { message[$0..<($0 + 4)].elementsEqual([13, 10, 13, 10]) }
        let headerEnd = end.map { $0 + 2 } ?? message.count
        let header = Array(message[..<headerEnd])
        let body = Array(message[min(headerEnd + 2, message.count)...])
        return try MessageSigner(signers).signatures(header: header, body: body, at: unixSeconds) + message
    }
}
