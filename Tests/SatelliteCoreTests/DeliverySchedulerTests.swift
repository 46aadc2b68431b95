// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import SatelliteCore

@Suite("The delivery scheduler")
struct DeliverySchedulerTests {
    private let now = ContinuousClock.now

    private func configuration(_ change: (inout SatelliteConfiguration) -> Void = { _ in }) -> SatelliteConfiguration {
        var configuration = SatelliteConfiguration(serial: "s", heloName: "h", dataDirectory: "/nowhere")
        change(&configuration)
        return configuration
    }

    private func lease(_ serial: Int64, _ count: Int, _ deliveryClass: DeliveryClass = .bulk) throws -> HeldLease {
        let addresses = (0..<count).map { "u\($0)@x.test" }
        let grant = Cluster.grant(
            serial,
            content: try Cluster.hash([1]),
            addresses: addresses,
            deliveryClass: deliveryClass
        )
        return HeldLease(grant, since: self.now)
    }

    private let route = SiteRoute(
        name: "site",
        hosts: [SiteHost(name: "mx", preference: 1, addresses: ["192.0.2.1"])],
        port: 25
    )

    /// A scheduler with one lease queued at "site".
    func scheduler(
        _ count: Int,
        _ change: (inout SatelliteConfiguration) -> Void = { _ in }
    ) throws -> (DeliveryScheduler, HeldLease) {
        var scheduler = DeliveryScheduler(self.configuration(change))
        scheduler.isConnected = true
        let lease = try self.lease(1, count)
        scheduler.hold(lease, waiting: Array(0..<count), started: [])
        let recipients = (0..<count).map { QueuedRecipient(lease: lease, index: $0, since: self.now) }
        _ = scheduler.assign(recipients, to: self.route, key: "site", now: self.now)
        return (scheduler, lease)
    }

    private func start(_ scheduler: inout DeliveryScheduler) -> SchedulerActions {
        var actions = SchedulerActions()
        for (lease, entries) in scheduler.planStarts(now: self.now) {
            actions.append(scheduler.decideStart(lease, started: entries, refused: EntryBitmap(), now: self.now))
        }
        return actions
    }

    @Test("requests a block ahead for a site of unknown rate, and no more until it is used")
    func asksABlock() throws {
        var (scheduler, _) = try self.scheduler(500)
        #expect(scheduler.planStarts(now: self.now).map(\.1.count) == [32])
        #expect(scheduler.planStarts(now: self.now).isEmpty)
        #expect(scheduler.requestedCount == 32)
    }

    @Test("never requests more than the bound, however many sites there are")
    func bound() throws {
        var scheduler = DeliveryScheduler(self.configuration { $0.maximumStarted = 100 })
        scheduler.isConnected = true
        for serial in 1...20 {
            let lease = try self.lease(Int64(serial), 50)
            scheduler.hold(lease, waiting: Array(0..<50), started: [])
            let recipients = (0..<50).map { QueuedRecipient(lease: lease, index: $0, since: self.now) }
            _ = scheduler.assign(recipients, to: self.route, key: "site\(serial)", now: self.now)
        }
        #expect(scheduler.planStarts(now: self.now).reduce(0) { $0 + $1.1.count } == 100)
    }

    @Test("a revoked lease returns what waits, what is ready, and what a connection had not begun with")
    func revoked() throws {
        var (scheduler, lease) = try self.scheduler(100)
        let actions = self.start(&scheduler)
        let id = try #require(actions.open.first?.id)
        let block = scheduler.take(for: id, at: "site", now: self.now)
        let started = scheduler.startedCount
        #expect(started == 32 && !block.isEmpty)
        let revoked = scheduler.revoke(lease.serial)
        #expect(lease.isRevoked && revoked.recall)
        #expect(revoked.returned.reduce(0) { $0 + $1.entries.count } == 100 - block.count)
        #expect(scheduler.startedCount == block.count && scheduler.readyCount == 0)
        let given = scheduler.returnRevoked(Array(block.dropFirst()), at: "site")
        let last = scheduler.requeue([block[0]], at: "site", now: self.now)
        let entries = EntryBitmap((revoked.returned + given.returned + last.returned).flatMap(\.entries.indices))
        #expect(entries.count == 100)
        #expect(scheduler.leases.isEmpty && scheduler.withConnections == 0)
        #expect(revoked.finished.isEmpty && given.finished.isEmpty && last.finished.isEmpty)
    }

