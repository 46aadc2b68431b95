// SPDX-License-Identifier: Apache-2.0

import MailFormat

/// A signature field that is fit for verifying.
struct DKIMSignature {
    /// A signature field that is not.
    struct Refusal: Error {
        let result: DKIMResult
    }

    let domain: String
    let selector: String
    let identityDomain: String
    let algorithm: DKIMAlgorithm
    let header: Canonicalisation
    let body: Canonicalisation
    let signedFields: [String]
    let bodyHash: [UInt8]
    let signature: [UInt8]
    let bodyLength: Int?
    /// The position of the value of `b=` within the field's value.
    let signatureRange: Range<Int>

    func result(_ verdict: DKIMResult.Verdict) -> DKIMResult {
        DKIMResult(
            domain: self.domain,
            selector: self.selector,
            algorithm: self.algorithm.rawValue,
            signedFields: self.signedFields,
            verdict: verdict
        )
    }

    static func parse(
        _ value: [UInt8],
        lengthPolicy: DKIMVerifier.LengthPolicy,
        at unixSeconds: Int64?
    ) -> Result<DKIMSignature, Refusal> {
        let tags: TagList
        do {
            tags = try TagList(value)
        } catch {
            return .failure(self.refusal(nil, error.reason))
        }
        do {
            return .success(try DKIMSignature(tags, lengthPolicy: lengthPolicy, at: unixSeconds))
        } catch {
            return .failure(self.refusal(tags, error.reason))
        }
    }

    /// Why a list of tags is unfit, in one line.
    private struct Unfit: Error {
        let reason: String

        init(_ reason: String) {
            self.reason = reason
        }
    }

    private init(_ tags: TagList, lengthPolicy: DKIMVerifier.LengthPolicy, at unixSeconds: Int64?) throws(Unfit) {
        guard tags["v"] == "1" else { throw Unfit("the version is not 1") }
        guard let domain = tags.joined("d")?.lowercased(), !domain.isEmpty else { throw Unfit("the tag d is missing") }
        guard let selector = tags.joined("s"), !selector.isEmpty else { throw Unfit("the tag s is missing") }
        guard let algorithm = tags.joined("a").flatMap({ DKIMAlgorithm(rawValue: $0.lowercased()) }) else {
            throw Unfit("the algorithm is missing, retired or unknown")
        }
        let names = (tags.joined("h") ?? "").lowercased().split(separator: ":").map(String.init)
        guard names.contains("from") else { throw Unfit("the field From is not signed") }
        guard names.count <= 512 else { throw Unfit("too many fields are signed") }
        guard let hash = tags.joined("bh").flatMap({ Base64.decodeStrictly($0.utf8) }), hash.count == 32 else {
            throw Unfit("the body's hash is missing or malformed")
        }
        guard let signature = tags.joined("b").flatMap({ Base64.decodeStrictly($0.utf8) }), !signature.isEmpty,
            let range = tags.signatureRange
        else { throw Unfit("the signature is missing or malformed") }
        if let query = tags.joined("q"), !query.split(separator: ":").contains("dns/txt") {
            throw Unfit("the tag q names no way to fetch the key that is supported (dns/txt)")
        }
        (self.header, self.body) = try Self.canonicalisation(tags.joined("c") ?? "simple/simple")
        self.identityDomain = try Self.identityDomain(tags.joined("i"), domain)
        self.bodyLength = try Self.bodyLength(tags.joined("l"), lengthPolicy)
        try Self.checkTimes(tags, unixSeconds)
        self.domain = domain
        self.selector = selector
        self.algorithm = algorithm
        self.signedFields = names
        self.bodyHash = hash
        self.signature = signature
        self.signatureRange = range
    }

    private static func canonicalisation(_ text: String) throws(Unfit) -> (Canonicalisation, Canonicalisation) {
        let parts = text.lowercased().split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let header = Canonicalisation(rawValue: String(parts[0])),
            let body = parts.count == 2 ? Canonicalisation(rawValue: String(parts[1])) : .simple
        else { throw Unfit("the canonicalisation is unknown") }
        return (header, body)
    }

    private static func identityDomain(_ identity: String?, _ domain: String) throws(Unfit) -> String {
        guard let identity else { return domain }
        guard let at = identity.lastIndex(of: "@") else { throw Unfit("the identity has no domain") }
        let own = identity[identity.index(after: at)...].lowercased()
        guard own == domain || own.hasSuffix(".\(domain)") else {
            throw Unfit("the identity's domain is not within the signing domain")
        }
        return own
    }

    private static func bodyLength(_ text: String?, _ policy: DKIMVerifier.LengthPolicy) throws(Unfit) -> Int? {
        guard let text else { return nil }
        guard policy == .honour else { throw Unfit("the signature covers only part of the body") }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(text) else {
            throw Unfit("the body's length is malformed")
        }
        return length
    }

    private static func checkTimes(_ tags: TagList, _ unixSeconds: Int64?) throws(Unfit) {
        guard let text = tags.joined("x") else { return }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let expiry = Int64(text) else {
            throw Unfit("the expiry is malformed")
        }
        if let made = tags.joined("t").flatMap({ Int64($0) }), expiry <= made {
            throw Unfit("the signature expires before it is made")
        }
        if let unixSeconds, expiry < unixSeconds { throw Unfit("the signature has expired") }
    }

    private static func refusal(_ tags: TagList?, _ reason: String) -> Refusal {
        Refusal(
            result: DKIMResult(
                domain: tags?.joined("d")?.lowercased() ?? "",
                selector: tags?.joined("s") ?? "",
                algorithm: tags?.joined("a") ?? "",
                signedFields: (tags?.joined("h") ?? "").lowercased().split(separator: ":").map(String.init),
                verdict: .permerror(reason)
            )
        )
    }
}
