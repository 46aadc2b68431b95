// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Testing

@testable import MasterCore

@Suite("The lease planner")
struct LeasePlannerTests {
    private static func candidate(
        _ id: Int32,
        group: String? = nil,
        weight: Int = 1,
        affinity: DomainAffinity = DomainAffinity()
    ) -> LeasePlanner.Candidate {
        LeasePlanner.Candidate(id: SatelliteID(rawValue: id), group: group, weight: weight, affinity: affinity)
    }

    private static func record(_ candidate: LeasePlanner.Candidate) -> SatelliteRecord {
        SatelliteRecord(
            id: candidate.id,
            serial: "sat-\(candidate.id.rawValue)",
            group: candidate.group,
            weight: candidate.weight,
            affinity: candidate.affinity
        )
    }

    private static func row(
        _ mailing: Int32,
        _ bucket: UInt16,
        _ count: Int,
        _ deliveryClass: DeliveryClass = .bulk,
        waiting: Bool = false,
        group: String? = nil,
        domain: String? = nil,
        home: UInt16? = nil
    ) -> Backlog {
        Backlog(
            mailing: MailingID(rawValue: mailing),
            bucket: Bucket(rawValue: bucket),
            home: home.map { Bucket(rawValue: $0) },
            deliveryClass: deliveryClass,
            isRetry: waiting,
            count: count,
            satelliteGroup: group,
            domain: domain,
            started: nil
        )
    }

    private static func planner(
        _ rows: [Backlog],
        _ candidates: [LeasePlanner.Candidate],
        maximum: Int = 1_000,
        known: [LeasePlanner.Candidate]? = nil
    ) -> LeasePlanner {
        var planner = LeasePlanner(maximumRecipients: maximum, minimumShare: 100)
        planner.load(rows, candidates: candidates, known: (known ?? candidates).map(Self.record))
        return planner
    }

    private static func room(_ bulk: Int, express: Int = 0, leases: Int = 1_000) -> LeasePlanner.Room {
        LeasePlanner.Room(recipients: [.bulk: bulk, .express: express], leases: leases)
    }

    private static let one = SatelliteID(rawValue: 1)
    private static let two = SatelliteID(rawValue: 2)

    @Test("serves express recipients before any bulk")
    func expressFirst() {
        var planner = Self.planner([Self.row(1, 3, 500), Self.row(2, 9, 7, .express)], [Self.candidate(1)])
        let requests = planner.plan([Self.one: Self.room(1_000, express: 10)], maximumRequests: 10)
        #expect(requests.map(\.deliveryClass) == [.express, .bulk])
        #expect(requests.map(\.limit) == [7, 500])
    }

    @Test("never asks for more recipients than a satellite's room, of either class")
    func respectsRoom() {
        let rows = (0..<64).map { Self.row(1, UInt16($0), 90) } + (0..<64).map { Self.row(1, UInt16($0), 5, .express) }
        var planner = Self.planner(rows, [Self.candidate(1), Self.candidate(2)])
        let requests = planner.plan(
            [Self.one: Self.room(1_234, express: 17), Self.two: Self.room(77, express: 3)],
            maximumRequests: 1_000
        )
        for (satellite, bulk, express) in [(Self.one, 1_234, 17), (Self.two, 77, 3)] {
            let own = requests.filter { $0.satellite == satellite }
            #expect(own.filter { $0.deliveryClass == .bulk }.reduce(0) { $0 + $1.limit } == bulk)
            #expect(own.filter { $0.deliveryClass == .express }.reduce(0) { $0 + $1.limit } == express)
        }
    }

    @Test("asks for at most so many leases of a satellite and in one transaction")
    func respectsLeases() {
        let rows = (0..<64).map { Self.row(1, UInt16($0), 10) }
        var planner = Self.planner(rows, [Self.candidate(1)])
        let result1 = planner.plan([Self.one: Self.room(10_000, leases: 5)], maximumRequests: 100)
        #expect(result1.count == 5)
        let result2 = planner.plan([Self.one: Self.room(10_000)], maximumRequests: 7)
        #expect(result2.count == 7)
    }

    @Test("makes no lease longer than the maximum")
    func respectsMaximum() {
        var planner = Self.planner([Self.row(1, 0, 2_500)], [Self.candidate(1)])
        let requests = planner.plan([Self.one: Self.room(10_000)], maximumRequests: 10)
        #expect(requests.map(\.limit) == [1_000, 1_000, 500])
    }

