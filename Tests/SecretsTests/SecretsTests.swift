// SPDX-License-Identifier: Apache-2.0

import Foundation
import Secrets
import Testing

/// A folder of its own for each test, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        self.path = FileManager.default.temporaryDirectory.appendingPathComponent("secrets-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: false)
    }

    deinit {
        // What is left behind in the temporary folder harms nobody.
        try? FileManager.default.removeItem(atPath: self.path)
    }

    func file(_ name: String) -> String { "\(self.path)/\(name)" }

    func write(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
        let path = self.file(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    func mode(_ name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: self.file(name))[.posixPermissions] as? Int
    }
}

@Suite("API key")
struct APIKeyTests {
    @Test("its text reads back as the same key")
    func roundTrip() throws {
        let key = APIKey.generate()
        let again = try #require(APIKey(parsing: key.text))
        #expect(again.publicID == key.publicID)
        #expect(again.text == key.text)
        #expect(key.hash.matches(again))
        #expect(KeyHash(stored: key.hash.bytes)?.matches(again) == true)
    }

    @Test("its text needs no quoting in a URL")
    func isPlain() {
        let text = APIKey.generate().text
        #expect(text.hasPrefix("tk_"))
        #expect(text.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) || $0 == 0x5F })
    }

    @Test("is let in by no other secret, and by no other key's id")
    func refusesOthers() throws {
        let key = APIKey.generate()
        let other = APIKey.generate()
        #expect(!key.hash.matches(other))
        let mixed = try #require(
            APIKey(parsing: other.text.replacingOccurrences(of: other.publicID, with: key.publicID))
        )
        #expect(mixed.publicID == key.publicID)
        #expect(!key.hash.matches(mixed))
    }

    @Test("says nothing of its secret when printed")
    func hidesSecret() {
        let key = APIKey.generate()
        let secret = key.text.split(separator: "_")[2]
        #expect(!"\(key)".contains(secret))
        #expect(!String(reflecting: key).contains(secret))
    }

    @Test("refuses what has not its form", arguments: ["", "tk", "tk__", "tk_a_b", "xx_aaaaaaaaaaaaaaaa_aa", "tk_é_é"])
    func refusesForm(text: String) {
        #expect(APIKey(parsing: text) == nil)
    }

    @Test("no two of many are alike")
    func areDistinct() {
        #expect(Set((0..<500).map { _ in APIKey.generate().publicID }).count == 500)
    }

    @Test("a secret that was chosen elsewhere is recognised by its hash")
    func hashesForeignSecrets() {
        let hash = KeyHash(of: Array("a@9!z".utf8))
        #expect(hash.matches(secret: Array("a@9!z".utf8)))
        #expect(!hash.matches(secret: Array("a@9!Z".utf8)))
        #expect(KeyHash(stored: [1, 2, 3]) == nil)
    }
}

@Suite("Password hash")
struct PasswordHashTests {
    @Test("recognises its password and no other")
    func recognises() throws {
        let hash = try PasswordHash(of: "correct horse")
        #expect(hash.text.hasPrefix("scrypt$15$8$1$"))
        #expect(PasswordHash(stored: hash.text).matches("correct horse"))
        #expect(!hash.matches("correct horse "))
        #expect(try PasswordHash(of: "correct horse").text != hash.text)
    }

    @Test(
        "never matches a stored text that is damaged",
        arguments: ["", "scrypt$15$8$1$$", "md5$1$2$3$4$5", "scrypt$99$8$1$AA$AA"]
    )
    func refusesDamage(text: String) {
        #expect(!PasswordHash(stored: text).matches(""))
    }

