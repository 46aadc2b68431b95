// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import SatelliteCore

@Suite("The delivery board")
struct BoardTests {
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

    /// A board with one lease queued at "site".
    private func board(
        _ count: Int,
        _ change: (inout SatelliteConfiguration) -> Void = { _ in }
    ) throws -> (DeliveryBoard, HeldLease) {
        var board = DeliveryBoard(self.configuration(change))
        board.isConnected = true
        let lease = try self.lease(1, count)
        board.hold(lease, waiting: Array(0..<count), started: [])
        let places = (0..<count).map { Place(lease: lease, index: $0, since: self.now) }
        _ = board.assign(places, to: self.route, key: "site", now: self.now)
        return (board, lease)
    }

    private func start(_ board: inout DeliveryBoard) -> BoardActions {
        var actions = BoardActions()
        for (lease, places) in board.planStarts(now: self.now) {
            actions.append(board.decideStart(lease, started: places, refused: EntryBitmap(), now: self.now))
        }
        return actions
    }

    @Test("asks a block ahead for a site of unknown rate, and no more until it is used")
    func asksABlock() throws {
        var (board, _) = try self.board(500)
        #expect(board.planStarts(now: self.now).map(\.1.count) == [32])
        #expect(board.planStarts(now: self.now).isEmpty)
        #expect(board.askedCount == 32)
    }

    @Test("never asks for more than the bound, however many sites there are")
    func bound() throws {
        var board = DeliveryBoard(self.configuration { $0.maximumStarted = 100 })
        board.isConnected = true
        for serial in 1...20 {
            let lease = try self.lease(Int64(serial), 50)
            board.hold(lease, waiting: Array(0..<50), started: [])
            let places = (0..<50).map { Place(lease: lease, index: $0, since: self.now) }
            _ = board.assign(places, to: self.route, key: "site\(serial)", now: self.now)
        }
        #expect(board.planStarts(now: self.now).reduce(0) { $0 + $1.1.count } == 100)
    }

    @Test("a revoked lease gives back what waits, what is ready, and what a connection had not begun with")
    func revoked() throws {
        var (board, lease) = try self.board(100)
        let actions = self.start(&board)
        let id = try #require(actions.open.first?.id)
        let block = board.take(for: id, at: "site", now: self.now)
        let started = board.startedCount
        #expect(started == 32 && !block.isEmpty)
        let revoked = board.revoke(lease.serial)
        #expect(lease.isRevoked && revoked.recall)
        #expect(revoked.returned.reduce(0) { $0 + $1.places.count } == 100 - block.count)
        #expect(board.startedCount == block.count && board.readyCount == 0)
        let given = board.giveBack(Array(block.dropFirst()), at: "site")
        let last = board.putBack([block[0]], at: "site", now: self.now)
        let places = EntryBitmap((revoked.returned + given.returned + last.returned).flatMap(\.places.places))
        #expect(places.count == 100)
        #expect(board.leases.isEmpty && board.withConnections == 0)
        #expect(revoked.finished.isEmpty && given.finished.isEmpty && last.finished.isEmpty)
    }

    @Test("an answer to a wish that crossed the revocation sends nothing")
    func revokedWhileAsked() throws {
        var (board, lease) = try self.board(10)
        let plan = board.planStarts(now: self.now)
        var returned = board.revoke(lease.serial).returned
        for (serial, places) in plan {
            let actions = board.decideStart(serial, started: places, refused: EntryBitmap(), now: self.now)
            #expect(actions.open.isEmpty)
            returned += actions.returned
        }
        #expect(EntryBitmap(returned.flatMap(\.places.places)).count == 10)
        #expect(board.leases.isEmpty && board.startedCount == 0 && board.askedCount == 0)
    }

    @Test("express recipients are asked for and taken first")
    func expressFirst() throws {
        var (board, _) = try self.board(100)
        let express = try self.lease(2, 3, .express)
        board.hold(express, waiting: [0, 1, 2], started: [])
        let places = (0..<3).map { Place(lease: express, index: $0, since: self.now) }
        _ = board.assign(places, to: self.route, key: "site", now: self.now)
        let actions = self.start(&board)
        let id = try #require(actions.open.first?.id)
        #expect(board.take(for: id, at: "site", now: self.now).prefix(3).allSatisfy { $0.lease.serial.rawValue == 2 })
    }

    @Test("opens connections as the backlog demands, within the site's limit")
    func connections() throws {
        var (board, _) = try self.board(500) { $0.connectionsPerSite = 7 }
        let actions = self.start(&board)
        #expect(actions.open.count == 7)
        #expect(board.connectionCount == 7)
    }

