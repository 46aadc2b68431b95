// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import TestKit
import Testing

@Suite("Random operations against a model")
struct RandomOperationTests {
    @Test(
        "after any sequence of operations the store holds what the model holds",
        arguments: StoreFactory.all,
        [Life(seed: 1), Life(seed: 2), Life(seed: 3), Life(seed: 4, partitionThreshold: 30)]
    )
    func agreement(factory: StoreFactory, life: Life) async throws {
        let retry = RetrySchedule(
            steps: [.init(below: 3, delay: .seconds(60))],
            finalDelay: .seconds(600),
            giveUpAfter: .seconds(5_000)
        )
        try await factory.withStore(retry: retry, partitionThreshold: life.partitionThreshold) { fixture in
            var run = try await Run(fixture, seed: life.seed)
            for step in 0..<2_000 {
                try await run.step()
                if step % 100 == 99 { try await run.compare(step) }
            }
            try await run.finish()
        }
    }

    /// What one random life begins with.
    struct Life: Sendable {
        var seed: UInt64
        var partitionThreshold = Partition.threshold
    }

    /// One random life of a store.
    private struct Run {
        private let fixture: Fixture
        private var model: StoreModel
        private var generator: SeededGenerator
        private let satellites: [SatelliteID]
        /// Every entry ever granted, for reports late and early.
        private var history: [(grant: LeaseGrant, entry: LeaseEntry, satellite: SatelliteID, granted: Timestamp)] = []
        private var prefix = 0

        init(_ fixture: Fixture, seed: UInt64) async throws {
            self.fixture = fixture
            self.model = StoreModel(schedule: fixture.retry)
            self.generator = SeededGenerator(seed: seed)
            self.satellites = [try await fixture.makeSatellite("one"), try await fixture.makeSatellite("two")]
            for policy in UncertainPolicy.allCases { try await self.makeMailing(policy) }
        }

        mutating func step() async throws {
            let roll = self.random(0..<1000)
            switch roll {
            case 0..<90: try await self.add()
            case 90..<330: try await self.claim()
            case 330..<560: try await self.start()
            case 560..<800: try await self.report()
            case 800..<840: try await self.requeue()
            case 840..<870: try await self.revoke()
            case 870..<890: try await self.resolveStarted()
            case 890..<910: try await self.pauseOrStart()
            case 910..<960: self.fixture.pass(.seconds(self.random(1..<400)))
            case 960..<970: try await self.resolve()
            case 970..<980: try await self.reset()
            case 980..<984: try await self.fixture.reopen()
            case 984..<990: try await self.expire()
            case 990..<994: try await self.resolveMailing()
            default: try await self.finishIfComplete()
            }
        }

        // MARK: Operations

        private mutating func makeMailing(_ policy: UncertainPolicy) async throws {
            let id = try await self.fixture.makeMailing { $0.uncertainPolicy = policy }
            self.model.mailings[id] = StoreModel.MailingState(status: .ready, policy: policy)
        }

        private mutating func add() async throws {
            guard let id = self.openMailing() else { return }
            self.prefix += 1
            let domains = ["a.example", "b.example", "c.example"]
            let added = try await self.fixture.add(
                self.random(1..<25),
                to: id,
                domain: domains[self.random(0..<3)],
                prefix: "p\(self.prefix)-"
            )
            self.model.add(added, at: self.fixture.now)
        }

        private mutating func claim() async throws {
            let backlog = try await self.fixture.store.backlog(at: self.fixture.now)
            guard let work = backlog.randomElement(using: &self.generator) else { return }
            let satellite = self.satellite()
            let grants = try await self.fixture.store.claim(
                [
                    ClaimRequest(
                        mailing: work.mailing,
                        bucket: work.bucket,
                        deliveryClass: work.deliveryClass,
                        isRetry: work.isRetry,
                        satellite: satellite,
                        affinity: DomainAffinity(),
                        limit: self.random(1..<15)
                    )
                ],
                at: self.fixture.now,
                lifetime: .seconds(60)
            )
            #expect(grants.count == 1)
            for grant in grants {
                let isClaimable = self.model.claim(grant, by: satellite, at: self.fixture.now)
                #expect(isClaimable, "leased twice or too early")
                for entry in grant.entries { self.history.append((grant, entry, satellite, self.fixture.now)) }
            }
        }

        private mutating func start() async throws {
            guard let lease = self.lease() else { return }
            let satellite = self.random(0..<20) == 0 ? self.satellite() : lease.satellite
            let indices = self.indices(lease)
            let decision = try await self.fixture.store.start(
                [StartRequest(lease: lease.grant.serial, entries: EntryBitmap(indices))],
                by: satellite,
                at: self.fixture.now
            )[0]
            let expected = self.model.start(lease.grant.serial, indices, by: satellite, at: self.fixture.now)
            #expect(decision.granted.indices == expected.granted)
            #expect(decision.refused.indices == expected.refused)
        }

