// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import DKIM
import MailingModel
import SMTP
import SatelliteCore
import Testing

@Suite("What a satellite does with what it is entrusted with", .timeLimit(.minutes(15)))
struct DeliveryTests {
    private func addresses(_ count: Int, domains: Int = 12) -> [String] {
        (0..<count).map { "user\($0)@d\($0 % domains).mail.test" }
    }

    @Test("a thousand recipients of twelve domains are each delivered and reported once")
    func thousand() async throws {
        try await Cluster.with { cluster in
            for serial in 1...4 {
                cluster.grant(Int64(serial), self.addresses(250).map { "s\(serial)" + $0 })
            }
            try await cluster.master.untilReported(1_000)
            #expect(cluster.master.outcomes.summary == "delivered 1000")
            #expect(cluster.sink.state.value.messages.count == 1_000)
            #expect(!cluster.sink.hasDuplicates)
            #expect(cluster.master.state.value.accepted.count == 4)
            #expect(cluster.sink.state.value.reversePaths.contains("7-t1x0@rp.example.org"))
        }
    }

    @Test("nothing is sent before the master has committed it as started")
    func startBeforeSending() async throws {
        try await Cluster.with { cluster in
            cluster.master.state.change { $0.answersStarts = false }
            cluster.grant(1, self.addresses(10))
            try await cluster.master.state.until("a Start") { !$0.unanswered.isEmpty }
            #expect(cluster.sink.state.value.recipients == 0)
            cluster.master.state.change { $0.refusals[LeaseSerial(rawValue: 1)] = EntryBitmap([0, 1, 2]) }
            cluster.master.answerStarts()
            try await cluster.master.untilReported(7)
            #expect(cluster.master.outcomes.summary == "delivered 7")
            #expect(cluster.sink.state.value.messages["user0@d0.mail.test"] == nil)
        }
    }

    @Test("outcomes known without a connection: NXDOMAIN, null MX, SERVFAIL, a bad address, a literal")
    func decidedOutcomes() async throws {
        try await Cluster.with { cluster in
            cluster.grant(
                1,
                ["a@gone.test", "a@null.test", "a@broken.test", "not an address", "a@[127.0.0.1]", "a@x.mail.test"]
            )
            try await cluster.master.untilReported(6)
            let outcomes = cluster.master.outcomes
            #expect(outcomes.summary == "deferred 1 delivered 1 failed 4")
            #expect(outcomes.values.allSatisfy { $0.trace.stage == .lookup || $0.trace.replyCode == 250 })
        }
    }

    @Test("a dead first MX costs nobody an attempt; a site with no living host defers")
    func nextHost() async throws {
        try await Cluster.with { cluster in
            cluster.grant(1, ["a@two.test", "b@two.test", "a@dead.test"])
            try await cluster.master.untilReported(3)
            #expect(cluster.master.outcomes.summary == "deferred 1 delivered 2")
            let deferred = cluster.master.outcomes.values.first { $0.trace.replyCode == nil }
            #expect(deferred?.trace.stage == .connect)
            #expect(deferred?.trace.mxHost == "mx.dead.test")
        }
    }

    @Test("T5: a server that throttles with 454 leaves deferred recipients and none dropped")
    func throttled() async throws {
        var script = TestSink.Script()
        script.recipient = { _, before in before % 5 < 3 ? .reply(454, "4.7.0 slow down") : nil }
        try await Cluster.with(script) { cluster in
            cluster.grant(1, self.addresses(200))
            try await cluster.master.untilReported(200)
            #expect(cluster.master.outcomes.summary == "deferred 120 delivered 80")
        }
    }

    @Test("T19: a server that closes between messages costs nobody an attempt")
    func closedBetweenMessages() async throws {
        var script = TestSink.Script()
        script.mail = { before in before == 3 ? .reply(421, "4.3.2 enough", closing: .afterReply) : nil }
        try await Cluster.with(script, configure: { $0.recipientsPerConnection = 1_000 }) { cluster in
            cluster.grant(1, self.addresses(40))
            try await cluster.master.untilReported(40)
            #expect(cluster.master.outcomes.summary == "delivered 40")
            #expect(!cluster.sink.hasDuplicates)
        }
    }