    @Test("an answer to a start request that crossed the revocation sends nothing")
    func revokedWhileRequested() throws {
        var (scheduler, lease) = try self.scheduler(10)
        let plan = scheduler.planStarts(now: self.now)
        var returned = scheduler.revoke(lease.serial).returned
        for (serial, entries) in plan {
            let actions = scheduler.decideStart(serial, started: entries, refused: EntryBitmap(), now: self.now)
            #expect(actions.open.isEmpty)
            returned += actions.returned
        }
        #expect(EntryBitmap(returned.flatMap(\.entries.indices)).count == 10)
        #expect(scheduler.leases.isEmpty && scheduler.startedCount == 0 && scheduler.requestedCount == 0)
    }

    @Test("express recipients are requested and taken first")
    func expressFirst() throws {
        var (scheduler, _) = try self.scheduler(100)
        let express = try self.lease(2, 3, .express)
        scheduler.hold(express, waiting: [0, 1, 2], started: [])
        let recipients = (0..<3).map { QueuedRecipient(lease: express, index: $0, since: self.now) }
        _ = scheduler.assign(recipients, to: self.route, key: "site", now: self.now)
        let actions = self.start(&scheduler)
        let id = try #require(actions.open.first?.id)
        #expect(
            scheduler.take(for: id, at: "site", now: self.now).prefix(3).allSatisfy { $0.lease.serial.rawValue == 2 }
        )
    }

    @Test("opens connections as the backlog demands, within the site's limit")
    func connections() throws {
        var (scheduler, _) = try self.scheduler(500) { $0.connectionsPerSite = 7 }
        let actions = self.start(&scheduler)
        #expect(actions.open.count == 7)
        #expect(scheduler.connectionCount == 7)
    }

    @Test("S13: slots are freed however a connection ends")
    func slots() throws {
        var (scheduler, _) = try self.scheduler(500)
        let trace = AttemptTrace(stage: .connect, text: "refused")
        for round in 0..<50 {
            var actions = self.start(&scheduler)
            actions.append(scheduler.tick(.seconds(1), now: self.now + .seconds(2_000 * round)))
            for request in actions.open {
                let result: DeliveryScheduler.ConnectionResult = round % 2 == 0 ? .worked : .unreachable(trace)
                let now = self.now + .seconds(2_000 * round)
                _ = scheduler.connectionEnded(request.id, at: "site", result, now: now)
            }
            for id in scheduler.sites["site"]?.connections ?? [] {
                _ = scheduler.connectionEnded(id, at: "site", .worked, now: self.now)
            }
            #expect(scheduler.connectionCount == scheduler.sites.values.reduce(0) { $0 + $1.connections.count })
        }
    }

    @Test(
        "when nobody answers, one has had an attempt, the others wait at the satellite, and the site pauses, longer each time"
    )
    func pausing() throws {
        var (scheduler, _) = try self.scheduler(100)
        let actions = self.start(&scheduler)
        let trace = AttemptTrace(stage: .connect, text: "refused")
        var finished = 0
        for request in actions.open {
            let ended = scheduler.connectionEnded(request.id, at: "site", .unreachable(trace), now: self.now)
            finished += ended.finished.count
        }
        #expect(finished == 1)
        #expect(scheduler.startedCount == 0)
        #expect(scheduler.waitingCount == 99)
        let site = try #require(scheduler.sites["site"])
        #expect(site.isPaused(self.now + .seconds(59)))
        #expect(!site.isPaused(self.now + .seconds(61)))
        #expect(scheduler.planStarts(now: self.now).isEmpty, "nothing is requested while the site is left alone")
        _ = scheduler.tick(.seconds(1), now: self.now + .seconds(61))
        var second = SchedulerActions()
        for (lease, entries) in scheduler.planStarts(now: self.now + .seconds(61)) {
            second.append(
                scheduler.decideStart(lease, started: entries, refused: EntryBitmap(), now: self.now + .seconds(61))
            )
        }
        #expect(second.open.count == 1)
        for request in second.open {
            _ = scheduler.connectionEnded(request.id, at: "site", .unreachable(trace), now: self.now + .seconds(61))
        }
        #expect(scheduler.sites["site"]?.isPaused(self.now + .seconds(61 + 119)) == true)
    }

    @Test("hosts of equal preference are shuffled, addresses that are backing off come last")
    func candidates() {
        let hosts = [
            SiteHost(name: "b", preference: 20, addresses: ["192.0.2.3"]),
            SiteHost(name: "a1", preference: 10, addresses: ["192.0.2.1", "2001:db8::1"]),
            SiteHost(name: "a2", preference: 10, addresses: ["192.0.2.2"]),
        ]
        var site = Site(SiteRoute(name: "s", hosts: hosts, port: 25), now: self.now)
        var firsts: Set<String> = []
        for _ in 0..<64 {
            let order = site.candidates(now: self.now)
            #expect(order.count == 4)
            #expect(order.last?.host == "b")
            if let first = order.first { firsts.insert(first.host) }
        }
        #expect(firsts == ["a1", "a2"])
        site.backingOff["192.0.2.1"] = self.now + .seconds(10)
        #expect(site.candidates(now: self.now).last?.address == "192.0.2.1")
    }

    @Test("every recipient is reported or returned exactly once, in any order of events")
    func conservation() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            var (scheduler, lease) = try self.scheduler(60)
            var closed: [Int] = []
            var open: [ConnectionID] = []
            var taken: [QueuedRecipient] = []
            func note(_ actions: SchedulerActions) {
                closed += actions.finished.map(\.recipient.index)
                closed += actions.returned.flatMap(\.entries.indices) + actions.refused.flatMap(\.entries.indices)
                open += actions.open.map(\.id)
            }
            for _ in 0..<200 {
                switch Int.random(in: 0..<11, using: &generator) {
                case 0, 1:
                    for (serial, entries) in scheduler.planStarts(now: self.now) {
                        let refused = EntryBitmap(entries.indices.filter { $0 % 7 == 0 })
                        let started = EntryBitmap(entries.indices.filter { $0 % 7 != 0 })
                        note(scheduler.decideStart(serial, started: started, refused: refused, now: self.now))
                    }
                case 2, 3:
                    if let id = open.last { taken += scheduler.take(for: id, at: "site", now: self.now) }
                case 4:
                    if let recipient = taken.popLast() {
                        note(scheduler.ended([("site", recipient.lease.serial, true)], now: self.now))
                        closed.append(recipient.index)
                    }
                case 5:
                    if let recipient = taken.popLast() {
                        note(scheduler.requeue([recipient], at: "site", now: self.now))
                    }
                case 6:
                    if let recipient = taken.popLast() {
                        let trace = AttemptTrace(stage: .mail, text: "closed")
                        note(scheduler.requeue(recipient, at: "site", trace: trace, now: self.now))
                    }
                case 7:
                    scheduler.disconnected()
                    scheduler.isConnected = true
                case 8:
                    note(scheduler.tick(.seconds(1), now: self.now + .seconds(Int.random(in: 0...1_000))))
                case 9:
                    scheduler.lacked("no descriptor", now: self.now)
                    let ruling = OutcomePolicy.Ruling(verdict: .deferred, subject: .sender, site: .backOff)
                    note(scheduler.throttled("site", AttemptTrace(stage: .mail, text: ""), ruling, now: self.now))
                default:
                    if let id = open.popLast() {
                        let trace = AttemptTrace(stage: .connect, text: "refused")
                        note(scheduler.connectionEnded(id, at: "site", .unreachable(trace), now: self.now))
                    }
                }
            }
            note(scheduler.withdraw(lease.serial))
            for recipient in taken {
                note(scheduler.ended([("site", recipient.lease.serial, true)], now: self.now))
                closed.append(recipient.index)
            }
            for (serial, state) in scheduler.leases {
                let requested = EntryBitmap(state.requested.keys)
                note(scheduler.decideStart(serial, started: EntryBitmap(), refused: requested, now: self.now))
            }
            note(scheduler.close(now: self.now))
            #expect(closed.sorted() == Array(0..<60))
            #expect(scheduler.leases.isEmpty)
        }
    }
}

