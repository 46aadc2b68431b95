// SPDX-License-Identifier: Apache-2.0

import Foundation
package import HTTPTypes
package import MailingModel
package import MasterCore

/// The credentials of a request's `Authorization` header field.
package enum Credentials: Hashable, Sendable {
    /// User and password, RFC 7617 §2.
    case basic(user: String, password: String)
    /// A token, RFC 6750 §2.1.
    case bearer(String)

    /// Reads the field; `nil` if there is none, or one of another scheme.
    package init?(_ fields: HTTPFields) {
        guard let field = fields[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "basic":
            guard let bytes = Data(base64Encoded: parts[1].trimmingCharacters(in: .whitespaces)) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let colon = text.firstIndex(of: ":") else { return nil }
            self = .basic(user: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
        case "bearer": self = .bearer(String(parts[1].drop { $0 == " " }))
        default: return nil
        }
    }

    /// The API key that they are, if it is in force.
    ///
    /// - Parameters:
    ///   - master: Knows the keys.
    ///   - user: The user that Basic credentials have to name; `nil` for any.
    ///   - allowsBearer: Whether the key may be a token.
    /// - Returns: The key's record; `nil` if they are no key, or a revoked one.
    package func key(of master: Master, user: String?, allowsBearer: Bool = false) -> APIKeyRecord? {
        switch self {
        case .basic(let name, let password):
            user == nil || user == name ? master.authenticate(secret: password) : nil
        case .bearer(let token): allowsBearer ? master.authenticate(secret: token) : nil
        }
    }
}
