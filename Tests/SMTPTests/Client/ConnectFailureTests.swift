// SPDX-License-Identifier: Apache-2.0

import Glibc
import Listening
import NIOCore
import NIOPosix
import Testing

@testable import SMTP

@Suite("Whose failure it is that no connection came about")
struct ConnectFailureTests {
    private func end(_ code: Int32, _ address: String = "192.0.2.1", from local: String? = nil) -> SMTPConnectionEnd {
        SMTPClient.end(IOError(errnoCode: code, reason: "connect"), address, from: local)
    }

    private func isOurs(_ end: SMTPConnectionEnd) -> Bool {
        if case .lacksResources = end { true } else { false }
    }

    @Test("no descriptor, no buffer, no memory is this process's lack", arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM])
    func resources(code: Int32) { #expect(self.isOurs(self.end(code))) }

    @Test("no free port, or a local address that is not there, is the machine's")
    func ports() {
        #expect(self.isOurs(self.end(EADDRNOTAVAIL)))
        #expect(self.isOurs(self.end(EADDRNOTAVAIL, "2001:db8::1", from: "2001:db8::9")))
    }

    @Test("a host without IPv6 says of an IPv6 address that it cannot be reached, not that nothing can be")
    func withoutIPv6() {
        #expect(!self.isOurs(self.end(EADDRNOTAVAIL, "2001:db8::1")))
        #expect(!self.isOurs(self.end(ENETUNREACH, "2001:db8::1")))
    }

    @Test(
        "a server that refuses, or does not answer, is the server's",
        arguments: [ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT]
    )
    func servers(code: Int32) {
        #expect(self.end(code) == .connectFailed(String(cString: strerror(code))))
    }
}

@Suite("Connections while few descriptors are left")
struct FewDescriptorsTests {
    @Test("none is made, so that what the process itself needs is there")
    func reserve() async {
        // The limit is the whole process's, so it is lowered in one of its own.
        await #expect(processExitsWith: .success) {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let loop = group.any()
            // Whatever the event loop opens when it starts is open.
            try await loop.submit {}.get()
            let used = try #require(Descriptors.inUse)
            var limit = rlimit()
            try #require(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            limit.rlim_cur = rlim_t(used + 12)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)

            let end = try await loop.flatSubmit { () -> EventLoopFuture<SMTPConnectionEnd> in
                let promise = loop.makePromise(of: SMTPConnectionEnd.self)
                // Were it tried, this would be refused by the kernel, which is about the server.
                SMTPClient.connect(
                    host: "mx.test",
                    address: "127.0.0.1",
                    port: 1,
                    on: loop,
                    configuration: SMTPClientConfiguration(heloName: "client.test"),
                    delegate: EndOnly(promise)
                )
                return promise.futureResult
            }.get()
            guard case .lacksResources(let reason) = end else {
                Issue.record("it ended with \(end)")
                return
            }
            #expect(reason.contains("file descriptors"))
        }
    }
}

/// Hears how a connection ended.
private final class EndOnly: SMTPConnectionDelegate {
    private let promise: EventLoopPromise<SMTPConnectionEnd>

    init(_ promise: EventLoopPromise<SMTPConnectionEnd>) { self.promise = promise }

    func connectionReady(_ connection: SMTPConnection) {}
    func nextTransaction(_ connection: SMTPConnection) -> SMTPTransaction? { nil }
    func willSendFinalDot(_ connection: SMTPConnection, _ id: UInt64) {}
    func transactionEnded(_ connection: SMTPConnection, _ id: UInt64, _ end: SMTPTransactionEnd) {}
    func connectionClosed(_ connection: SMTPConnection, _ reason: SMTPConnectionEnd) { self.promise.succeed(reason) }
}

@Suite("The name given with EHLO (RFC 5321 §4.1.4)")
struct HostNameTests {
    @Test(
        "a full name or an address literal",
        arguments: [
            "mail.example.org", "a.b", "x-1.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "mx.xn--bcher-kva.example",
        ]
    )
    func good(name: String) { #expect(SMTPHostName.objection(to: name) == nil) }

    @Test(
        "anything else is refused by receivers",
        arguments: [
            "vm", "", "localhost", "localhost.localdomain", "under_score.example", "-a.example", "a..b", "a.example.",
            "192.0.2.1", "[mail.example]", "[]", "a b.example", "büro.example",
        ]
    )
    func bad(name: String) { #expect(SMTPHostName.objection(to: name) != nil) }

    @Test("the literal of a socket's address")
    func literals() throws {
        #expect(SMTPHostName.literal(of: try SocketAddress(ipAddress: "192.0.2.1", port: 1)) == "[192.0.2.1]")
        #expect(SMTPHostName.literal(of: try SocketAddress(ipAddress: "2001:db8::1", port: 1)) == "[IPv6:2001:db8::1]")
        #expect(SMTPHostName.literal(of: nil) == nil)
    }
}
