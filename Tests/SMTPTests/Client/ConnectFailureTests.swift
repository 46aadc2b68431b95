// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
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
