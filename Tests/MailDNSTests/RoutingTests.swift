// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MailDNS

@Suite("Which hosts take mail for a domain, RFC 5321 §5.1")
struct RoutingTests {
    private static let zone = """
        # Comments and blank lines are nothing.

        example.org      MX 20 mx2.example.org
        example.org      MX 10 MX1.Example.ORG.   # case and final dot do not matter
        example.org      MX 10 mx0.example.org
        mx0.example.org  A 127.0.0.4
        mx1.example.org  A 127.0.0.2
        mx1.example.org  AAAA ::1
        mx2.example.org  A 127.0.0.3
        mx2.example.org  A 127.0.0.5

        same.test        MX 5 mx2.example.org
        same.test        MX 5 mx1.example.org
        same.test        MX 7 mx0.example.org
        plain.test       A 127.0.0.6
        alias.test       CNAME plain.test
        circle.test      CNAME circle.test
        nomail.test      MX 0 .
        mixed.test       MX 0 .
        mixed.test       MX 10 mx2.example.org
        twice.test       MX 30 mx2.example.org
        twice.test       MX 10 mx2.example.org
        gone.test        NXDOMAIN
        broken.test      SERVFAIL
        empty.test       TXT nothing else
        lost.test        MX 10 gone.test
        shaky.test       MX 10 broken.test
        partly.test      MX 10 broken.test
        partly.test      MX 20 mx2.example.org

        s1._domainkey.example.org TXT "v=DKIM1; k=rsa; " "p=AB#C"
        s1._domainkey.example.org TXT second
        *                MX 10 mx.sink.test
        *.deep.test      MX 10 mx1.example.org
        *.very.deep.test MX 10 mx2.example.org
        mx.sink.test     A 127.0.0.9
        """

    private static func hosts(_ route: MailRoute) -> [String]? {
        guard case .hosts(let hosts, _, _) = route else { return nil }
        return hosts.map { "\($0.preference) \($0.name) \($0.addresses.joined(separator: " "))" }
    }

    private static func resolver(_ policy: AddressPolicy = .any) throws -> FakeResolver {
        try FakeResolver(zoneFile: self.zone, policy: policy)
    }