    @Test("S13: slots are given back however a connection ends")
    func slots() throws {
        var (board, _) = try self.board(500)
        let trace = AttemptTrace(stage: .connect, text: "refused")
        for round in 0..<50 {
            var actions = self.start(&board)
            actions.append(board.tick(.seconds(1), now: self.now + .seconds(2_000 * round)))
            for request in actions.open {
                let result: DeliveryBoard.ConnectionResult = round % 2 == 0 ? .worked : .unreachable(trace)
                let now = self.now + .seconds(2_000 * round)
                _ = board.connectionEnded(request.id, at: "site", result, now: now)
            }
            for id in board.sites["site"]?.connections ?? [] {
                _ = board.connectionEnded(id, at: "site", .worked, now: self.now)
            }
            #expect(board.connectionCount == board.sites.values.reduce(0) { $0 + $1.connections.count })
        }
    }

    @Test("when all hosts fail, what is started is deferred and the site pauses, longer each time")
    func pausing() throws {
        var (board, _) = try self.board(100)
        let actions = self.start(&board)
        let trace = AttemptTrace(stage: .connect, text: "refused")
        var finished = 0
        for request in actions.open {
            let ended = board.connectionEnded(request.id, at: "site", .unreachable(trace), now: self.now)
            finished += ended.finished.count
        }
        #expect(finished == 32)
        let site = try #require(board.sites["site"])
        #expect(site.isPaused(self.now + .seconds(59)))
        #expect(!site.isPaused(self.now + .seconds(61)))
        #expect(self.start(&board).finished.count == 32)
        _ = board.tick(.seconds(1), now: self.now + .seconds(61))
        var second = BoardActions()
        for (lease, places) in board.planStarts(now: self.now + .seconds(61)) {
            second.append(
                board.decideStart(lease, started: places, refused: EntryBitmap(), now: self.now + .seconds(61))
            )
        }
        #expect(second.open.count == 1)
        for request in second.open {
            _ = board.connectionEnded(request.id, at: "site", .unreachable(trace), now: self.now + .seconds(61))
        }
        #expect(board.sites["site"]?.isPaused(self.now + .seconds(61 + 119)) == true)
    }

    @Test("hosts of equal preference are shuffled, addresses in trouble come last")
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
        site.troubled["192.0.2.1"] = self.now + .seconds(10)
        #expect(site.candidates(now: self.now).last?.address == "192.0.2.1")
    }

    @Test("every place is reported or given back exactly once, in any order of events")
    func conservation() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            var (board, lease) = try self.board(60)
            var closed: [Int] = []
            var open: [ConnectionID] = []
            var taken: [Place] = []
            func note(_ actions: BoardActions) {
                closed += actions.finished.map(\.place.index)
                closed += actions.returned.flatMap(\.places.places) + actions.refused.flatMap(\.places.places)
                open += actions.open.map(\.id)
            }
            for _ in 0..<200 {
                switch Int.random(in: 0..<9, using: &generator) {
                case 0, 1:
                    for (serial, places) in board.planStarts(now: self.now) {
                        let refused = EntryBitmap(places.places.filter { $0 % 7 == 0 })
                        let started = EntryBitmap(places.places.filter { $0 % 7 != 0 })
                        note(board.decideStart(serial, started: started, refused: refused, now: self.now))
                    }
                case 2, 3:
                    if let id = open.last { taken += board.take(for: id, at: "site", now: self.now) }
                case 4:
                    if let place = taken.popLast() {
                        note(board.ended([("site", place.lease.serial)], now: self.now))
                        closed.append(place.index)
                    }
                case 5:
                    if let place = taken.popLast() { note(board.putBack([place], at: "site", now: self.now)) }
                case 6:
                    if let place = taken.popLast() {
                        let trace = AttemptTrace(stage: .mail, text: "closed")
                        note(board.requeue(place, at: "site", trace: trace, now: self.now))
                    }
                case 7:
                    board.disconnected()
                    board.isConnected = true
                default:
                    if let id = open.popLast() {
                        let trace = AttemptTrace(stage: .connect, text: "refused")
                        note(board.connectionEnded(id, at: "site", .unreachable(trace), now: self.now))
                    }
                }
            }
            note(board.withdraw(lease.serial))
            for place in taken {
                note(board.ended([("site", place.lease.serial)], now: self.now))
                closed.append(place.index)
            }
            for (serial, standing) in board.leases {
                let asked = EntryBitmap(standing.asked.keys)
                note(board.decideStart(serial, started: EntryBitmap(), refused: asked, now: self.now))
            }
            note(board.close(now: self.now))
            #expect(closed.sorted() == Array(0..<60))
            #expect(board.leases.isEmpty)
        }
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

    /// An outbox of batches of ten, two of them in flight at most, and short words for its moves.
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
