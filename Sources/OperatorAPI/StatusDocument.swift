// SPDX-License-Identifier: Apache-2.0

package import Foundation

/// A daemon's status as JSON, named as all JSON that is ours: snake case, `connected` rather than `isConnected`,
/// `_bytes`, timestamps in RFC 3339 under `_at`, ages under `_seconds`.
package enum StatusDocument {
    /// Encodes a status; keys are in order.
    ///
    /// - Throws: If a value cannot be written as JSON, such as a number that is not finite.
    package static func encode(_ status: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .custom { path in
            Key(stringValue: Self.name(path.last?.stringValue ?? ""))
        }
        return try encoder.encode(status)
    }

    /// The name of a property's member: `isDiskFull` is `disk_full`, `journalBytes` is `journal_bytes`, `storeID` is `store_id`.
    static func name(_ property: String) -> String {
        var parts: [String] = []
        var previous: Character?
        for character in property {
            let isNew = character.isUppercase && previous?.isUppercase != true
            if parts.isEmpty || isNew { parts.append("") }
            parts[parts.count - 1].append(character.lowercased())
            previous = character
        }
        if parts.count > 1, parts[0] == "is" { parts.removeFirst() }
        return parts.joined(separator: "_")
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