@Suite("Sites that are left alone, and what the satellite lacks")
struct PausingTests {
    let now = ContinuousClock.now
    let scheduler = DeliverySchedulerTests()

    let refusal = AttemptTrace(stage: .greeting, replyCode: 421, enhancedStatus: "4.7.0", text: "4.7.0 later")

    /// Ends every connection that is asked for as `result` says, and returns what followed.
    func end(
        _ opened: SchedulerActions,
        _ scheduler: inout DeliveryScheduler,
        _ result: DeliveryScheduler.ConnectionResult,
        after seconds: Int = 0
    ) -> SchedulerActions {
        var actions = SchedulerActions()
        for request in opened.open {
            actions.append(scheduler.connectionEnded(request.id, at: "site", result, now: self.now + .seconds(seconds)))
        }
        return actions
    }

    func start(_ scheduler: inout DeliveryScheduler, after seconds: Int = 0) -> SchedulerActions {
        let now = self.now + .seconds(seconds)
        var actions = scheduler.tick(.seconds(1), now: now)
        for (lease, entries) in scheduler.planStarts(now: now) {
            actions.append(scheduler.decideStart(lease, started: entries, refused: EntryBitmap(), now: now))
        }
        return actions
    }

    @Test(
        "421 in the greeting is nobody's attempt: all started recipients wait again, in order, and go out after the pause"
    )
    func greeting() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(300)
        let ended = self.end(self.start(&scheduler), &scheduler, .unreachable(self.refusal))
        #expect(ended.finished.isEmpty)
        #expect(ended.pauses.map(\.held) == [32])
        #expect(ended.pauses.first?.subject == .sender)
        #expect(scheduler.waitingCount == 300)
        #expect(self.start(&scheduler, after: 59).open.isEmpty)
        let opened = self.start(&scheduler, after: 61)
        let id = try #require(opened.open.first?.id)
        #expect(opened.open.count == 1, "one connection tries")
        #expect(scheduler.take(for: id, at: "site", now: self.now + .seconds(61)).map(\.index) == Array(0..<16))
        #expect(lease.serial.rawValue == 1)
    }

    @Test(
        "once a site has been failing for long, its recipients are deferred as they come: the schedule takes its course"
    )
    func outage() throws {
        var (scheduler, _) = try self.scheduler.scheduler(300) { $0.waitingLimit = .seconds(100_000) }
        var deferred = 0
        var second = 0
        for pause in [60, 120, 240, 480] {
            let ended = self.end(
                self.start(&scheduler, after: second),
                &scheduler,
                .unreachable(self.refusal),
                after: second
            )
            deferred += ended.finished.count
            second += pause + 1
        }
        #expect(deferred == 32, "only the fourth failure is past the limit")
        #expect(self.start(&scheduler, after: second - 200).finished.count == 32)
        let traces = self.start(&scheduler, after: second - 190).finished.map(\.outcome.trace)
        #expect(traces.allSatisfy { $0 == self.refusal })
        scheduler.cleared("site")
        #expect(scheduler.sites["site"]?.failures == 0)
    }

    @Test("a reply that every recipient would hear pauses the site at once and calls its connections back")
    func pauseAtOnce() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(300)
        let opened = self.start(&scheduler)
        let id = try #require(opened.open.first?.id)
        let block = scheduler.take(for: id, at: "site", now: self.now)
        let trace = AttemptTrace(stage: .recipient, replyCode: 504, enhancedStatus: "5.5.2", text: "5.5.2 a full name")
        let actions = scheduler.throttled("site", trace, OutcomePolicy.ruling(trace), now: self.now)
        #expect(Set(actions.drain) == Set(opened.open.map(\.id)))
        #expect(actions.pauses.first?.subject == .configuration)
        #expect(scheduler.sites["site"]?.alarm == trace)
        let back = scheduler.requeue(Array(block.dropFirst()), at: "site", now: self.now)
        #expect(back.finished.isEmpty && back.open.isEmpty)
        _ = scheduler.ended([("site", lease.serial, false)], now: self.now)
        #expect(scheduler.waitingCount == 299)
        #expect(scheduler.startedCount == 0)
    }

    @Test("replies about the sender pause a site only several in a row")
    func streak() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(300)
        _ = self.start(&scheduler)
        let trace = AttemptTrace(stage: .recipient, replyCode: 550, enhancedStatus: "5.7.1", text: "5.7.1 no")
        let ruling = OutcomePolicy.ruling(trace)
        for _ in 0..<4 { #expect(scheduler.throttled("site", trace, ruling, now: self.now).pauses.isEmpty) }
        _ = scheduler.ended([("site", lease.serial, true)], now: self.now)
        for _ in 0..<4 { #expect(scheduler.throttled("site", trace, ruling, now: self.now).pauses.isEmpty) }
        #expect(scheduler.throttled("site", trace, ruling, now: self.now).pauses.count == 1)
        _ = scheduler.connectionReady("site", now: self.now)
        #expect(
            scheduler.sites["site"]?.isPaused(self.now) == true,
            "a connection that was under way says nothing against it"
        )
    }

    @Test(
        "what the satellite lacks is nobody's attempt: connections wait, longer each time, and fewer are opened after"
    )
    func shortage() throws {
        var (scheduler, _) = try self.scheduler.scheduler(300)
        let opened = self.start(&scheduler)
        #expect(opened.open.count == 15)
        #expect(self.end(opened, &scheduler, .lacking("too many open files")).finished.isEmpty)
        #expect(scheduler.shortage?.reason == "too many open files")
        #expect(scheduler.startedCount == 32)
        #expect(scheduler.sites["site"]?.isPaused(self.now) == false)
        #expect(scheduler.tick(.seconds(1), now: self.now).open.isEmpty)
        let again = self.start(&scheduler, after: 1)
        #expect(again.open.count == 10, "three quarters of those that were left")
        _ = self.end(again, &scheduler, .lacking("too many open files"), after: 1)
        #expect(self.start(&scheduler, after: 2).open.isEmpty)
        #expect(!self.start(&scheduler, after: 3).open.isEmpty)
        _ = scheduler.tick(.seconds(1), now: self.now + .seconds(5))
        #expect(scheduler.shortage == nil)
    }

    @Test("a started recipient that waits in vain because of the satellite's own lack is not deferred")
    func waitingInVain() throws {
        var (scheduler, _) = try self.scheduler.scheduler(20)
        let opened = self.start(&scheduler)
        _ = self.end(opened, &scheduler, .lacking("no port"))
        for second in stride(from: 2, through: 600, by: 2) {
            let again = self.start(&scheduler, after: second)
            #expect(again.finished.isEmpty)
            _ = self.end(again, &scheduler, .lacking("no port"), after: second)
        }
    }

    @Test("started recipients of a lease that was revoked meanwhile are returned to the master")
    func revoked() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(40)
        let opened = self.start(&scheduler)
        #expect(scheduler.withdraw(lease.serial).returned.map(\.entries.count) == [8])
        let ended = self.end(opened, &scheduler, .unreachable(self.refusal))
        #expect(ended.returned.map(\.entries.count) == [32])
        #expect(scheduler.leases.isEmpty)
    }

    @Test("at a shutdown what is started and nobody tried goes back, it is not deferred")
    func shutdown() throws {
        var (scheduler, _) = try self.scheduler.scheduler(40)
        _ = self.start(&scheduler)
        #expect(scheduler.drain().returned.map(\.entries.count) == [8])
        let closed = scheduler.close(now: self.now)
        #expect(closed.finished.isEmpty)
        #expect(closed.returned.map(\.entries.count) == [32])
    }
}

