// SPDX-License-Identifier: Apache-2.0

/// Why a secret could not be read, made or used.
public struct SecretsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case missing, exists, unreadable, unsafePermissions, malformed, notAuthentic, unavailable
        }

        private let kind: Kind

        /// The file is not there.
        public static let missing = Self(kind: .missing)
        /// A file of that name is there already and stays as it is.
        public static let exists = Self(kind: .exists)
        /// The file cannot be opened, read or written.
        public static let unreadable = Self(kind: .unreadable)
        /// Others than the file's owner may read or write it.
        public static let unsafePermissions = Self(kind: .unsafePermissions)
        /// The content does not have the form that it must have.
        public static let malformed = Self(kind: .malformed)
        /// Sealed bytes were changed, or sealed with another key or for another purpose.
        public static let notAuthentic = Self(kind: .notAuthentic)
        /// The cryptographic library refused.
        public static let unavailable = Self(kind: .unavailable)

        /// The code's name.
        public var description: String { self.kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What failed and on what, in one line; never the secret itself.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