    @Test("agrees with RFC 7914 §12 through its stored form")
    func agreesWithStandard() {
        let key: [UInt8] = [
            0xFD, 0xBA, 0xBE, 0x1C, 0x9D, 0x34, 0x72, 0x00, 0x78, 0x56, 0xE7, 0x19, 0x0D, 0x01, 0xE9, 0xFE, 0x7C, 0x6A,
            0xD7, 0xCB, 0xC8, 0x23, 0x78, 0x30, 0xE7, 0x73, 0x76, 0x63, 0x4B, 0x37, 0x31, 0x62, 0x2E, 0xAF, 0x30, 0xD9,
            0x2E, 0x22, 0xA3, 0x88, 0x6F, 0xF1, 0x09, 0x27, 0x9D, 0x98, 0x30, 0xDA, 0xC7, 0x27, 0xAF, 0xB9, 0x4A, 0x83,
            0xEE, 0x6D, 0x83, 0x60, 0xCB, 0xDF, 0xA2, 0xCC, 0x06, 0x40,
        ]
        let stored = "scrypt$10$8$16$\(Base64URL.encode(Array("NaCl".utf8)))$\(Base64URL.encode(key))"
        #expect(PasswordHash(stored: stored).matches("password"))
    }
}

@Suite("Credential hash")
struct CredentialHashTests {
    @Test("is read again from its text, whichever function made it")
    func stored() throws {
        let chosen = CredentialHash.chosen(PasswordHash.unmatchable())
        let (secret, generated) = CredentialHash.generate()
        #expect(secret.count == 52 && secret != CredentialHash.generate().secret)
        for hash in [chosen, generated] { #expect(CredentialHash(stored: hash.text) == hash) }
        #expect(generated == .generated(KeyHash(of: Array(secret.utf8))))
    }

    @Test("is not read from any other text", arguments: ["", "sha256$", "sha256$AAAA", "md5$AAAA", "secret"])
    func damaged(text: String) {
        #expect(CredentialHash(stored: text) == nil)
    }

    @Test("that nothing matches costs what others cost")
    func unmatchable() {
        let hash = PasswordHash.unmatchable()
        #expect(hash.text.hasPrefix("scrypt$15$8$1$") && hash != PasswordHash.unmatchable())
        #expect(!hash.matches(""))
    }
}

@Suite("MAC key (C2)")
struct MACKeyTests {
    @Test("agrees with RFC 4231 §4.2")
    func agreesWithStandard() throws {
        let key = try MACKey(bytes: [UInt8](repeating: 0x0B, count: 20))
        let mac = key.sign(Array("Hi There".utf8))
        #expect(
            mac.map { String(format: "%02x", $0) }.joined()
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        )
    }

    @Test("verifies whole and truncated MACs, and no shorter than 8 bytes")
    func verifies() {
        let key = MACKey.generate()
        let message: [UInt8] = [1, 2, 3]
        let mac = key.sign(message)
        #expect(mac.count == 32)
        #expect(key.verify(mac, of: message))
        #expect(key.verify(mac.prefix(8), of: message))
        #expect(key.sign(message, length: 12) == Array(mac.prefix(12)))
        #expect(!key.verify(mac.prefix(7), of: message))
        #expect(!key.verify([], of: message))
        #expect(!key.verify(mac + [0], of: message))
    }

    @Test("refuses another message, another key and any changed bit")
    func refuses() {
        let key = MACKey.generate()
        let mac = key.sign([1, 2, 3], length: 10)
        #expect(!key.verify(mac, of: [1, 2, 4]))
        #expect(!MACKey.generate().verify(mac, of: [1, 2, 3]))
        for bit in 0..<80 {
            var changed = mac
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!key.verify(changed, of: [1, 2, 3]))
        }
    }

    @Test("what is made for one purpose never passes for another")
    func separatesPurposes() throws {
        let key = MACKey.generate()
        let same = try MACKey(bytes: key.bytes)
        #expect(same.derived(for: "cursor").bytes == key.derived(for: "cursor").bytes)
        #expect(key.derived(for: "cursor").bytes != key.derived(for: "token").bytes)
        #expect(!key.derived(for: "token").verify(key.derived(for: "cursor").sign([1]), of: [1]))
    }

    @Test("a key of fewer than 16 bytes is refused")
    func refusesShortKeys() {
        #expect(throws: SecretsError.self) { try MACKey(bytes: [UInt8](repeating: 1, count: 15)) }
    }
}