extension PausingTests {
    @Test("without a master nothing that it holds for started is returned: it could become uncertain")
    func withoutMaster() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(40)
        _ = self.end(self.start(&scheduler), &scheduler, .unreachable(self.refusal))
        scheduler.disconnected()
        #expect(scheduler.tick(.seconds(1), now: self.now + .seconds(601)).returned.isEmpty)
        #expect(scheduler.drain().returned.map(\.entries.indices) == [Array(32..<40)])
        let closed = scheduler.close(now: self.now)
        #expect(closed.finished.map(\.recipient.index) == Array(0..<32))
        #expect(closed.returned.isEmpty)
        #expect(scheduler.leases[lease.serial] == nil)
    }
}

extension PausingTests {
    @Test("a lease that the master disowns: what it may hold for started is reported, the rest returned")
    func disowned() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(40)
        _ = self.end(self.start(&scheduler), &scheduler, .unreachable(self.refusal))
        let abandoned = scheduler.abandon(lease.serial)
        #expect(abandoned.finished.map(\.recipient.index).sorted() == Array(0..<32))
        #expect(abandoned.finished.allSatisfy { $0.outcome == .deferred(DeliveryScheduler.abandonment) })
        #expect(abandoned.returned.flatMap(\.entries.indices) == Array(32..<40))
        #expect(scheduler.leases.isEmpty && scheduler.sites["site"]?.unstartedCount == 0)
    }

    @Test("a Start whose answer was lost may have been committed: a shutdown without a master reports it")
    func lostAnswer() throws {
        var (scheduler, _) = try self.scheduler.scheduler(40)
        #expect(scheduler.planStarts(now: self.now).map(\.1.count) == [32])
        scheduler.disconnected()
        #expect(scheduler.drain().returned.flatMap(\.entries.indices) == Array(32..<40))
        #expect(scheduler.close(now: self.now).finished.map(\.recipient.index).sorted() == Array(0..<32))
        #expect(scheduler.leases.isEmpty)
    }

    @Test(
        "a Start whose answer was lost, refused when it is repeated, is reported: it may count as uncertain"
    )
    func refusedAfterLostAnswer() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(40)
        _ = scheduler.planStarts(now: self.now)
        scheduler.disconnected()
        scheduler.isConnected = true
        let plan = try #require(scheduler.planStarts(now: self.now).first?.1)
        let refused = scheduler.decideStart(lease.serial, started: EntryBitmap(), refused: plan, now: self.now)
        #expect(refused.finished.map(\.recipient.index).sorted() == Array(0..<32))
        #expect(refused.refused.isEmpty)
    }

    @Test("a master that comes back during a shutdown gets what could not be returned without it")
    func masterBackDuringShutdown() throws {
        var (scheduler, _) = try self.scheduler.scheduler(40)
        _ = scheduler.planStarts(now: self.now)
        scheduler.disconnected()
        _ = scheduler.drain()
        scheduler.isConnected = true
        #expect(scheduler.drain().returned.flatMap(\.entries.indices) == Array(0..<32))
        #expect(scheduler.leases.isEmpty)
    }

    @Test(
        "a process whose machine was set back sends nothing started: it may have been sent since"
    )
    func machineSetBack() throws {
        var (scheduler, lease) = try self.scheduler.scheduler(40)
        let id = try #require(self.start(&scheduler).open.first?.id)
        let block = scheduler.take(for: id, at: "site", now: self.now)
        let distrusted = scheduler.distrustAll()
        #expect(distrusted.recall && lease.isRevoked)
        let given = scheduler.returnRevoked(block, at: "site")
        let finished = distrusted.finished + given.finished
        #expect(finished.map(\.recipient.index).sorted() == Array(0..<32))
        #expect(
            finished.allSatisfy {
                if case .uncertain = $0.outcome { true } else { false }
            }
        )
        #expect((distrusted.returned + given.returned).flatMap(\.entries.indices) == Array(32..<40))
        #expect(scheduler.leases.isEmpty && scheduler.withConnections == 0)
    }
}