    @Test("421 in the greeting costs nobody an attempt, however many are started")
    func refusedAtGreeting() async throws {
        var script = TestSink.Script()
        script.greeting = { connection in connection <= 17 ? .reply(421, "4.7.0 later", closing: .afterReply) : nil }
        try await Cluster.with(script, configure: { $0.siteBackoff = .milliseconds(100) }) { cluster in
            cluster.grant(1, (0..<300).map { "u\($0)@x.mail.test" })
            try await cluster.master.untilReported(300)
            #expect(cluster.master.outcomes.summary == "delivered 300")
            #expect(!cluster.sink.hasDuplicates)
        }
    }

    @Test("504 for the EHLO name ends nobody, pauses the site and is reported")
    func hostNameRefused() async throws {
        var script = TestSink.Script()
        script.recipient = { _, _ in .reply(504, "5.5.2 <vm>: Helo command rejected: need fully-qualified hostname") }
        try await Cluster.with(script) { cluster in
            cluster.grant(1, (0..<300).map { "u\($0)@x.mail.test" })
            try await cluster.master.untilReported(1)
            #expect(cluster.sink.state.value.messages.isEmpty)
            let outcomes = cluster.master.outcomes
            #expect(outcomes.values.allSatisfy { if case .deferred = $0 { true } else { false } })
            #expect(outcomes.count <= 20, "one for each connection at most")
            let status = cluster.satellite.status()
            #expect(status.problems.contains { $0.contains("fully-qualified") })
            #expect(status.sites.first?.isPaused == true)
        }
    }

    @Test("a sender on a block list is deferred, and after a few the site is left alone")
    func blocked() async throws {
        var script = TestSink.Script()
        script.recipient = { _, _ in .reply(554, "5.7.1 client host blocked") }
        try await Cluster.with(script, configure: { $0.connectionsPerSite = 1 }) { cluster in
            cluster.grant(1, (0..<100).map { "u\($0)@x.mail.test" })
            try await cluster.master.untilReported(5)
            #expect(cluster.master.outcomes.summary == "deferred 5")
            #expect(cluster.satellite.status().sites.first?.isPaused == true)
        }
    }

    @Test("a resolver that answers for no domain is reported, and is nobody's attempt")
    func resolverUnable() async throws {
        try await Cluster.with(
            configure: {
                $0.failuresOfResolver = 3
                $0.lookupRetry = .seconds(1)
            }
        ) { cluster in
            cluster.grant(1, ["a@broken.test", "a@broken2.test", "a@broken3.test"])
            while cluster.satellite.status().problems.isEmpty {
                try Task.checkCancellation()
                await Task.yield()
            }
            #expect(cluster.satellite.status().problems.first?.hasPrefix("no name server answers") == true)
            #expect(cluster.master.state.value.reports.isEmpty)
            #expect(cluster.master.state.value.started.isEmpty)
        }
    }

    @Test("look-ups that fail for as long as a site may are an attempt: the schedule takes its course")
    func resolverUnableForLong() async throws {
        try await Cluster.with(
            configure: {
                $0.failuresOfResolver = 3
                $0.siteOutage = .milliseconds(100)
            }
        ) { cluster in
            cluster.grant(1, ["a@broken.test", "a@broken2.test", "a@broken3.test"])
            try await cluster.master.untilReported(3)
            #expect(cluster.master.outcomes.summary == "deferred 3")
        }
    }

    @Test("T14: a reply of 64 KB with NUL and invalid UTF-8 is a report of bounded, valid text")
    func hugeReply() async throws {
        var bytes: [UInt8] = []
        for line in 0..<700 {
            bytes += Array("line \(line) \u{0}".utf8) + [0xFF, 0xC3] + [UInt8](repeating: 0x41, count: 80) + [10]
        }
        let reply = SMTPServerReply(550, bytes: bytes)
        var script = TestSink.Script()
        script.recipient = { _, _ in SMTPServerDecision(reply: reply) }
        try await Cluster.with(script) { cluster in
            cluster.grant(1, ["a@x.mail.test", "b@x.mail.test"])
            try await cluster.master.untilReported(2)
            #expect(cluster.master.outcomes.values.allSatisfy { $0.trace.text.utf8.count <= 2_048 })
            #expect(cluster.master.outcomes.values.allSatisfy { !$0.trace.text.utf8.contains(0) })
        }
    }