    @Test("takes what it planned off the rows, so that nothing is asked for twice")
    func decrements() {
        var planner = Self.planner([Self.row(1, 0, 300)], [Self.candidate(1)])
        var total = 0
        while case let requests = planner.plan([Self.one: Self.room(130)], maximumRequests: 10), !requests.isEmpty {
            total += requests.reduce(0) { $0 + $1.limit }
        }
        #expect(total == 300)
        #expect(planner.backlog == 0)
    }

    @Test("shares a satellite between mailings of very different size without starving the small one")
    func fairShare() {
        let rows = (0..<250).map { Self.row(1, UInt16($0), 400) } + (0..<250).map { Self.row(2, UInt16($0), 2) }
        var planner = Self.planner(rows, [Self.candidate(1)])
        let requests = planner.plan([Self.one: Self.room(1_000)], maximumRequests: 1_000)
        let small = requests.filter { $0.mailing.rawValue == 2 }.reduce(0) { $0 + $1.limit }
        let large = requests.filter { $0.mailing.rawValue == 1 }.reduce(0) { $0 + $1.limit }
        #expect(small + large == 1_000)
        #expect((1...200).contains(small), "the small mailing got \(small)")
    }

    @Test("gives three equal mailings equal shares over many small rooms")
    func equalShares() {
        let rows = (1...3).flatMap { mailing in (0..<100).map { Self.row(Int32(mailing), UInt16($0), 100) } }
        var planner = Self.planner(rows, [Self.candidate(1)])
        var taken: [MailingID: Int] = [:]
        for _ in 0..<90 {
            for request in planner.plan([Self.one: Self.room(50)], maximumRequests: 10) {
                taken[request.mailing, default: 0] += request.limit
            }
        }
        #expect(taken.values.reduce(0, +) == 4_500)
        #expect(taken.values.allSatisfy { (1_400...1_600).contains($0) }, "\(taken)")
    }

    @Test("keeps the turn of the mailings over a fresh reading of the rows")
    func turnSurvivesReading() {
        let rows = (1...3).map { Self.row(Int32($0), 0, 10_000) }
        var planner = Self.planner(rows, [Self.candidate(1)])
        var taken: [MailingID: Int] = [:]
        for _ in 0..<60 {
            for request in planner.plan([Self.one: Self.room(50)], maximumRequests: 10) {
                taken[request.mailing, default: 0] += request.limit
            }
            planner.load(rows, candidates: [Self.candidate(1)], known: [Self.record(Self.candidate(1))])
        }
        #expect(taken.count == 3)
        #expect(taken.values.allSatisfy { $0 >= 800 }, "\(taken)")
    }