@Suite("Sealer")
struct SealerTests {
    @Test("opens what it sealed, only with the same key and context")
    func opens() throws {
        let sealer = try Sealer(key: SecureBytes.random(count: 32))
        let plain = Array("-----BEGIN PRIVATE KEY-----".utf8)
        let sealed = try sealer.seal(plain, context: "dkim/example.org")
        #expect(try sealer.open(sealed, context: "dkim/example.org") == plain)
        let moved = #expect(throws: SecretsError.self) { try sealer.open(sealed, context: "dkim/example.net") }
        #expect(moved?.code == .notAuthentic)
        let other = try Sealer(key: SecureBytes.random(count: 32))
        #expect(throws: SecretsError.self) { try other.open(sealed, context: "dkim/example.org") }
    }

    @Test("never seals twice alike, and hides nothing but the length")
    func hides() throws {
        let sealer = try Sealer(key: SecureBytes.random(count: 32))
        let plain = [UInt8](repeating: 0x41, count: 40)
        let sealed = try sealer.seal(plain, context: "")
        #expect(try sealer.seal(plain, context: "") != sealed)
        #expect(sealed.count == 40 + 29)
        #expect(try sealer.open(try sealer.seal([], context: "x"), context: "x") == [])
    }

    @Test("refuses bytes of which any one was changed or cut off")
    func refusesChanges() throws {
        let sealer = try Sealer(key: SecureBytes.random(count: 32))
        let sealed = try sealer.seal([1, 2, 3, 4], context: "c")
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 0x10
            #expect(throws: SecretsError.self) { try sealer.open(changed, context: "c") }
            #expect(throws: SecretsError.self) { try sealer.open(Array(sealed[..<index]), context: "c") }
        }
    }

    @Test("makes its key file once, for its owner only, and finds it again")
    func makesKeyFile() throws {
        let folder = try TemporaryFolder()
        let first = try Sealer.loadingOrCreating(keyFile: folder.file("key"))
        #expect(try folder.mode("key") == 0o600)
        let sealed = try first.seal([7], context: "c")
        let second = try Sealer.loadingOrCreating(keyFile: folder.file("key"))
        #expect(try second.open(sealed, context: "c") == [7])
        #expect(try Sealer(keyFile: folder.file("key")).open(sealed, context: "c") == [7])
    }

    @Test("refuses a key file that others may read, naming it")
    func refusesOpenFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("key", Base64URL.encode(SecureBytes.random(count: 32)), mode: 0o640)
        let error = #expect(throws: SecretsError.self) { try Sealer(keyFile: path) }
        #expect(error?.code == .unsafePermissions)
        #expect(error?.description.contains(path) == true)
        #expect(error?.description.contains("0640") == true)
    }

    @Test("refuses a key file without a key, and never replaces it", arguments: ["", "abc", "x y", "AAAA\n"])
    func refusesBadFile(text: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("key", text)
        let error = #expect(throws: SecretsError.self) { try Sealer.loadingOrCreating(keyFile: path) }
        #expect(error?.code == .malformed)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }

    @Test("a key file that is not there is missing, and a folder is no file")
    func tellsMissing() throws {
        let folder = try TemporaryFolder()
        let missing = #expect(throws: SecretsError.self) { try Sealer(keyFile: folder.file("none")) }
        #expect(missing?.code == .missing)
        let error = #expect(throws: SecretsError.self) { try SecretFile.read(folder.path) }
        #expect(error?.code == .unreadable)
    }
}

@Suite("Secret file")
struct SecretFileTests {
    @Test("never replaces a file that is there")
    func neverReplaces() throws {
        let folder = try TemporaryFolder()
        try SecretFile.create(folder.file("a"), contents: [1, 2])
        let error = #expect(throws: SecretsError.self) { try SecretFile.create(folder.file("a"), contents: [3]) }
        #expect(error?.code == .exists)
        #expect(try SecretFile.read(folder.file("a")) == [1, 2])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a"])
    }

    @Test("a file larger than allowed is refused")
    func refusesLarge() throws {
        let folder = try TemporaryFolder()
        try SecretFile.create(folder.file("a"), contents: [UInt8](repeating: 1, count: 101))
        #expect(throws: SecretsError.self) { try SecretFile.read(folder.file("a"), maximumBytes: 100) }
        #expect(try SecretFile.read(folder.file("a"), maximumBytes: 101).count == 101)
    }
}
