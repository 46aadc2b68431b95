// SPDX-License-Identifier: Apache-2.0

import DKIM
import Glibc
import MailingModel
import SMTP
import SatelliteCore
import SatelliteJournal
import Testing

/// Messages per second from a satellite into a sink in the same process; run with `TELSTAR_BENCH=1` on a release build.
@Suite("Throughput", .enabled(if: getenv("TELSTAR_BENCH") != nil), .serialized)
struct ThroughputBench {
    private static let recipients = 30_000
    private static let leaseSize = 1_000

    @Test("messages of 10 KB", arguments: ["unsigned", "Ed25519", "RSA-2048"])
    func tenKilobytes(signature: String) async throws {
        try await Cluster.with(configure: { configuration in
            configuration.messagesPerConnection = 1_000
            configuration.connectionsPerSite = 50
            configuration.journal.segmentSize = 16 << 20
        }) { cluster in
            var dkim: [DKIMSetting] = []
            if signature != "unsigned" {
                let key = signature == "RSA-2048" ? try DKIMPrivateKey.makeRSA2048() : DKIMPrivateKey.makeEd25519()
                let hash = try Cluster.hash(Array(key.pem.utf8))
                cluster.master.state.change { $0.keys[hash] = key.pem }
                dkim = [DKIMSetting(domain: "example.com", selector: "s1", key: hash)]
            }
            let paragraph = "<p>" + String(repeating: "Plenty of good news for everybody. ", count: 20) + "</p>\n"
            let html = String(repeating: paragraph, count: 10_240 / paragraph.utf8.count)
            let (content, bytes) = try Cluster.content(html: html, dkim: dkim)
            cluster.master.state.change { $0.blobs[content] = bytes }
            let clock = ContinuousClock()
            let leases = Self.recipients / Self.leaseSize
            let elapsed = try await clock.measure {
                for serial in 1...leases {
                    let addresses = (0..<Self.leaseSize).map { "u\($0)s\(serial)@d\($0 % 12).mail.test" }
                    cluster.master.grant(Cluster.grant(Int64(serial), content: content, addresses: addresses))
                    let sent = (serial - 5) * Self.leaseSize
                    try await cluster.master.state.until("progress") { $0.reports.count >= sent }
                }
                try await cluster.master.state.until("the end") { state in
                    state.reports.count >= Self.recipients
                }
            }
            let seconds = elapsed / .seconds(1)
            let size = cluster.sink.state.value.lastMessage.count
            print("\(signature): \(Int(Double(Self.recipients) / seconds)) messages/s of \(size) bytes, sink included")
            #expect(cluster.master.outcomes.summary == "delivered \(Self.recipients)")
        }
    }
}