@Suite("What is known of hosts with which TLS failed")
struct TLSMemoryTests {
    /// A memory whose changes can be asked for in an expectation.
    private final class Memory {
        private var memory = TLSMemory(memory: .seconds(3_600), pause: .seconds(30))
        private let start: ContinuousClock.Instant

        init(_ start: ContinuousClock.Instant) { self.start = start }

        func failed(_ host: String, after seconds: Int = 0) -> Bool {
            self.memory.failed(host, now: self.start + .seconds(seconds))
        }

        func prefersPlaintext(_ host: String, after seconds: Int = 0) -> Bool {
            self.memory.prefersPlaintext(host, now: self.start + .seconds(seconds))
        }

        func worked(_ host: String) { self.memory.worked(host) }
        func plaintextTaken(_ host: String) { self.memory.plaintextTaken(host) }
        func plaintextRefused(_ host: String) { self.memory.plaintextRefused(host) }
    }

    private let memory = Memory(.now)

    @Test("one broken handshake is no reason for plaintext, another after a pause is")
    func failing() {
        #expect(!self.memory.failed("mx"))
        #expect(!self.memory.failed("mx", after: 1), "a connection opened at the same time")
        #expect(!self.memory.prefersPlaintext("mx", after: 1))
        #expect(self.memory.failed("mx", after: 60))
        #expect(self.memory.prefersPlaintext("mx", after: 3_000))
        #expect(!self.memory.prefersPlaintext("mx", after: 3_700), "TLS is tried again")
        #expect(!self.memory.prefersPlaintext("other"))
    }

