// SPDX-License-Identifier: Apache-2.0

import Secrets
import Testing

@testable import MasterCore

@Suite("The feed's cursors")
struct FeedCursorCodecTests {
    private static let key = MACKey.generate()
    private static let codec = FeedCursorCodec(storeID: "store-1", key: key)

    private static func fault(_ cursor: String, _ codec: FeedCursorCodec = Self.codec) -> MasterError.Code? {
        do {
            _ = try codec.position(of: cursor)
            return nil
        } catch {
            return (error as? MasterError)?.code
        }
    }

    @Test("come back as they went", arguments: [Int64(0), 1, 4_711, .max])
    func roundTrip(position: Int64) throws {
        #expect(try Self.codec.position(of: Self.codec.cursor(at: position)) == position)
    }

    @Test("hold only characters that need no quoting")
    func characters() {
        #expect(Self.codec.cursor(at: 99).utf8.allSatisfy { $0 != 0x2B && $0 != 0x2F && $0 != 0x3D })
    }

    @Test("of another store are called foreign, whether their key is known or not")
    func foreign() {
        let sameKey = FeedCursorCodec(storeID: "store-2", key: Self.key)
        let otherKey = FeedCursorCodec(storeID: "store-2", key: MACKey.generate())
        #expect(Self.fault(sameKey.cursor(at: 1)) == .badCursor(.foreign))
        #expect(Self.fault(otherKey.cursor(at: 1)) == .badCursor(.foreign))
    }

    @Test("that were forged or altered are unreadable")
    func altered() throws {
        #expect(
            Self.fault(FeedCursorCodec(storeID: "store-1", key: MACKey.generate()).cursor(at: 1))
                == .badCursor(.unreadable)
        )
        let bytes = try #require(Base64URL.decode(Self.codec.cursor(at: 258)))
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x01
            #expect(Self.fault(Base64URL.encode(changed)) != nil, "byte \(index)")
        }
        for count in 0..<bytes.count {
            #expect(Self.fault(Base64URL.encode(bytes.prefix(count))) == .badCursor(.unreadable))
        }
    }

    @Test("of the original are recognised", arguments: ["2019-03-07T12:00:00.123456;4;0", "2026-01-01T00:00:00;0;0"])
    func original(cursor: String) {
        #expect(Self.fault(cursor) == .badCursor(.original))
    }

    @Test(
        "that are anything else are unreadable",
        arguments: ["x", "0", "%%%", "a;b;c", "é", String(repeating: "A", count: 9_999)]
    )
    func unreadable(cursor: String) {
        #expect(Self.fault(cursor) == .badCursor(.unreadable))
    }
}
