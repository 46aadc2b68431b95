// SPDX-License-Identifier: Apache-2.0

import Crypto
import MailFormat

/// Verifies the signatures of a message, for tests and for receivers of our own.
///
/// - Note: RFC 6376 §6.1 and RFC 8463.
public enum DKIMVerifier {
    /// What to make of a signature with a body length, tag `l=`.
    public enum LengthPolicy: Hashable, Sendable {
        /// Such a signature is unfit, because anyone can add to the message.
        case refuse
        /// The length is kept to, as RFC 6376 §3.5 describes.
        case honour
    }

    /// The most signatures of one message that are looked at.
    public static let signatureLimit = 16

    /// Verifies every signature of a message.
    ///
    /// - Parameters:
    ///   - message: The whole message with CRLF line ends, not dot-stuffed.
    ///   - lengthPolicy: What to make of body lengths.
    ///   - unixSeconds: The present time, for the tag `x=`; expiry is not checked if `nil`.
    ///   - keyRecord: The text of the key record of a domain (first) and selector (second); `nil` if there is none. An
    ///     error makes the verdict `temperror`.
    /// - Returns: One result for each signature, from the top of the header down; none for an unsigned message.
    public static func verify(
        message: [UInt8],
        lengthPolicy: LengthPolicy = .refuse,
        at unixSeconds: Int64? = nil,
        keyRecord: (String, String) async throws -> String?
    ) async -> [DKIMResult] {
        let parsed = ParsedMessage(message)
        var results: [DKIMResult] = []
        for index in parsed.signatureFields.prefix(self.signatureLimit) {
            switch DKIMSignature.parse(parsed.value(of: index), lengthPolicy: lengthPolicy, at: unixSeconds) {
            case .failure(let refusal): results.append(refusal.result)
            case .success(let signature):
                let verdict = await self.verdict(signature, index, parsed, keyRecord)
                results.append(signature.result(verdict))
            }
        }
        return results
    }

    private static func verdict(
        _ signature: DKIMSignature,
        _ index: Int,
        _ message: ParsedMessage,
        _ keyRecord: (String, String) async throws -> String?
    ) async -> DKIMResult.Verdict {
        let record: String?
        do {
            record = try await keyRecord(signature.domain, signature.selector)
        } catch {
            return .temperror("the key could not be fetched: \(error)")
        }
        guard let record else { return .permerror("there is no key") }
        let key: DKIMPublicKey
        do {
            key = try DKIMPublicKey(record: record, for: signature.algorithm)
        } catch {
            return .permerror(error.reason)
        }
        if key.isStrict, signature.identityDomain != signature.domain {
            return .permerror("the key is not for subdomains")
        }
        guard let bodyHash = message.bodyHash(signature) else {
            return .permerror("the body is shorter than the signature says")
        }
        guard bodyHash == signature.bodyHash else { return .fail("the body's hash differs") }
        let digest = message.headerDigest(signature, at: index)
        return key.isValid(signature.signature, for: digest) ? .pass : .fail("the signature does not fit the header")
    }
}