    @Test("a server that never answers the final dot leaves an uncertain recipient, once")
    func silentAfterDot() async throws {
        var script = TestSink.Script()
        script.message = { _ in .postpone }
        try await Cluster.with(script, configure: { $0.finalDotTimeout = .milliseconds(300) }) { cluster in
            cluster.grant(1, ["a@slow.test"])
            try await cluster.master.untilReported(1)
            #expect(cluster.master.outcomes.summary == "uncertain 1")
            #expect(cluster.sink.state.value.recipients == 1)
        }
    }

    @Test("a slow site holds up no other")
    func slowSite() async throws {
        var script = TestSink.Script()
        script.message = { $0.hasSuffix("@slow.test") ? .postpone : nil }
        try await Cluster.with(script, configure: { $0.connectionsPerSite = 2 }) { cluster in
            cluster.grant(1, (0..<50).map { "u\($0)@slow.test" })
            try await cluster.sink.state.until("messages held back") { !$0.heldBack.isEmpty }
            cluster.grant(2, self.addresses(300))
            try await cluster.master.untilReported(300)
            #expect(cluster.master.outcomes.summary == "delivered 300")
            cluster.sink.release()
        }
    }

    @Test("content that the master lacks defers, content that does not compile is unrenderable")
    func badContent() async throws {
        try await Cluster.with { cluster in
            let (bad, bytes) = try Cluster.content(subject: "{{ name", html: "{% if x %}")
            let garbage = Array("no content".utf8)
            let garbageHash = try Cluster.hash(garbage)
            cluster.master.state.change { state in
                state.blobs[bad] = bytes
                state.blobs[garbageHash] = garbage
            }
            let missing = try Cluster.hash([1, 2, 3])
            cluster.master.grant(Cluster.grant(1, content: missing, addresses: ["a@x.mail.test"]))
            cluster.master.grant(Cluster.grant(2, content: bad, addresses: ["a@x.mail.test", "b@x.mail.test"]))
            cluster.master.grant(Cluster.grant(3, content: garbageHash, addresses: ["a@x.mail.test"]))
            cluster.grant(4, ["a@x.mail.test"])
            try await cluster.master.untilReported(5)
            #expect(cluster.master.outcomes.summary == "deferred 1 delivered 1 unrenderable 3")
            #expect(cluster.sink.state.value.messages.count == 1)
        }
    }

    @Test("messages are signed with the key that the master holds, and a missing key sends nothing unsigned")
    func signing() async throws {
        try await Cluster.with { cluster in
            let pem = DKIMPrivateKey.makeEd25519().pem
            let key = try Cluster.hash(Array(pem.utf8))
            let other = try Cluster.hash([9])
            let (good, goodBytes) = try Cluster.content(
                dkim: [DKIMSetting(domain: "example.com", selector: "s1", key: key)])
            let (bad, badBytes) = try Cluster.content(
                dkim: [DKIMSetting(domain: "example.com", selector: "s2", key: other)])
            cluster.master.state.change { state in
                state.blobs[good] = goodBytes
                state.blobs[bad] = badBytes
                state.keys[key] = pem
            }
            cluster.master.grant(Cluster.grant(1, content: good, addresses: ["a@x.mail.test"]))
            cluster.master.grant(Cluster.grant(2, content: bad, addresses: ["b@x.mail.test"]))
            try await cluster.master.untilReported(2)
            #expect(cluster.master.outcomes.summary == "deferred 1 delivered 1")
            let message = String(decoding: cluster.sink.state.value.lastMessage, as: UTF8.self)
            #expect(message.hasPrefix("DKIM-Signature:"))
            #expect(message.contains("s=s1"))
        }
    }

    @Test("a test mailing goes to the test target, after its MX was looked up")
    func testTarget() async throws {
        try await Cluster.with { cluster in
            cluster.grant(1, ["a@dead.test", "a@gone.test"], testing: true)
            try await cluster.master.untilReported(2)
            #expect(cluster.master.outcomes.summary == "delivered 1 failed 1")
            #expect(cluster.sink.state.value.messages["a@dead.test"] == 1)
        }
    }

    @Test("without a return path domain the header From's address is the reverse path")
    func reversePath() async throws {
        try await Cluster.with { cluster in
            cluster.master.grant(
                Cluster.grant(1, content: cluster.content, addresses: ["a@x.mail.test"], returnPathDomain: "")
            )
            try await cluster.master.untilReported(1)
            #expect(cluster.sink.state.value.reversePaths == ["news@example.com"])
        }
    }
}
