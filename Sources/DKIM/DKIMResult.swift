// SPDX-License-Identifier: Apache-2.0

/// What verifying one signature came to.
public struct DKIMResult: Hashable, Sendable {
    /// The verdict and its reason in one line.
    ///
    /// - Note: RFC 8601 §2.7.1.
    public enum Verdict: Hashable, Sendable {
        /// The signature is good.
        case pass
        /// The signature is well formed and does not fit the message.
        case fail(String)
        /// The key could not be had just now.
        case temperror(String)
        /// The signature or the key record is unfit for verifying.
        case permerror(String)
    }

    /// The tag `d=`; empty if the signature has none.
    public let domain: String
    /// The tag `s=`; empty if the signature has none.
    public let selector: String
    /// The tag `a=` as found.
    public let algorithm: String
    /// The names in the tag `h=` in lower case, in their order.
    public let signedFields: [String]
    /// The verdict.
    public let verdict: Verdict

    /// Creates a result of its parts.
    public init(domain: String, selector: String, algorithm: String, signedFields: [String], verdict: Verdict) {
        self.domain = domain
        self.selector = selector
        self.algorithm = algorithm
        self.signedFields = signedFields
        self.verdict = verdict
    }

    /// Whether the signature is good.
    public var isPass: Bool { self.verdict == .pass }
}
