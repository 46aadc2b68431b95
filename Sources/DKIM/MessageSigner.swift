// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailFormat

/// Signs messages for one or several domains and keys at once.
///
/// The body is hashed once and the header brought into its canonical form once, whatever the number of signers. Each
/// signature is written in a single pass: the bytes that are hashed are those that are sent, folding included, with
/// nothing after `b=`. Signing is the last thing to happen to a message; nothing may change it afterwards.
///
/// - Note: RFC 6376 §3.5 and §3.7, RFC 8463. Relaxed canonicalisation for header and body, and never a body length.
public struct MessageSigner: Sendable {
    /// Fields that are signed as often as they occur and once more, so that nobody can add another, RFC 6376 §8.15.
    public static let oversignedFields = [
        "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID",
    ]
    /// Fields that are signed as often as they occur.
    public static let signedFields = [
        "Sender", "Reply-To", "Cc", "In-Reply-To", "References", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding", "Content-Disposition", "Content-Language", "List-ID", "List-Help",
        "List-Subscribe",
        "List-Post", "List-Owner", "List-Archive", "Auto-Submitted", "Precedence",
    ]

    /// The signers, in the order of their signatures.
    public let signers: [DKIMSigner]

    /// Creates a signer of messages; put RSA first, since some receivers look at the first signature only.
    public init(_ signers: [DKIMSigner]) {
        self.signers = signers
    }

    /// The signatures of a message as header fields, to be put before the header.
    ///
    /// - Parameters:
    ///   - header: All fields, each with its CRLF, without the empty line.
    ///   - body: Everything after the empty line, as it will be sent but for dot-stuffing.
    ///   - unixSeconds: The time of signing, tag `t=`.
    /// - Throws: `DKIMError.Code.signing` if the cryptographic library fails.
    /// - Returns: One field with its CRLF for each signer, in their order; the same bytes for the same input.
    public func signatures(header: [UInt8], body: [UInt8], at unixSeconds: Int64) throws(DKIMError) -> [UInt8] {
        try header.withUnsafeBufferPointer { header throws(DKIMError) in
            try body.withUnsafeBufferPointer { body throws(DKIMError) in
                try self.signatures(
                    header: UnsafeRawBufferPointer(header),
                    body: UnsafeRawBufferPointer(body),
                    at: unixSeconds
                )
            }
        }
    }

    /// The signatures of a message that lies in memory, as `signatures(header:body:at:)` of arrays returns them.
    ///
    /// - Throws: `DKIMError.Code.signing` if the cryptographic library fails.
    public func signatures(
        header: UnsafeRawBufferPointer,
        body: UnsafeRawBufferPointer,
        at unixSeconds: Int64
    ) throws(DKIMError) -> [UInt8] {
        guard !self.signers.isEmpty else { return [] }
        let header = header.assumingMemoryBound(to: UInt8.self)
        let bodyHash = Self.bodyHash(body.assumingMemoryBound(to: UInt8.self))
        var list: [[UInt8]] = []
        var canonical: [UInt8] = []
        canonical.reserveCapacity(header.count + 64)
        Self.collect(header, names: &list, canonical: &canonical)
        var hasher = SHA256()
        canonical.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        let time = Array("t=\(max(0, unixSeconds));".utf8)
        var output: [UInt8] = []
        output.reserveCapacity(1_024 * self.signers.count)
        for signer in self.signers {
            var writer = SignatureWriter(appendingTo: output)
            for tag in signer.leadingTags { writer.tag(tag) }
            writer.tag(time)
            writer.list(list)
            writer.bodyHash(bodyHash)
            let digest = writer.digest(continuing: hasher)
            output = writer.finish(signature: try signer.key.signature(for: digest))
        }
        return output
    }

    /// The base64 of the body's hash.
    private static func bodyHash(_ body: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var hasher = SHA256()
        Canonicalisation.relaxed.body(body).withUnsafeBytes { hasher.update(bufferPointer: $0) }
        var encoded: [UInt8] = []
        Base64.encodeUnbroken(Array(hasher.finalize()), into: &encoded)
        return encoded
    }

    /// The fields to sign in canonical form, and their names in the order of signing.
    ///
    /// Where a field occurs more than once, the last one comes first, RFC 6376 §5.4.2.
    private static func collect(
        _ header: UnsafeBufferPointer<UInt8>,
        names: inout [[UInt8]],
        canonical: inout [UInt8]
    ) {
        let block = HeaderBlock(header)
        names.reserveCapacity(32)
        for (position, name) in self.allNames.enumerated() {
            for field in block.fields.reversed() where HeaderBlock.isNamed(name.lower, field, in: header) {
                names.append(name.lower)
                let bytes = UnsafeBufferPointer(rebasing: header[field.range])
                Canonicalisation.relaxed.appendField(bytes, colon: field.colon, to: &canonical)
                canonical.append(0x0D)
                canonical.append(0x0A)
            }
            if position < self.oversignedFields.count { names.append(name.lower) }
        }
    }

    private struct SignedName {
        let lower: [UInt8]
    }

    private static let allNames = (oversignedFields + signedFields).map {
        SignedName(lower: Array($0.lowercased().utf8))
    }
}
