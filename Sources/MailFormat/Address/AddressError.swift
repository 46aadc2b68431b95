// SPDX-License-Identifier: Apache-2.0

/// Why a text is not an e-mail address.
public struct AddressError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of refusal.
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// Nothing at all.
        case empty
        /// More bytes than the path or one of its parts may have.
        case tooLong
        /// No `@` outside of a quoted string.
        case missingAt
        /// Nothing before the `@`.
        case emptyLocalPart
        /// Nothing after the `@`.
        case emptyDomain
        /// CR, LF, NUL, another control character, or one that changes or hides how text is shown.
        case forbiddenCharacter
        /// A local part that is neither a dot-string nor a quoted string.
        case badLocalPart
        /// A domain that is neither a host name nor an address literal.
        case badDomain
        /// A display name, a list or angle brackets where one bare address belongs.
        case notBare
    }

    /// The kind of refusal.
    public let code: Code
    /// The reason in one line of plain text that never repeats the refused bytes.
    public let description: String

    /// Creates an error from its parts.
    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
