// SPDX-License-Identifier: Apache-2.0

/// Why a satellite stopped, or could not do what it should.
public struct SatelliteError: Error, Hashable, CustomStringConvertible {
    /// The kind of failure; more may be added.
    public struct Code: Hashable, Sendable {
        private enum Value: Hashable {
            case superseded
            case journalFailed
            case linkEnded
            case cache
        }
        private let value: Value

        /// Another process with the same key has taken over.
        public static let superseded = Code(value: .superseded)
        /// The journal cannot be written: nothing may be sent.
        public static let journalFailed = Code(value: .journalFailed)
        /// The link to the master has ended by itself.
        public static let linkEnded = Code(value: .linkEnded)
        /// The cache directory cannot be used.
        public static let cache = Code(value: .cache)
    }

    /// The kind of failure.
    public let code: Code
    /// What failed, on what, what happens next.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
