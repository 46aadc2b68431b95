// SPDX-License-Identifier: Apache-2.0

import Secrets

/// Writes and reads the feed's cursors: base64url of version ‖ store id ‖ position ‖ MAC.
///
/// A cursor names its store in the clear, so that one of another store can be distinguished from one that was altered.
struct FeedCursorCodec: Sendable {
    private static let version: UInt8 = 1
    private static let macLength = 16

    private let storeID: [UInt8]
    private let key: MACKey

    init(storeID: String, key: MACKey) {
        self.storeID = Array(storeID.utf8)
        self.key = key.derived(for: "feed cursor")
    }

    /// The cursor that continues after a position.
    func cursor(at position: Int64) -> String {
        var bytes: [UInt8] = [Self.version, UInt8(truncatingIfNeeded: self.storeID.count)]
        bytes += self.storeID
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: UInt64(bitPattern: position) >> UInt64(shift)))
        }
        return Base64URL.encode(bytes + self.key.sign(bytes, length: Self.macLength))
    }

    /// The position after which a cursor continues.
    ///
    /// - Throws: ``MasterError/Code/badCursor(_:)`` if it is foreign, altered or of another program.
    func position(of cursor: String) throws -> Int64 {
        if Self.isOriginal(cursor) {
            throw MasterError(
                .badCursor(.original),
                "this is a cursor of the original CloudMailing; start again from the beginning with an empty cursor"
            )
        }
        guard let bytes = Base64URL.decode(cursor), bytes.count > 2, bytes[0] == Self.version,
            bytes.count == 2 + Int(bytes[1]) + 8 + Self.macLength
        else { throw Self.unreadable }
        let signed = Array(bytes.dropLast(Self.macLength))
        let store = Array(bytes[2..<(2 + Int(bytes[1]))])
        guard store == self.storeID else {
            throw MasterError(
                .badCursor(.foreign),
                "the cursor was made by another store; start again from the beginning with an empty cursor"
            )
        }
        guard self.key.verify(bytes.suffix(Self.macLength), of: signed) else { throw Self.unreadable }
        let position = signed.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Int64(bitPattern: position)
    }

    private static let unreadable = MasterError(
        .badCursor(.unreadable),
        "the cursor cannot be read; use one as it was returned, or start from the beginning"
    )

    /// Whether it has the form `date;count;offset`.
    private static func isOriginal(_ cursor: String) -> Bool {
        let parts = cursor.split(separator: ";", omittingEmptySubsequences: false)
        return parts.count == 3 && Int(parts[1]) != nil && Int(parts[2]) != nil
    }
}
