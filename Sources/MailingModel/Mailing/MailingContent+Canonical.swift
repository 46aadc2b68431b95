// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension MailingContent {
    /// The revision as its blob holds it: JSON with sorted keys, the same bytes for the same revision.
    public func canonicalBytes() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(self))
    }

    /// Restores a revision from its blob.
    ///
    /// - Throws: `DecodingError` if the bytes are not what ``canonicalBytes()`` writes.
    public init(canonicalBytes: [UInt8]) throws {
        self = try JSONDecoder().decode(MailingContent.self, from: Data(canonicalBytes))
    }
}

extension MailingContent.Body {
    private enum CodingKeys: String, CodingKey { case html, plain, mime }

    /// Reads `html` and `plain`, or `mime` as base64.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        if let mime = try values.decodeIfPresent(Data.self, forKey: .mime) {
            self = .mime([UInt8](mime))
        } else {
            self = .alternative(
                html: try values.decode(String.self, forKey: .html),
                plain: try values.decodeIfPresent(String.self, forKey: .plain)
            )
        }
    }

    /// Writes `html` and `plain`, or `mime` as base64: a list of numbers would be four times its size.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .alternative(let html, let plain):
            try values.encode(html, forKey: .html)
            try values.encodeIfPresent(plain, forKey: .plain)
        case .mime(let bytes):
            try values.encode(Data(bytes), forKey: .mime)
        }
    }
}
