// SPDX-License-Identifier: Apache-2.0

import Secrets
import Testing

@Suite("Random bytes, comparison and text forms")
struct SecureBytesTests {
    @Test("random bytes have the length asked for and do not repeat")
    func random() {
        for count in [0, 1, 7, 8, 9, 32, 100] {
            #expect(SecureBytes.random(count: count).count == count)
        }
        #expect(SecureBytes.random(count: 16) != SecureBytes.random(count: 16))
    }

    @Test("compares every byte and the length")
    func compares() {
        #expect(SecureBytes.areEqual([], []))
        #expect(SecureBytes.areEqual([1, 2, 3], [1, 2, 3]))
        #expect(!SecureBytes.areEqual([1, 2, 3], [1, 2, 4]))
        #expect(!SecureBytes.areEqual([0, 2, 3], [1, 2, 3]))
        #expect(!SecureBytes.areEqual([1, 2], [1, 2, 3]))
    }

    @Test(
        "base32 agrees with RFC 4648 §10",
        arguments: [
            ("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ]
    )
    func base32(plain: String, text: String) {
        #expect(Base32.encode(plain.utf8) == text)
        #expect(Base32.decode(text) == Array(plain.utf8))
        #expect(Base32.decode(text.uppercased()) == Array(plain.utf8))
    }

    @Test(
        "base64url agrees with RFC 4648 §10 without padding",
        arguments: [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")]
    )
    func base64URL(plain: String, text: String) {
        #expect(Base64URL.encode(plain.utf8) == text)
        #expect(Base64URL.decode(text) == Array(plain.utf8))
    }

    @Test("uses the alphabet for URLs")
    func alphabet() {
        #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
        #expect(Base64URL.decode("-_8") == [0xFB, 0xFF])
    }

    @Test("bytes have one text only: what no encoding ends with is refused")
    func canonical() {
        for text in ["m", "mz1", "mzxw6ytboj", "my=", "a", "aaa", "aaaaaa", "mé"] {
            #expect(Base32.decode(text) == nil, "\(text)")
        }
        for text in ["Z", "Zh", "Zm9=", "Zm9+", "Zm9vY", "Zg=="] {
            #expect(Base64URL.decode(text) == nil, "\(text)")
        }
    }

    @Test("every length of bytes reads back")
    func roundTrips() {
        for count in 0..<70 {
            let bytes = SecureBytes.random(count: count)
            #expect(Base32.decode(Base32.encode(bytes)) == bytes)
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
    }
}
