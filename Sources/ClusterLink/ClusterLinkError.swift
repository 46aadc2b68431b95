// SPDX-License-Identifier: Apache-2.0

/// Why the link could not do what was asked.
public struct ClusterLinkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of trouble.
    public struct Code: Sendable, Hashable {
        private enum Kind: Hashable {
            case notConnected, noSuchBlob, corruptBlob, blobTooLarge, timeout, superseded, enrolmentRefused, malformed
        }
        private let kind: Kind

        /// No master is connected.
        public static let notConnected = Code(kind: .notConnected)
        /// The master has no such blob.
        public static let noSuchBlob = Code(kind: .noSuchBlob)
        /// The bytes received are not those that the hash names.
        public static let corruptBlob = Code(kind: .corruptBlob)
        /// The blob exceeds the bound.
        public static let blobTooLarge = Code(kind: .blobTooLarge)
        /// No answer came in time.
        public static let timeout = Code(kind: .timeout)
        /// Another process uses the same key.
        public static let superseded = Code(kind: .superseded)
        /// The master, or this side, did not believe the other.
        public static let enrolmentRefused = Code(kind: .enrolmentRefused)
        /// What came is not of the protocol.
        public static let malformed = Code(kind: .malformed)
    }

    /// The kind of trouble.
    public let code: Code
    /// What was being done and why it failed.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
