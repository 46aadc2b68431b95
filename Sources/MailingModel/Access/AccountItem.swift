// SPDX-License-Identifier: Apache-2.0

/// Something that belongs to an account and that its operator adds, lists and removes.
public enum AccountItem: Sendable, Hashable {
    /// A credential of an API that is not our own.
    case credential(CredentialRecord)
    /// A key of our own API.
    case key(APIKeyRecord)
    /// An object.
    case object(AccountObject)

    /// What an item is, by the name that operators give it.
    public enum Kind: RawRepresentable, Hashable, CaseIterable, Sendable {
        /// A credential.
        case credential
        /// An API key.
        case key
        /// An object.
        case object(AccountObject.Kind)

        /// All kinds: credentials and keys first.
        public static let allCases: [Kind] = [.credential, .key] + AccountObject.Kind.allCases.map { .object($0) }

        /// The kind of that name.
        public init?(rawValue: String) {
            guard let kind = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
            self = kind
        }

        /// The kind's name: `credential`, `key`, `seed-list`.
        public var rawValue: String {
            switch self {
            case .credential: "credential"
            case .key: "key"
            case .object(let kind): kind.rawValue
            }
        }

        /// The kind's name in a sentence: `seed list`.
        public var words: String { self.rawValue.split(separator: "-").joined(separator: " ") }
    }

    /// What it is.
    public var kind: Kind {
        switch self {
        case .credential: .credential
        case .key: .key
        case .object(let object): .object(object.contents.kind)
        }
    }

    /// Its name.
    public var name: String {
        switch self {
        case .credential(let credential): credential.name
        case .key(let key): key.name
        case .object(let object): object.name
        }
    }

    /// The API whose calls name it; `nil` if it is known to all of them.
    public var api: APIName? {
        switch self {
        case .credential(let credential): credential.api
        case .key: .native
        case .object(let object): object.contents.api
        }
    }
}