    @Test("a host that took plaintext before is spoken to in plaintext at once")
    func accepted() {
        _ = self.memory.failed("mx")
        _ = self.memory.failed("mx", after: 60)
        self.memory.plaintextTaken("mx")
        #expect(self.memory.failed("mx", after: 4_000))
    }

    @Test("a host that refuses plaintext is never spoken to in plaintext again")
    func refused() {
        _ = self.memory.failed("mx")
        _ = self.memory.failed("mx", after: 60)
        self.memory.plaintextRefused("mx")
        #expect(!self.memory.prefersPlaintext("mx", after: 61))
        #expect(!self.memory.failed("mx", after: 600))
    }

    @Test("TLS that works ends the memory")
    func works() {
        _ = self.memory.failed("mx")
        self.memory.worked("mx")
        #expect(!self.memory.failed("mx", after: 600))
    }
}

@Suite("The outbox of reports")
struct OutboxTests {
    private func reports(_ range: Range<Int>) -> [DeliveryReport] {
        range.map { index in
            DeliveryReport(
                recipient: RecipientID(packed: Int64(index)),
                attempt: AttemptSerial(rawValue: 1),
                lease: LeaseSerial(rawValue: 1),
                outcome: .delivered(AttemptTrace(stage: .finalDot, text: "")),
                endedAt: Timestamp(seconds: 0)
            )
        }
    }

