// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import SMTP
import SatelliteCore
import SatelliteJournal
import Testing

@Suite("Revoking work, and losing the master", .timeLimit(.minutes(15)))
struct RevokingTests {
    private let lease = LeaseSerial(rawValue: 1)

    /// Holds every message back once its content is here.
    private var holding: TestSink.Script {
        var script = TestSink.Script()
        script.message = { _ in .postpone }
        return script
    }

    private func addresses(_ count: Int) -> [String] { (0..<count).map { "u\($0)@x.mail.test" } }

    @Test(
        "after a revocation only a message whose final dot was sent is finished; the rest goes back, started or not",
        arguments: [RevocationReason.paused, .deleted, .ended, .removed, .reassigned]
    )
    func revocation(reason: RevocationReason) async throws {
        try await Cluster.with(self.holding, configure: { $0.connectionsPerSite = 1 }) { cluster in
            cluster.grant(1, self.addresses(100))
            try await cluster.sink.state.until("a message held back") { $0.heldBack.count == 1 }
            #expect(cluster.master.state.value.started[self.lease]?.count ?? 0 > 1)
            cluster.master.say(.revoke(self.lease, reason))
            try await cluster.master.state.until("what waits is returned") { state in
                state.returned[self.lease]?.count ?? 0 >= 98
            }
            cluster.sink.release()
            try await cluster.master.state.until("all but one are returned") { $0.returned[self.lease]?.count == 99 }
            try await cluster.master.untilReported(1)
            #expect(cluster.master.outcomes.summary == "delivered 1")
            #expect(cluster.sink.state.value.messages.count == 1)
            // The report is sent before the satellite has counted it.
            while cluster.satellite.status().started != 0 {
                try Task.checkCancellation()
                await Task.yield()
            }
        }
    }

    @Test("a message in its envelope is cut off by a revocation, and the connection's next lease is sent")
    func revocationInEnvelope() async throws {
        let held = Watched(0)
        var script = TestSink.Script()
        script.recipient = { address, _ in
            guard address.hasPrefix("u") else { return nil }
            held.change { $0 += 1 }
            return .postpone
        }
        try await Cluster.with(script) { cluster in
            cluster.grant(1, self.addresses(10))
            try await held.until("a recipient held back") { $0 > 0 }
            cluster.master.say(.revoke(self.lease, .deleted))
            try await cluster.master.state.until("all are returned") { $0.returned[self.lease]?.count == 10 }
            cluster.grant(2, ["other@x.mail.test"])
            try await cluster.master.untilReported(1)
            #expect(cluster.sink.state.value.messages == ["other@x.mail.test": 1])
        }
    }

    @Test("what was started and returned is not taken up by the next process")
    func revocationAndRestart() async throws {
        let directory = try Cluster.temporaryDirectory()
        defer { Cluster.remove(directory) }
        var stuck = TestSink.Script()
        stuck.mail = { _ in .postpone }
        try await Cluster.with(stuck, directory: directory) { cluster in
            cluster.grant(1, self.addresses(10))
            try await cluster.master.state.until("started") { $0.started[self.lease]?.count ?? 0 > 0 }
            cluster.master.say(.revoke(self.lease, .paused))
            try await cluster.master.state.until("all are returned") { $0.returned[self.lease]?.count == 10 }
        }
        try await Cluster.with(directory: directory) { cluster in
            #expect(cluster.satellite.status().started == 0)
            #expect(cluster.satellite.status().waiting == 0)
        }
    }

    @Test("the master is away: what was started is sent, reports are kept and repeated until acknowledged")
    func masterAway() async throws {
        var script = TestSink.Script()
        script.message = { _ in .postpone }
        try await Cluster.with(script) { cluster in
            cluster.grant(1, self.addresses(8))
            try await cluster.sink.state.until("a message") { !$0.heldBack.isEmpty }
            cluster.master.disconnect()
            let started = cluster.master.state.value.started[self.lease]?.count ?? 0
            while cluster.sink.state.value.messages.count < started {
                cluster.sink.release()
                let before = cluster.sink.state.value.messages.count
                guard before < started else { break }
                try await cluster.sink.state.until("one more") { !$0.heldBack.isEmpty || $0.messages.count > before }
            }
            #expect(cluster.master.state.value.reports.isEmpty)
            cluster.master.state.change { $0.acknowledgesReports = false }
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(started)
            cluster.master.disconnect()
            let before = cluster.master.state.value.batches
            cluster.master.state.change { $0.acknowledgesReports = true }
            cluster.master.connect(known: [self.lease])
            try await cluster.master.state.until("the reports again") { $0.batches.count >= before.count * 2 }
            #expect(Set(cluster.master.state.value.batches) == Set(before))
            #expect(cluster.master.outcomes.summary == "delivered \(started)")
        }
    }

    @Test("a lease that the master no longer knows is not sent any more")
    func unknownLease() async throws {
        try await Cluster.with { cluster in
            cluster.master.state.change { $0.answersStarts = false }
            cluster.grant(1, self.addresses(5))
            try await cluster.master.state.until("a Start") { !$0.unanswered.isEmpty }
            cluster.master.disconnect()
            cluster.master.state.change {
                $0.answersStarts = true
                $0.unanswered = []
            }
            cluster.master.connect(known: [])
            // It may have committed the Start whose answer was lost, and have counted the recipients as uncertain since.
            try await cluster.master.untilReported(5)
            #expect(cluster.master.outcomes.summary == "deferred 5")
            cluster.grant(2, ["other@x.mail.test"])
            try await cluster.master.untilReported(6)
            #expect(cluster.sink.state.value.messages == ["other@x.mail.test": 1])
        }
    }