    @Test("gives a bucket to the same satellite in every mailing")
    func affinityOfBuckets() {
        let candidates = (1...4).map { Self.candidate(Int32($0)) }
        let rows = (1...2).flatMap { mailing in (0..<256).map { Self.row(Int32(mailing), UInt16($0), 1) } }
        var planner = Self.planner(rows, candidates)
        let room = Dictionary(uniqueKeysWithValues: candidates.map { ($0.id, Self.room(10_000)) })
        var owner: [Bucket: SatelliteID] = [:]
        for request in planner.plan(room, maximumRequests: 1_000) {
            if let former = owner.updateValue(request.satellite, forKey: request.bucket) {
                #expect(former == request.satellite)
            }
        }
        #expect(owner.count == 256)
        for candidate in candidates { #expect((30...110).contains(owner.values.filter { $0 == candidate.id }.count)) }
    }

    @Test("gives a bucket of a partition to the owner of the shared bucket with the same domains")
    func homes() {
        let candidates = (1...4).map { Self.candidate(Int32($0)) }
        let rows = (0..<200).flatMap { [Self.row(1, $0, 1), Self.row(1, 300 + $0, 1, home: $0)] }
        var planner = Self.planner(rows, candidates)
        let room = Dictionary(uniqueKeysWithValues: candidates.map { ($0.id, Self.room(10_000)) })
        let requests = planner.plan(room, maximumRequests: 1_000)
        let owner = Dictionary(uniqueKeysWithValues: requests.map { ($0.bucket.rawValue, $0.satellite) })
        #expect(owner.count == 400)
        for bucket in UInt16(0)..<200 { #expect(owner[bucket] == owner[300 + bucket]) }
    }

    @Test("moves only a lost satellite's buckets")
    func minimalMoves() {
        let candidates = (1...4).map { Self.candidate(Int32($0)) }
        let rows = (0..<256).map { Self.row(1, UInt16($0), 1) }
        func owners(_ candidates: [LeasePlanner.Candidate]) -> [Bucket: SatelliteID] {
            var planner = Self.planner(rows, candidates)
            let room = Dictionary(uniqueKeysWithValues: candidates.map { ($0.id, Self.room(1_000)) })
            return Dictionary(
                uniqueKeysWithValues: planner.plan(room, maximumRequests: 1_000).map { ($0.bucket, $0.satellite) }
            )
        }
        let before = owners(candidates)
        let after = owners(Array(candidates.dropLast()))
        for (bucket, owner) in before where owner.rawValue != 4 { #expect(after[bucket] == owner) }
    }

    @Test("shares buckets in proportion to the weights")
    func weights() {
        let candidates = [Self.candidate(1, weight: 1), Self.candidate(2, weight: 3)]
        let rows = (0..<256).map { Self.row(1, UInt16($0), 1) }
        var planner = Self.planner(rows, candidates)
        let requests = planner.plan(
            [Self.one: Self.room(1_000), Self.two: Self.room(1_000)],
            maximumRequests: 1_000
        )
        #expect((40...90).contains(requests.filter { $0.satellite == Self.one }.count))
    }

    @Test("relieves an owner without room, from the tail of its rows")
    func stealing() {
        let candidates = [Self.candidate(1), Self.candidate(2)]
        let rows = (0..<256).map { Self.row(1, UInt16($0), 10) }
        var planner = Self.planner(rows, candidates)
        let own = planner.pending(Self.one, .bulk)
        let foreign = planner.pending(Self.two, .bulk)
        let requests = planner.plan(
            [Self.one: Self.room(own + 50), Self.two: Self.room(0)],
            maximumRequests: 1_000
        )
        #expect(requests.allSatisfy { $0.satellite == Self.one })
        #expect(requests.reduce(0) { $0 + $1.limit } == own + 50)
        #expect(planner.pending(Self.two, .bulk) == foreign - 50)
        let stolen = requests.suffix(5).map(\.bucket)
        #expect(stolen == stolen.sorted().reversed(), "the last bucket goes first")
    }

    @Test("does not steal while the owner has room")
    func noStealingFromTheAble() {
        let candidates = [Self.candidate(1), Self.candidate(2)]
        let rows = (0..<256).map { Self.row(1, UInt16($0), 10) }
        var planner = Self.planner(rows, candidates)
        let own = planner.pending(Self.one, .bulk)
        let foreign = planner.pending(Self.two, .bulk)
        // The owner has room for everything, though it may be sent no more leases just now.
        let requests = planner.plan(
            [Self.one: Self.room(100_000), Self.two: Self.room(100_000, leases: 3)],
            maximumRequests: 1_000
        )
        #expect(requests.filter { $0.satellite == Self.one }.reduce(0) { $0 + $1.limit } == own)
        #expect(planner.pending(Self.two, .bulk) == foreign - 30)
    }

    @Test("leases only within the satellite group, where none is a group of its own")
    func groups() {
        let candidates = [Self.candidate(1, group: "a"), Self.candidate(2)]
        let rows = [Self.row(1, 0, 5, group: "a"), Self.row(2, 0, 5), Self.row(3, 0, 5, group: "b")]
        var planner = Self.planner(rows, candidates)
        let requests = planner.plan(
            [Self.one: Self.room(100), Self.two: Self.room(100)],
            maximumRequests: 10
        )
        #expect(Set(requests.map { [$0.mailing.rawValue, $0.satellite.rawValue] }) == [[1, 1], [2, 2]])
        #expect(planner.unroutable == 5)
    }

    @Test("gives a bucket of one domain to a satellite that may take that domain")
    func domainAffinity() {
        let candidates = [
            Self.candidate(1, affinity: DomainAffinity(exclude: ["orange.fr"])),
            Self.candidate(2, affinity: DomainAffinity(include: ["orange.fr"])),
        ]
        let rows = (0..<64).map { Self.row(1, UInt16($0), 1) } + [Self.row(1, 300, 9, domain: "orange.fr")]
        var planner = Self.planner(rows, candidates)
        let requests = planner.plan(
            [Self.one: Self.room(1_000), Self.two: Self.room(1_000)],
            maximumRequests: 1_000
        )
        #expect(requests.filter { $0.bucket.rawValue == 300 }.map(\.satellite) == [Self.two])
        #expect(requests.filter { $0.bucket.rawValue < 300 }.allSatisfy { $0.satellite == Self.one })
        #expect(requests.allSatisfy { $0.affinity == candidates[Int($0.satellite.rawValue) - 1].affinity })
    }

    @Test("lets recipients wait for an absent satellite, and counts those that none may take as unroutable")
    func unroutable() {
        let absent = Self.candidate(3, affinity: DomainAffinity(include: ["here.example"]))
        let rows = [Self.row(1, 300, 4, domain: "here.example"), Self.row(1, 301, 6, domain: "there.example")]
        let present = Self.candidate(1, affinity: DomainAffinity(include: ["other.example"]))
        let planner = Self.planner(rows, [present], known: [present, absent])
        #expect(planner.unroutable == 6)
        #expect(planner.backlog == 10)
    }

    @Test("offers waiting recipients that a satellite may not take to the next one, and then calls them unroutable")
    func refusals() {
        let candidates = [
            Self.candidate(1, affinity: DomainAffinity(exclude: ["x.example"])),
            Self.candidate(2, affinity: DomainAffinity(exclude: ["x.example"])),
        ]
        let rows = [Self.row(1, 0, 8, waiting: true)]
        var planner = Self.planner(rows, candidates)
        let room = [Self.one: Self.room(100), Self.two: Self.room(100)]
        var asked: [SatelliteID] = []
        for _ in 0..<3 {
            for request in planner.plan(room, maximumRequests: 10) {
                asked.append(request.satellite)
                let result3 = planner.claimed(request, granted: 0)
                #expect(result3)
            }
            planner.load(rows, candidates: candidates, known: candidates.map(Self.record))
        }
        #expect(Set(asked) == [Self.one, Self.two])
        #expect(asked.count == 2, "nobody is asked twice for the same recipients")
        #expect(planner.unroutable == 8)

        // Others have joined them: everybody may try again.
        planner.load([Self.row(1, 0, 9, waiting: true)], candidates: candidates, known: candidates.map(Self.record))
        #expect(planner.unroutable == 0)
    }

    @Test("does not take a short claim for a refusal when the satellite may take every domain")
    func shortClaims() {
        let rows = [Self.row(1, 0, 8, waiting: true)]
        var planner = Self.planner(rows, [Self.candidate(1)])
        for request in planner.plan([Self.one: Self.room(100)], maximumRequests: 10) {
            let result4 = planner.claimed(request, granted: 0)
            #expect(result4)
        }
        planner.load(rows, candidates: [Self.candidate(1)], known: [Self.record(Self.candidate(1))])
        #expect(planner.unroutable == 0)
        let result5 = planner.plan([Self.one: Self.room(100)], maximumRequests: 10)
        #expect(result5.count == 1)
    }

    @Test("makes shorter leases of a mailing whose leases the link cannot carry")
    func shorter() {
        var planner = Self.planner([Self.row(1, 0, 1_000)], [Self.candidate(1)])
        planner.shorten(MailingID(rawValue: 1), from: 1_000)
        let result6 = planner.plan([Self.one: Self.room(1_000)], maximumRequests: 10)
        #expect(result6.map(\.limit) == [500, 500])
    }

    @Test("forgets the rows of a mailing that was stopped")
    func drop() {
        var planner = Self.planner([Self.row(1, 0, 10), Self.row(2, 0, 20)], [Self.candidate(1)])
        planner.drop(MailingID(rawValue: 1))
        #expect(planner.backlog == 20)
        let result7 = planner.plan([Self.one: Self.room(100)], maximumRequests: 10)
        #expect(result7.map(\.mailing.rawValue) == [2])
    }

    @Test("retries are leased before the unleased rest of their mailing")
    func retriesFirst() {
        var planner = Self.planner([Self.row(1, 0, 10), Self.row(1, 200, 10, waiting: true)], [Self.candidate(1)])
        let requests = planner.plan([Self.one: Self.room(100)], maximumRequests: 10)
        #expect(requests.map(\.isRetry) == [true, false])
    }
}