    /// An outbox of batches of ten, two of them in flight at most, and shorthands for its moves.
    private final class Box {
        var outbox = ReportOutbox(batchSize: 10, window: 2)
        var now = ContinuousClock.now

        init(_ reports: [DeliveryReport]) { self.outbox.append(reports) }

        func connect(_ connection: UInt64) { self.outbox.connected(connection, now: self.now) }
        func disconnect() { self.outbox.disconnected() }
        func next() -> (batch: ReportOutbox.Batch, connection: UInt64)? { self.outbox.next(now: self.now) }
        func numbers(_ count: Int) -> [UInt64?] { (0..<count).map { _ in self.next()?.batch.sequence } }
        func acknowledge(_ sequence: UInt64) -> Int { self.outbox.acknowledged(sequence, now: self.now).count }
        func isOverdue() -> Bool { self.outbox.repeatOverdue(after: .seconds(15), now: self.now) }
    }

    @Test("sends within its window, repeats in order after a reconnection, forgets what is acknowledged")
    func window() {
        let box = Box(self.reports(0..<45))
        #expect(box.numbers(1) == [nil])
        box.connect(1)
        #expect(box.numbers(3) == [1, 2, nil])
        #expect(box.acknowledge(1) == 10)
        #expect(box.numbers(1) == [3])
        box.disconnect()
        #expect(box.numbers(1) == [nil])
        box.connect(2)
        #expect(box.numbers(3) == [2, 3, nil])
        #expect(box.acknowledge(3) == 20)
        #expect(box.outbox.backlog == 15)
        #expect((0..<2).map { _ in box.next()?.batch.reports.count } == [10, 5])
        #expect(box.acknowledge(5) == 15)
        #expect(box.outbox.backlog == 0)
    }

    @Test("names the connection that alone may carry a batch")
    func connection() {
        let box = Box(self.reports(0..<20))
        box.connect(1)
        #expect(box.next()?.connection == 1)
        box.disconnect()
        box.connect(2)
        let again = box.next()
        #expect(again?.connection == 2)
        #expect(again?.batch.sequence == 1)
    }

    @Test("repeats what is in flight, under the same numbers, when nothing was acknowledged for a while")
    func overdue() {
        let box = Box(self.reports(0..<40))
        box.connect(1)
        box.now += .seconds(60)
        #expect(!box.isOverdue(), "nothing is in flight")
        #expect(box.numbers(2) == [1, 2])
        box.now += .seconds(14)
        #expect(!box.isOverdue())
        #expect(box.acknowledge(1) == 10)
        #expect(box.numbers(1) == [3])
        box.now += .seconds(14)
        #expect(!box.isOverdue())
        box.now += .seconds(1)
        #expect(box.isOverdue())
        #expect(box.numbers(3) == [2, 3, nil])
        box.disconnect()
        box.now += .seconds(99)
        #expect(!box.isOverdue(), "no master is there to repeat to")
    }
}
