// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes

/// User and password of HTTP Basic authentication, RFC 7617 §2.
struct BasicCredentials: Sendable {
    /// The part before the first colon.
    let user: String
    /// The rest.
    let password: String

    /// Reads an `Authorization` header field; `nil` if there is none or it is not Basic.
    init?(_ fields: HTTPFields) {
        guard let field = fields[.authorization] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "basic",
            let bytes = Data(base64Encoded: parts[1].trimmingCharacters(in: .whitespaces))
        else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let colon = text.firstIndex(of: ":") else { return nil }
        self.user = String(text[..<colon])
        self.password = String(text[text.index(after: colon)...])
    }
}