    @Test("a Start whose answer was lost is requested again, and nothing is sent twice")
    func lostAnswer() async throws {
        try await Cluster.with { cluster in
            cluster.master.state.change { $0.answersStarts = false }
            cluster.grant(1, self.addresses(5))
            try await cluster.master.state.until("a Start") { !$0.unanswered.isEmpty }
            cluster.master.disconnect()
            cluster.master.state.change {
                $0.answersStarts = true
                $0.unanswered = []
            }
            cluster.master.connect(known: [self.lease])
            try await cluster.master.untilReported(5)
            #expect(cluster.master.outcomes.summary == "delivered 5")
            #expect(!cluster.sink.hasDuplicates)
        }
    }

    @Test("never started and kept too long: returned")
    func sweeping() async throws {
        try await Cluster.with(configure: { $0.waitingLimit = .milliseconds(50) }) { cluster in
            cluster.master.state.change { $0.answersStarts = false }
            cluster.grant(1, self.addresses(100))
            try await cluster.master.state.until("those without a request are returned") {
                ($0.returned[self.lease]?.count ?? 0) > 0
            }
            let requested = cluster.master.state.value.unanswered.reduce(0) { $0 + $1.1.count }
            try await cluster.master.state.until("all others back") {
                $0.returned[self.lease]?.count == 100 - requested
            }
            cluster.master.answerStarts()
            try await cluster.master.untilReported(requested)
        }
    }

    @Test("T17: started and without a connection in time: deferred, also behind a message that hangs")
    func startedLimit() async throws {
        try await Cluster.with(
            self.holding,
            configure: {
                $0.connectionsPerSite = 1
                $0.startedLimit = .seconds(4)
            }
        ) { cluster in
            cluster.grant(1, self.addresses(30))
            try await cluster.sink.state.until("a message held back") { $0.heldBack.count == 1 }
            try await cluster.master.state.until("the others deferred") { state in
                Set(state.reports.map(\.recipient)).count >= 28
            }
            #expect(cluster.master.state.value.reports.allSatisfy { $0.outcome.trace.replyCode == nil })
            cluster.sink.release()
        }
    }

    @Test("shutdown in the middle of DATA: awaited; what was never started goes back")
    func shutdown() async throws {
        var script = TestSink.Script()
        script.message = { $0 == "u0@x.mail.test" ? .postpone : nil }
        let outcome = Watched<[RecipientID: DeliveryOutcome]>([:])
        try await Cluster.with(
            script,
            configure: {
                $0.connectionsPerSite = 1
                $0.startBlock = 1
                $0.connectionBlock = 1
                $0.shutdownDrain = .milliseconds(50)
            }
        ) { cluster in
            cluster.grant(1, self.addresses(10))
            try await cluster.sink.state.until("a message held back") { $0.heldBack.count == 1 }
            cluster.satellite.beginShutdown()
            try await cluster.master.state.until("credit withdrawn") { $0.credit[.bulk] == 0 }
            try await cluster.master.state.until("the rest is returned") { state in
                (state.returned[self.lease]?.count ?? 0) + (state.started[self.lease]?.count ?? 0) >= 10
            }
            #expect(!cluster.master.state.value.isGone)
            cluster.sink.release()
            try await cluster.master.state.until("goodbye") { state in
                guard !state.isGone else { return true }
                return false
            }
            outcome.change { $0 = cluster.master.outcomes }
            // What was started and not tried goes back as well.
            let returned = cluster.master.state.value.returned[self.lease]?.count ?? 0
            #expect(cluster.master.outcomes.count + returned == 10)
            #expect(cluster.sink.state.value.messages.count >= 1)
        }
        #expect(outcome.value.values.contains { $0.trace.replyCode == 250 })
    }

    @Test("the goodbye does not overtake what is returned, over a link that is slow to take it")
    func goodbyeComesLast() async throws {
        let master = Watched<ScriptedMaster?>(nil)
        try await Cluster.with(configure: {
            $0.shutdownDrain = .milliseconds(50)
            $0.shutdownReports = .seconds(60)
        }) { cluster in
            master.change { $0 = cluster.master }
            cluster.master.state.change {
                $0.answersStarts = false
                $0.holdsReturns = true
            }
            for serial in Int64(1)...3 { cluster.grant(serial, self.addresses(4)) }
            try await cluster.master.state.until("all accepted") { $0.accepted.count == 3 }
            cluster.satellite.beginShutdown()
            try await cluster.master.state.until("something is returned") { $0.heldReturns > 0 }
            #expect(!cluster.master.state.value.isGone)
            cluster.master.state.change { $0.holdsReturns = false }
        }
        let state = try #require(master.value).state.value
        #expect(state.isGone)
        // What is asked for and not answered is the master's to take back.
        #expect(state.returnedBeforeGoodbye == 12 - state.unanswered.reduce(0) { $0 + $1.1.count })
        #expect(state.reports.isEmpty)
    }

    @Test("a superseded satellite stops with an error")
    func superseded() async throws {
        await #expect(throws: SatelliteError.self) {
            try await Cluster.with { cluster in
                cluster.master.say(.superseded)
                try await cluster.master.state.until("nothing") { _ in true }
            }
        }
    }
}