        private mutating func report() async throws {
            guard !self.history.isEmpty else { return }
            var reports: [DeliveryReport] = []
            let satellite = self.satellite()
            var expected = (applied: 0, repeated: 0)
            for _ in 0..<self.random(1..<12) {
                let recent = max(0, self.history.count - 60)
                let index = self.random(self.random(0..<10) == 0 ? 0..<self.history.count : recent..<self.history.count)
                let past = self.history[index]
                guard past.satellite == satellite else { continue }
                let report = Fixture.report(past.entry, of: past.grant, self.outcome(), at: self.fixture.now)
                reports.append(report)
                switch self.model.apply(report, granted: past.granted, at: self.fixture.now) {
                case .applied: expected.applied += 1
                case .repeated: expected.repeated += 1
                }
            }
            let result = try await self.fixture.store.apply(reports, from: satellite, at: self.fixture.now)
            #expect(result.applied == expected.applied && result.repeated == expected.repeated)
            #expect(result.dropped == 0)
        }

        private mutating func requeue() async throws {
            guard let lease = self.lease() else { return }
            let indices = self.indices(lease)
            try await self.fixture.store.requeue(
                lease.grant.serial,
                entries: EntryBitmap(indices),
                from: lease.satellite,
                at: self.fixture.now
            )
            self.model.requeue(lease.grant.serial, indices, at: self.fixture.now)
        }

        private mutating func revoke() async throws {
            guard let lease = self.lease() else { return }
            let revoked = try await self.fixture.store.revoke([lease.grant.serial], at: self.fixture.now)
            #expect(revoked.count == (lease.open > 0 && !lease.isRevoked ? 1 : 0))
            self.model.revoke(lease.grant.serial, at: self.fixture.now)
        }

        private mutating func resolveStarted() async throws {
            guard let lease = self.lease() else { return }
            let resolved = try await self.fixture.store.resolveStarted(of: [lease.grant.serial], at: self.fixture.now)
            let expected = self.model.resolve(lease.grant.serial, at: self.fixture.now)
            #expect(resolved == expected)
        }

        private mutating func pauseOrStart() async throws {
            guard let id = self.openMailing(), let mailing = self.model.mailings[id] else { return }
            if mailing.status == .paused {
                try await self.fixture.start(id)
                self.model.mailings[id]?.status = mailing.hasStarted ? .running : .ready
            } else {
                _ = try await self.fixture.store.pauseMailing(id, in: .everything, at: self.fixture.now) { _ in }
                self.model.mailings[id]?.status = .paused
                for lease in self.model.leases.values where lease.grant.mailing == id {
                    self.model.revoke(lease.grant.serial, at: self.fixture.now)
                }
            }
        }

        private mutating func resolve() async throws {
            guard let id = self.model.mailings.keys.sorted().randomElement(using: &self.generator),
                let resolution = UncertainResolution.allCases.randomElement(using: &self.generator)
            else { return }
            let changed = try await self.fixture.store.resolveUncertain(
                id,
                in: .everything,
                as: resolution,
                at: self.fixture.now
            )
            let held = self.model.held(id)
            if resolution == .resend {
                let expected = self.model.requeue(held, at: self.fixture.now)
                #expect(changed == expected)
                return
            }
            #expect(changed == held.count)
            for recipient in held {
                self.model.recipients[recipient]?.deliveryState.state = resolution == .delivered ? .delivered : .failed
                if resolution == .delivered { self.model.recipients[recipient]?.deliveryState.accepted = true }
            }
        }

        private mutating func reset() async throws {
            let ids = (0..<5).compactMap { _ in
                self.model.recipients.keys.sorted().randomElement(using: &self.generator)
            }
            let unique = Array(Set(ids)).sorted()
            let changed = try await self.fixture.store.resetRecipients(
                self.fixture.trackingIDs(unique),
                account: .root,
                at: self.fixture.now
            )
            let expected = self.model.requeue(unique, at: self.fixture.now)
            #expect(changed == expected)
        }

        private mutating func expire() async throws {
            guard let id = self.openMailing(), self.random(0..<3) == 0 else { return }
            let policy = self.model.mailings[id]?.policy ?? .hold
            let (mailing, _) = try await self.fixture.store.expireRemaining(id, at: self.fixture.now)
            self.model.expire(id, at: self.fixture.now)
            #expect(mailing.status == self.model.mailings[id]?.status)
            try await self.makeMailing(policy)
        }

        private mutating func resolveMailing() async throws {
            guard
                let id = self.model.mailings.filter({ $0.value.isEnding }).keys.sorted().first(where: {
                    self.model.mailings[$0]?.status != .finished
                })
            else { return }
            let resolved = try await self.fixture.store.resolveStarted(of: id, at: self.fixture.now)
            var expected = 0
            for lease in self.model.leases.values where lease.grant.mailing == id {
                expected += self.model.resolve(lease.grant.serial, at: self.fixture.now, mailingEnds: true)
            }
            #expect(resolved == expected)
            if self.model.pending(id) == 0 { self.model.mailings[id]?.status = .finished }
        }

