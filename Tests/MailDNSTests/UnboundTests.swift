// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailDNS
import TestKit
import Testing

/// A real DNS server on a port of loopback, with local data only.
private final class LoopbackServer: Sendable {
    static let program = ["/usr/sbin/unbound", "/usr/local/sbin/unbound"].first(
        where: FileManager.default.isExecutableFile(atPath:)
    )

    let address: String
    private let process: Process
    private let directory: URL
    /// Kept open, so that the server can go on talking.
    private let output: Pipe

    init(_ records: [String]) throws {
        let port = try FreePort.pick(.udp)
        self.address = "127.0.0.1@\(port)"
        self.directory = FileManager.default.temporaryDirectory.appending(path: "unbound-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: self.directory, withIntermediateDirectories: true)
        let zones = """
                local-zone: "test." static
                local-zone: "broken.test." always_refuse
                local-zone: "slow.test." deny

            """
        let data = records.map { "    local-data: '\($0)'\n" }.joined()
        let configuration = """
            server:
                verbosity: 1
                interface: 127.0.0.1@\(port)
                do-daemonize: no
                use-syslog: no
                logfile: ""
                chroot: ""
                username: ""
                directory: "\(self.directory.path)"
                pidfile: ""
                num-threads: 1
            \(zones)\(data)
            remote-control:
                control-enable: no

            """
        let file = self.directory.appending(path: "unbound.conf")
        try configuration.write(to: file, atomically: true, encoding: .utf8)
        self.process = Process()
        self.process.executableURL = URL(filePath: Self.program ?? "")
        self.process.arguments = ["-d", "-c", file.path]
        let pipe = Pipe()
        self.process.standardError = pipe
        try self.process.run()
        // Reads until the server says that it serves, or ends.
        var said = ""
        while !said.contains("start of service") {
            let data = pipe.fileHandleForReading.availableData
            try #require(!data.isEmpty, "the server ended: \(said)")
            said += String(decoding: data, as: UTF8.self)
        }
        self.output = pipe
    }

    deinit {
        self.process.terminate()
        self.process.waitUntilExit()
        // Left behind in the temporary directory at worst.
        try? FileManager.default.removeItem(at: self.directory)
    }
}

@Suite("libunbound against a real server", .enabled(if: LoopbackServer.program != nil))
struct UnboundTests {
    private static let records = [
        "example.test. 600 MX 20 mx2.example.test.", "example.test. 600 MX 10 mx1.example.test.",
        "mx1.example.test. A 127.0.0.2", "mx1.example.test. AAAA ::1", "mx2.example.test. A 127.0.0.3",
        "plain.test. A 127.0.0.6", "alias.test. CNAME plain.test.", "nomail.test. MX 0 .",
        "lost.test. MX 10 gone.test.", "shaky.test. MX 10 broken.test.",
        "s1._domainkey.example.test. TXT \"v=DKIM1; \" \"p=ABC\"",
    ]

    private static func resolver(
        _ server: LoopbackServer,
        _ change: (inout UnboundConfiguration) -> Void = { _ in }
    ) throws -> UnboundResolver {
        var configuration = UnboundConfiguration()
        configuration.forwardTo = [server.address]
        configuration.addressPolicy = .any
        change(&configuration)
        return try UnboundResolver(configuration)
    }

    @Test("gives the routes that the same records give in a zone text")
    func routes() async throws {
        let server = try LoopbackServer(Self.records)
        let resolver = try Self.resolver(server)
        let zone = Self.records.map { $0.replacing(" 600 ", with: " ") } + ["broken.test SERVFAIL"]
        let fake = try FakeResolver(zoneFile: zone.joined(separator: "\n"))
        for domain in ["example.test", "plain.test", "alias.test", "nomail.test", "lost.test", "gone.test"] {
            let real = await resolver.route(for: domain)
            let expected = await fake.route(for: domain)
            switch (real, expected) {
            case (.hosts(let hosts, let site, _), .hosts(let others, let other, _)):
                #expect(hosts == others, "\(domain)")
                #expect(site == other, "\(domain)")
            default: #expect(real == expected, "\(domain)")
            }
        }
        for domain in ["broken.test", "shaky.test"] {
            guard case .temporaryFailure = await resolver.route(for: domain) else {
                Issue.record("\(domain) is no temporary failure")
                continue
            }
        }
        #expect(await resolver.textRecords("s1._domainkey.example.test") == ["v=DKIM1; p=ABC"])
        guard case .hosts(_, _, let validity) = await resolver.route(for: "example.test") else {
            Issue.record("no hosts")
            return
        }
        #expect(validity > .seconds(60) && validity <= .seconds(3_600))
    }

    @Test("gives up on a server that says nothing when the time is over, and answers others meanwhile")
    func timeout() async throws {
        let server = try LoopbackServer(Self.records)
        let resolver = try Self.resolver(server) { $0.timeout = .milliseconds(500) }
        async let slow = resolver.route(for: "slow.test")
        guard case .temporaryFailure(let text) = await slow else {
            Issue.record("an answer came")
            return
        }
        #expect(text.contains("no answer in time"))
    }

    @Test("rejects lookups, temporarily, when too many wait")
    func bounds() async throws {
        let server = try LoopbackServer(Self.records)
        let resolver = try Self.resolver(server) { configuration in
            configuration.parallelLookups = 1
            configuration.waitingLookups = 1
            configuration.timeout = .milliseconds(500)
        }
        let routes = await withTaskGroup(of: MailRoute.self) { group in
            for _ in 0..<8 { group.addTask { await resolver.route(for: "slow.test") } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(routes.contains(.temporaryFailure("MX of slow.test: too many lookups are waiting")))
        #expect(routes.contains(.temporaryFailure("MX of slow.test: no answer in time")))
    }

    @Test("looks many domains up at once")
    func parallel() async throws {
        let domains = (0..<500).map { "d\($0).test" }
        let server = try LoopbackServer(domains.map { "\($0). MX 10 mx.test." } + ["mx.test. A 127.0.0.2"])
        let resolver = try Self.resolver(server) { $0.parallelLookups = 32 }
        let found = await withTaskGroup(of: Bool.self) { group in
            for domain in domains {
                group.addTask {
                    guard case .hosts(let hosts, _, _) = await resolver.route(for: domain) else { return false }
                    return hosts.map(\.addresses) == [["127.0.0.2"]]
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(found == domains.count)
    }

    @Test("answers at once where nobody listens")
    func unreachable() async throws {
        var configuration = UnboundConfiguration()
        configuration.forwardTo = ["127.0.0.1@1"]
        configuration.timeout = .seconds(5)
        let resolver = try UnboundResolver(configuration)
        guard case .temporaryFailure = await resolver.route(for: "example.test") else {
            Issue.record("an answer came")
            return
        }
    }

    @Test("refuses a configuration that cannot be read")
    func configuration() {
        var configuration = UnboundConfiguration()
        configuration.forwardTo = ["nonsense"]
        #expect(throws: ResolverError.self) { try UnboundResolver(configuration) }
        configuration = UnboundConfiguration()
        configuration.resolvConf = "/nonexistent/resolv.conf"
        #expect(throws: ResolverError.self) { try UnboundResolver(configuration) }
    }
}
