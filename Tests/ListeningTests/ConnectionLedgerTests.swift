// SPDX-License-Identifier: Apache-2.0

import Listening
import Logging
import NIOCore
import NIOEmbedded
import Testing

@Suite("The connections of a listener")
struct ConnectionLedgerTests {
    private func ledger(_ connections: Int, _ connectionsPerAddress: Int) -> ConnectionLedger {
        ConnectionLedger(
            name: "test.listen",
            limits: ConnectionLimits(connections: connections, connectionsPerAddress: connectionsPerAddress),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    private func connection(_ address: String) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        channel.remoteAddress = try SocketAddress(ipAddress: address, port: 1)
        return channel
    }

    @Test("an address has its bound, the listener has one, and what is closed leaves room")
    func bounds() throws {
        let ledger = self.ledger(3, 2)
        let first = try self.connection("192.0.2.1")
        #expect(ledger.admit(first) == nil)
        #expect(ledger.admit(try self.connection("192.0.2.1")) == nil)
        #expect(ledger.admit(try self.connection("192.0.2.1")) == .address)
        #expect(ledger.admit(try self.connection("192.0.2.2")) == nil)
        #expect(ledger.admit(try self.connection("192.0.2.3")) == .full)
        #expect(ledger.counts.open == 3)
        #expect(ledger.counts.refused == ["address": 1, "full": 1, "descriptors": 0])
        _ = try first.finish()
        #expect(ledger.counts.open == 2)
        #expect(ledger.admit(try self.connection("192.0.2.1")) == nil)
    }

    @Test("deadlines that have passed are counted by their kind")
    func cut() {
        let ledger = self.ledger(1, 1)
        for deadline in ["head", "head", "idle"] { ledger.cut(deadline, "test", from: nil) }
        #expect(ledger.counts.cut == ["head": 2, "idle": 1])
    }

    @Test(
        "an address counts as one origin: an IPv4 address, also as a mapped one, and a /64 of IPv6",
        arguments: [
            ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "20:1:d:b8:0:1:0:2/64"), ("2001:db8:1:2::1", "20:1:d:b8:0:1:0:2/64"),
        ]
    )
    func origins(address: String, origin: String) throws {
        #expect(ConnectionLedger.origin(try SocketAddress(ipAddress: address, port: 1)) == origin)
    }

    @Test("never more than a part of the descriptors, and a few at least")
    func share() {
        #expect(Descriptors.share(3, part: 8) == 3)
        #expect(Descriptors.share(.max, part: 8) == max(8, Descriptors.limit / 8))
        #expect(Descriptors.share(.max, part: .max) == 8)
    }
}