        private mutating func finishIfComplete() async throws {
            guard let id = self.model.mailings.keys.sorted().randomElement(using: &self.generator) else { return }
            let isLeased = self.model.leases.values.contains { $0.grant.mailing == id && $0.open > 0 }
            let mayFinish =
                self.model.mailings[id]?.status != .finished && self.model.pending(id) == 0 && !isLeased
            let finished = try await self.fixture.store.finishIfComplete(id, at: self.fixture.now, grace: .zero)
            #expect((finished != nil) == mayFinish)
            guard mayFinish else { return }
            let policy = self.model.mailings[id]?.policy ?? .hold
            self.model.mailings[id]?.status = .finished
            try await self.makeMailing(policy)
        }

        // MARK: Comparison

        func compare(_ step: Int) async throws {
            let store = self.fixture.store
            for (id, expected) in self.model.mailings {
                let mailing = try await self.fixture.mailing(id)
                #expect(mailing.counters == self.model.counters(id), "mailing \(id) after \(step)")
                #expect(mailing.status == expected.status, "mailing \(id) after \(step)")
                #expect((mailing.ending != nil) == expected.isEnding, "mailing \(id) after \(step)")
            }
            let ids = self.model.recipients.keys.sorted()
            let reports = try await store.reports(of: self.fixture.trackingIDs(ids), account: .root)
            try #require(reports.map(\.recipient) == ids)
            for report in reports {
                guard let expected = self.model.recipients[report.recipient] else { continue }
                #expect(report.state == expected.deliveryState.state, "recipient \(report.recipient) after \(step)")
                #expect(
                    report.tryCount == expected.deliveryState.tryCount,
                    "recipient \(report.recipient) after \(step)"
                )
                #expect(
                    report.uncertain == expected.deliveryState.uncertain,
                    "recipient \(report.recipient) after \(step)"
                )
                #expect(report.inProgress == (expected.lease != nil), "recipient \(report.recipient) after \(step)")
                // In one set only: waiting, leased or finished (an early lease may outlive a late delivery).
                #expect(expected.due == nil || (expected.lease == nil && !expected.deliveryState.state.isTerminal))
            }
            let open = self.model.leases.values.filter { $0.open > 0 }.map(\.grant.serial).sorted()
            let leases = try await store.leases(of: nil)
            #expect(leases.map(\.serial) == open, "after \(step)")
            for lease in leases {
                let expected = self.model.leases[lease.serial]
                #expect(lease.open == expected?.open && lease.started == expected?.started.count, "after \(step)")
                #expect(lease.isRevoked == expected?.isRevoked, "after \(step)")
            }
            #expect(try await store.reconcileCounters() == 0, "counters drifted before \(step)")
        }

        /// Delivers what is left and checks the ends of all mailings.
        mutating func finish() async throws {
            for satellite in self.satellites {
                let leases = try await self.fixture.store.leases(of: satellite).map(\.serial)
                _ = try await self.fixture.store.revoke(leases, at: self.fixture.now)
                _ = try await self.fixture.store.resolveStarted(of: leases, at: self.fixture.now)
            }
            for id in self.model.mailings.keys.sorted() where try await self.fixture.mailing(id).status == .paused {
                try await self.fixture.start(id)
            }
            for _ in 0..<20 {
                self.fixture.pass(.seconds(6_000))
                try await self.fixture.deliverAll(self.satellites[0])
            }
            for id in self.model.mailings.keys.sorted() {
                _ = try await self.fixture.store.finishIfComplete(id, at: self.fixture.now, grace: .zero)
                let mailing = try await self.fixture.mailing(id)
                #expect(mailing.status == .finished && mailing.counters.pending == 0, "mailing \(id)")
                try await self.fixture.checkTotals(id)
            }
            let summary = try await self.fixture.store.summary(at: self.fixture.now)
            #expect(summary.pending == 0 && summary.leased == 0)
        }

        // MARK: Choices

        private mutating func random(_ range: Range<Int>) -> Int { .random(in: range, using: &self.generator) }

        private mutating func satellite() -> SatelliteID { self.satellites[self.random(0..<self.satellites.count)] }

        private mutating func openMailing() -> MailingID? {
            self.model.mailings.filter { $0.value.mayRetry }.keys.sorted().randomElement(using: &self.generator)
        }

        /// A lease, mostly a recent one.
        private mutating func lease() -> StoreModel.Lease? {
            let serials = self.model.leases.keys.sorted()
            guard !serials.isEmpty else { return nil }
            let recent = max(0, serials.count - 8)
            let range = self.random(0..<10) == 0 ? 0..<serials.count : recent..<serials.count
            return self.model.leases[serials[self.random(range)]]
        }

        private mutating func indices(_ lease: StoreModel.Lease) -> [Int] {
            lease.grant.entries.indices.filter { _ in self.random(0..<3) > 0 }
        }

        private mutating func outcome() -> DeliveryOutcome {
            switch self.random(0..<10) {
            case 0..<4: Outcomes.delivered
            case 4..<7: Outcomes.deferred
            case 7: Outcomes.failed
            case 8: Outcomes.unrenderable
            default: Outcomes.uncertain
            }
        }
    }
}
