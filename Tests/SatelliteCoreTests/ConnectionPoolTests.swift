// SPDX-License-Identifier: Apache-2.0

import MailingModel
import NIOPosix
import SMTP
import SatelliteJournal
import Testing

@testable import SatelliteCore

@Suite("Connections and the scheduler they serve", .timeLimit(.minutes(15)))
struct ConnectionPoolTests {
    @Test("without event loops no connection is opened or counted, and what is ready waits")
    func notRunning() async throws {
        try await Parts.inDirectory { directory in
            let parts = try Parts(directory)
            let lease = HeldLease(parts.grant(1, 3), since: .now)
            parts.scheduler.withLock { $0.hold(lease, waiting: [], started: [0, 1, 2]) }
            let recipients = (0..<3).map { QueuedRecipient(lease: lease, index: $0, since: .now) }
            let route = SiteRoute(
                name: "site",
                hosts: [SiteHost(name: "mx", preference: 1, addresses: ["192.0.2.1"])],
                port: 25
            )
            parts.scheduler.change { scheduler, now in scheduler.assign(recipients, to: route, key: "site", now: now) }
            #expect(parts.scheduler.withLock { [$0.connectionCount, $0.readyCount] } == [0, 3])
        }
    }

    @Test("once connections are cut off no other is opened for what is ready, and what is past its dot is reported")
    func stopped() async throws {
        var script = TestSink.Script()
        script.message = { _ in .postpone }
        let sink = TestSink(script)
        let listener = try await sink.listen(on: MultiThreadedEventLoopGroup.singleton)
        try await Parts.inDirectory { directory in
            let parts = try Parts(directory) {
                $0.smtpPort = listener.port
                $0.usesTLS = false
                $0.connectionsPerSite = 1
                $0.connectionBlock = 1
            }
            let lease = HeldLease(parts.grant(1, 3), since: .now)
            _ = try parts.journal.accept([lease.grant])
            try parts.journal.recordStarted([lease.serial: EntryBitmap(0..<3)])
            parts.scheduler.withLock { $0.hold(lease, waiting: [], started: [0, 1, 2]) }
            try await parts.connections.start(scheduler: parts.scheduler, reports: parts.reports)
            try await Parts.running({ await parts.preparer.run() }) {
                parts.preparer.prepare(lease, [0, 1, 2])
                try await sink.state.until("a message held back") { $0.heldBack.count == 1 }
            }
            try await parts.connections.stop()
            while parts.scheduler.withLock({ $0.connectionCount }) > 0 || parts.reports.backlog == 0 {
                try Task.checkCancellation()
                await Task.yield()
            }
            #expect(sink.state.value.connections == 1)
            #expect(parts.reports.counts.uncertain == 1)
            #expect(parts.scheduler.withLock { $0.readyCount } == 2)
        }
        try await listener.close()
    }

    @Test("connections and scheduler refer to each other only while they run")
    func released() async throws {
        weak var scheduler: SharedScheduler?
        weak var connections: ConnectionPool?
        try await Parts.inDirectory { directory in
            let parts = try Parts(directory)
            (scheduler, connections) = (parts.scheduler, parts.connections)
            try await parts.connections.start(scheduler: parts.scheduler, reports: parts.reports)
            try await parts.connections.stop()
        }
        while scheduler != nil || connections != nil {
            try Task.checkCancellation()
            await Task.yield()
        }
    }
}
