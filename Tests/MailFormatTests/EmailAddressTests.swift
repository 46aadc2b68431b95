// SPDX-License-Identifier: Apache-2.0

import MailFormat
import TestKit
import Testing

@Suite("Addresses, RFC 5321 §4.1.2")
struct EmailAddressTests {
    struct Accepted: Sendable, CustomTestStringConvertible {
        let text: String
        let local: String
        let envelope: String
        var needsUTF8 = false

        var testDescription: String { self.text }
    }

    static let accepted: [Accepted] = [
        Accepted(text: "jane@example.org", local: "jane", envelope: "jane@example.org"),
        Accepted(text: "Jane.Doe+tag@Example.ORG", local: "Jane.Doe+tag", envelope: "Jane.Doe+tag@example.org"),
        Accepted(text: "postmaster@example.org", local: "postmaster", envelope: "postmaster@example.org"),
        Accepted(
            text: "!#$%&'*+-/=?^_`{|}~@example.org",
            local: "!#$%&'*+-/=?^_`{|}~",
            envelope: "!#$%&'*+-/=?^_`{|}~@example.org"
        ),
        Accepted(text: "\"jane@home\"@example.org", local: "jane@home", envelope: "\"jane@home\"@example.org"),
        Accepted(text: "\"jane doe\"@example.org", local: "jane doe", envelope: "\"jane doe\"@example.org"),
        Accepted(text: "\"jane\"@example.org", local: "jane", envelope: "jane@example.org"),
        Accepted(text: "\"a\\\"b\\\\c\"@example.org", local: "a\"b\\c", envelope: "\"a\\\"b\\\\c\"@example.org"),
        Accepted(text: "\"..\"@example.org", local: "..", envelope: "\"..\"@example.org"),
        Accepted(text: "jane@bücher.example", local: "jane", envelope: "jane@xn--bcher-kva.example"),
        Accepted(text: "jane@BÜCHER.example", local: "jane", envelope: "jane@xn--bcher-kva.example"),
        Accepted(text: "jane@faß.de", local: "jane", envelope: "jane@xn--fa-hia.de"),
        Accepted(text: "jane@例え。テスト", local: "jane", envelope: "jane@xn--r8jz45g.xn--zckzah"),
        Accepted(text: "jane@xn--bcher-kva.example", local: "jane", envelope: "jane@xn--bcher-kva.example"),
        Accepted(text: "jürgen@example.org", local: "jürgen", envelope: "jürgen@example.org", needsUTF8: true),
        Accepted(text: "用户@例子.广告", local: "用户", envelope: "用户@xn--fsqu00a.xn--4rr70v", needsUTF8: true),
        Accepted(
            text: "\"jürgen x\"@example.org",
            local: "jürgen x",
            envelope: "\"jürgen x\"@example.org",
            needsUTF8: true
        ),
        Accepted(text: "jane@example.photography", local: "jane", envelope: "jane@example.photography"),
        Accepted(
            text: "jane@example.xn--vermgensberatung-pwb",
            local: "jane",
            envelope: "jane@example.xn--vermgensberatung-pwb"
        ),
        Accepted(text: "jane@my_host.example.org", local: "jane", envelope: "jane@my_host.example.org"),
        Accepted(text: "jane@localhost", local: "jane", envelope: "jane@localhost"),
        Accepted(text: "jane@[192.0.2.1]", local: "jane", envelope: "jane@[192.0.2.1]"),
        Accepted(text: "jane@[ipv6:2001:DB8::1]", local: "jane", envelope: "jane@[IPv6:2001:db8::1]"),
        Accepted(text: "jane@1and1.example", local: "jane", envelope: "jane@1and1.example"),
        Accepted(
            text: String(repeating: "a", count: 64) + "@example.org",
            local: String(repeating: "a", count: 64),
            envelope: String(repeating: "a", count: 64) + "@example.org"
        ),
    ]

    @Test("reads an address and writes its envelope form", arguments: Self.accepted)
    func accepts(_ row: Accepted) throws {
        let address = try EmailAddress(parsing: row.text)
        #expect(address.localPart == row.local)
        #expect(address.envelopeText == row.envelope)
        #expect(address.requiresSMTPUTF8 == row.needsUTF8)
        #expect(try EmailAddress(parsing: address.envelopeText) == address)
    }