    @Test("sorts hosts by preference and keeps equal ones together, with all their addresses")
    func preferences() async throws {
        let route = try await Self.resolver().route(for: "Example.ORG.")
        #expect(
            Self.hosts(route) == [
                "10 mx0.example.org 127.0.0.4", "10 mx1.example.org 127.0.0.2 ::1",
                "20 mx2.example.org 127.0.0.3 127.0.0.5",
            ]
        )
    }

    @Test("gives domains with the same hosts the same site, whatever their order")
    func site() async throws {
        let resolver = try Self.resolver()
        guard case .hosts(_, let one, let validity) = await resolver.route(for: "example.org"),
            case .hosts(_, let other, _) = await resolver.route(for: "same.test")
        else {
            Issue.record("no hosts")
            return
        }
        #expect(one == other)
        #expect(one == "mx0.example.org,mx1.example.org,mx2.example.org")
        #expect(validity == .seconds(300))
    }

    @Test(
        "takes the domain itself where there is no MX, follows aliases, drops duplicates and a root among others",
        arguments: [
            ("plain.test", ["0 plain.test 127.0.0.6"]), ("alias.test", ["0 alias.test 127.0.0.6"]),
            ("mixed.test", ["10 mx2.example.org 127.0.0.3 127.0.0.5"]),
            ("twice.test", ["10 mx2.example.org 127.0.0.3 127.0.0.5"]),
            ("partly.test", ["20 mx2.example.org 127.0.0.3 127.0.0.5"]),
        ]
    )
    func shapes(domain: String, hosts: [String]) async throws {
        #expect(Self.hosts(try await Self.resolver().route(for: domain)) == hosts)
    }

    @Test("a null MX refuses mail for good, RFC 7505")
    func nullMX() async throws {
        #expect(try await Self.resolver().route(for: "nomail.test") == .refusesMail)
    }

    @Test(
        "what does not exist is permanent",
        arguments: ["gone.test", "empty.test", "lost.test", "", "a..b", String(repeating: "a", count: 64), "ü.test"]
    )
    func permanent(domain: String) async throws {
        guard case .noSuchDomain = try await Self.resolver().route(for: domain) else {
            Issue.record("\(domain) has a route")
            return
        }
    }

    @Test("what the DNS cannot say now is temporary", arguments: ["broken.test", "shaky.test", "circle.test"])
    func temporary(domain: String) async throws {
        guard case .temporaryFailure(let text) = try await Self.resolver().route(for: domain) else {
            Issue.record("\(domain) is no temporary failure")
            return
        }
        #expect(text.contains(domain) || text.contains("broken.test"))
    }

    @Test(
        "the exact name beats the longest suffix, which beats the star",
        arguments: [
            ("anything.example", "10 mx.sink.test 127.0.0.9"), ("a.deep.test", "10 mx1.example.org 127.0.0.2 ::1"),
            ("a.b.deep.test", "10 mx1.example.org 127.0.0.2 ::1"),
            ("x.very.deep.test", "10 mx2.example.org 127.0.0.3 127.0.0.5"), ("deep.test", "10 mx.sink.test 127.0.0.9"),
            ("plain.test", "0 plain.test 127.0.0.6"),
        ]
    )
    func precedence(domain: String, host: String) async throws {
        #expect(Self.hosts(try await Self.resolver().route(for: domain)) == [host])
    }

    @Test("a zone without a star knows nobody else")
    func unknown() async throws {
        let resolver = try FakeResolver(zoneFile: "a.test A 127.0.0.1")
        #expect(await resolver.route(for: "b.test") == .noSuchDomain("b.test does not exist (NXDOMAIN)"))
    }

    @Test("joins the strings of a TXT record, and keeps records apart")
    func text() async throws {
        let resolver = try Self.resolver()
        #expect(await resolver.textRecords("S1._domainkey.example.org") == ["v=DKIM1; k=rsa; p=AB#C", "second"])
        #expect(await resolver.textRecords("gone.test") == [])
    }

    @Test("hosts inside of our own network are not connected to, where the policy says so")
    func publicOnly() async throws {
        let resolver = try Self.resolver(.publicOnly)
        #expect(
            await resolver.route(for: "plain.test")
                == .noSuchDomain("no MX host of plain.test has an address on the public Internet")
        )
    }

    @Test(
        "distinguishes public addresses from others",
        arguments: [
            ("8.8.8.8", true), ("127.0.0.1", false), ("10.1.2.3", false), ("172.16.0.1", false), ("172.32.0.1", true),
            ("192.168.1.1", false), ("100.64.0.1", false), ("100.128.0.1", true), ("169.254.169.254", false),
            ("0.0.0.0", false), ("224.0.0.1", false), ("255.255.255.255", false), ("::1", false), ("::", false),
            ("::ffff:127.0.0.1", false), ("::ffff:8.8.8.8", true), ("fe80::1", false), ("fc00::1", false),
            ("2a00:1450:4001::1a", true), ("2001:db8::1", false), ("64:ff9b::a00:1", false), ("2002:7f00:1::", false),
            ("nonsense", false),
        ]
    )
    func addresses(address: String, isPublic: Bool) {
        #expect(NumericAddress.isPublic(address) == isPublic)
    }

    @Test(
        "says which line of a zone cannot be read",
        arguments: [
            "a.test", "a.test MX", "a.test MX ten mx.test", "a.test MX 10 mx.test 20", "a.test MX 70000 mx.test",
            "a.test A 1.2.3", "a.test AAAA 1.2.3.4", "a.test A ::1", "a.test NXDOMAIN really", "a.test WKS x",
            "a..test A 1.2.3.4", "*foo.. A 1.2.3.4", "a.test TXT",
        ]
    )
    func badZones(line: String) {
        #expect {
            try FakeResolver(zoneFile: "ok.test A 127.0.0.1\n\(line)")
        } throws: {
            ($0 as? ZoneError)?.line == 2
        }
    }

    @Test("reads record data, and refuses what is malformed, RFC 1035 §3.3")
    func recordData() {
        let name: [UInt8] = [2, 0x4D, 0x58, 1, 0x61, 0]
        #expect(RecordData.record(.mx, [0, 10] + name) == .mx(preference: 10, target: "mx.a"))
        #expect(RecordData.record(.mx, [0, 0, 0]) == .mx(preference: 0, target: ""))
        #expect(RecordData.record(.mx, [0, 10, 2, 0x4D]) == nil)
        #expect(RecordData.record(.mx, [0, 10, 0xC0, 0x0C]) == nil, "names are never compressed here")
        #expect(RecordData.record(.mx, [0, 10, 1, 0x2E, 0]) == nil)
        #expect(RecordData.record(.a, [1, 2, 3, 4]) == .address("1.2.3.4"))
        #expect(RecordData.record(.a, [1, 2, 3]) == nil)
        #expect(RecordData.record(.aaaa, [UInt8](repeating: 0, count: 15) + [1]) == .address("::1"))
        #expect(RecordData.record(.txt, [1, 0x61, 2, 0x62, 0x63]) == .text("abc"))
        #expect(RecordData.record(.txt, [3, 0x61]) == nil)
    }
}
