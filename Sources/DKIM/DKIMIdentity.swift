// SPDX-License-Identifier: Apache-2.0

import MailFormat

/// The agent or user identifier of a signature, tag `i=`: an address, or a domain alone.
///
/// - Note: RFC 6376 §3.5; the local part may be missing, and `@` with the signing domain is the default.
public struct DKIMIdentity: Hashable, Sendable {
    /// The local part as written, in quotes where it needs them; empty if only a domain is named.
    public let quotedLocalPart: String
    /// The domain in lower-case A-labels.
    public let domain: String

    /// Reads `jane@example.org` or `@example.org`.
    ///
    /// - Throws: `DKIMError.Code.badSigner`.
    public init(parsing text: String) throws(DKIMError) {
        do throws(AddressError) {
            if text.utf8.first == 0x40 {
                self.quotedLocalPart = ""
                self.domain = try DomainName.ascii(String(text.dropFirst()))
            } else {
                let address = try EmailAddress(parsing: text)
                self.quotedLocalPart = address.quotedLocalPart
                self.domain = address.asciiDomain
            }
        } catch {
            throw DKIMError(.badSigner, "the identity is neither an address nor @ and a domain: \(error)")
        }
    }
}