    static let refused: [(String, AddressError.Code)] = [
        ("", .empty),
        ("postmaster@", .emptyDomain),
        ("@example.org", .emptyLocalPart),
        ("\"\"@example.org", .emptyLocalPart),
        ("jane", .missingAt),
        ("\"jane\"", .missingAt),
        ("\"jane\"x@example.org", .missingAt),
        ("jane@example.org\r\nBcc: x@example.net", .forbiddenCharacter),
        ("jane\n@example.org", .forbiddenCharacter),
        ("\"a\rb\"@example.org", .forbiddenCharacter),
        ("ja\0ne@example.org", .forbiddenCharacter),
        ("jane\u{7F}@example.org", .forbiddenCharacter),
        ("jane\u{85}@example.org", .forbiddenCharacter),
        ("jane\u{202E}gro@example.org", .forbiddenCharacter),
        ("jane@exam\u{2066}ple.org", .forbiddenCharacter),
        ("jane\u{200B}@example.org", .forbiddenCharacter),
        ("jane\u{A0}@example.org", .forbiddenCharacter),
        ("jane\u{FEFF}@example.org", .forbiddenCharacter),
        (".jane@example.org", .badLocalPart),
        ("jane.@example.org", .badLocalPart),
        ("ja..ne@example.org", .badLocalPart),
        ("ja ne@example.org", .badLocalPart),
        ("a,b@example.org", .badLocalPart),
        ("\"jane@example.org", .badLocalPart),
        ("Jane <jane@example.org>", .notBare),
        (" jane@example.org", .notBare),
        ("jane@example.org ", .notBare),
        ("jane@%example.org", .badDomain),
        ("jane@example..org", .badDomain),
        ("jane@.example.org", .badDomain),
        ("jane@example.org.", .badDomain),
        ("jane@-example.org", .badDomain),
        ("jane@example-.org", .badDomain),
        ("jane@home@example.org", .badDomain),
        ("jane@192.0.2.1", .badDomain),
        ("jane@[192.0.2.300]", .badDomain),
        ("jane@[IPv6:zz]", .badDomain),
        ("jane@[192.0.2.1", .badDomain),
        ("jane@exa mple.org", .badDomain),
        ("jane@ex>ample.org", .badDomain),
        ("jane@" + String(repeating: "a", count: 64) + ".org", .tooLong),
        (String(repeating: "a", count: 65) + "@example.org", .tooLong),
        ("jane@" + String(repeating: "abcdefg.", count: 32) + "org", .tooLong),
        (String(repeating: "a", count: 65_536), .tooLong),
        ("jane@" + String(repeating: "é", count: 60) + ".org", .badDomain),
    ]

    @Test("refuses what is not an address with a reason of one line", arguments: Self.refused)
    func refuses(_ text: String, _ code: AddressError.Code) {
        let error = #expect(throws: AddressError.self) { try EmailAddress(parsing: text) }
        #expect(error?.code == code)
        let reason = error?.description ?? ""
        #expect(!reason.isEmpty && reason.utf8.count < 160)
        #expect(reason.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
    }

    @Test("compares domains without case and local parts with it")
    func equality() throws {
        let address = try EmailAddress(parsing: "Jane@Bücher.example")
        #expect(try EmailAddress(parsing: "Jane@xn--bcher-kva.EXAMPLE") == address)
        #expect(try EmailAddress(parsing: "jane@bücher.example") != address)
        #expect(address.domain == "Bücher.example")
        #expect(DomainName.unicode(address.asciiDomain) == "bücher.example")
        #expect(Set([address, try EmailAddress(parsing: "Jane@xn--bcher-kva.example")]).count == 1)
    }

    @Test("reads the address of header text leniently")
    func lenient() throws {
        let address = try EmailAddress(lenient: "my-mailing@%example.org")
        #expect(address.envelopeText == "my-mailing@%example.org")
        #expect(try EmailAddress(lenient: "jane@Example.org") == EmailAddress(parsing: "jane@example.org"))
        #expect(throws: AddressError.self) { try EmailAddress(lenient: "jane@%exa\r\nmple.org") }
        #expect(throws: AddressError.self) { try EmailAddress(lenient: "jane@a<b") }
        let refused = [
            "%example..org", "%example.org.", ".%example.org", "example..org", "example.org.", "-example.org",
            "192.0.2.1",
        ]
        for domain in refused + [String(repeating: "%", count: 250)] {
            #expect(throws: AddressError.self) { try EmailAddress(lenient: "jane@\(domain)") }
        }
    }

    static let mailboxes: [(String, String, String)] = [
        ("Jane Doe <jane@example.org>", "Jane Doe", "jane@example.org"),
        ("\"Doe, Jane \\\"J\\\"\" <jane@example.org>", "Doe, Jane \"J\"", "jane@example.org"),
        ("=?UTF-8?Q?J=C3=BCrgen?= <j@example.org>", "Jürgen", "j@example.org"),
        ("Jürgen <j@example.org>", "Jürgen", "j@example.org"),
        ("<jane@example.org>", "", "jane@example.org"),
        ("jane@example.org", "", "jane@example.org"),
        ("My mailing <my-mailing@%example.org>", "My mailing", "my-mailing@%example.org"),
        ("\"<x>\" <jane@example.org>", "<x>", "jane@example.org"),
        ("X <\"a>b\"@example.org>", "X", "\"a>b\"@example.org"),
    ]

    @Test("reads a mailbox with or without a name", arguments: Self.mailboxes)
    func mailbox(_ text: String, _ name: String, _ address: String) throws {
        let mailbox = try Mailbox(parsing: text)
        #expect(mailbox.displayName == name)
        #expect(mailbox.address.envelopeText == address)
    }

    @Test("reads a list of mailboxes whose names hold commas")
    func mailboxList() throws {
        let list = try Mailbox.list(parsing: "\"Doe, Jane\" <jane@example.org>, , joe@example.org")
        #expect(list.map(\.displayName) == ["Doe, Jane", ""])
        #expect(list.map(\.address.envelopeText) == ["jane@example.org", "joe@example.org"])
    }

    @Test("never passes on a control character, whatever is mixed into an address")
    func mutations() {
        var random = SeededGenerator(seed: 21)
        let corpus = Self.accepted.map(\.text) + Self.refused.map(\.0).filter { $0.utf8.count < 200 }
        var accepted = 0
        for _ in 0..<8_000 {
            let bytes = random.mutated(Array(corpus.randomElement(using: &random)!.utf8))
            let text = String(decoding: bytes, as: UTF8.self)
            guard let address = try? EmailAddress(parsing: text) else { continue }
            accepted += 1
            #expect(address.envelopeText.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
            #expect(address.envelopeText.utf8.count <= EmailAddress.byteLimit)
            #expect((try? EmailAddress(parsing: address.envelopeText)) == address)
        }
        #expect(accepted > 300)
    }
}
