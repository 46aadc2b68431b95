// SPDX-License-Identifier: Apache-2.0

import DaemonSupport
import Foundation
import MailingModel
import MasterStore

/// One large mailing's way through the store's operations, measured.
struct StoreBench: Sendable {
    let store: MailingStore
    let recipients: Int
    /// How many ended mailings lie beside the large one.
    let smallMailings: Int
    let writers: Int

    private static let domains = 500
    private static let batch = 1_000
    private static let smallMailing = 10

    /// A figure's name as a member of JSON.
    private static func key(_ name: String) -> String {
        name.lowercased().split { !$0.isLetter && !$0.isNumber }.joined(separator: "_")
    }

    /// Runs all of it.
    ///
    /// - Parameters:
    ///   - count: How many recipients are leased, started and reported.
    ///   - say: Takes a line for each figure as soon as it is known.
    /// - Returns: The figures by name, in snake case.
    /// - Throws: ``StartFailure`` if the store is not empty or its feed has gaps; what the store throws.
    func run(delivering count: Int, say: (String) -> Void) async throws -> [String: String] {
        var figures: [String: String] = [:]
        func note(_ name: String, _ value: String) {
            figures[Self.key(name)] = value
            say("\(name): \(value)")
        }
        guard try await self.store.countMailings(MailingFilter(), in: .everything) == 0 else {
            throw StartFailure(.usage, "the store holds mailings already; give an empty one")
        }
        if self.smallMailings > 0 {
            let made = try await self.seconds { try await self.makeSmallMailings() }
            note("small mailings made and ended a second", Self.rate(self.smallMailings, made))
        }
        let mailing = try await self.makeMailing()
        let filled = try await self.seconds {
            try await self.eachBatch(of: self.recipients, by: Self.batch) { try await self.fill(mailing, $0) }
        }
        note("recipients added a second", Self.rate(self.recipients, filled))
        note("peak memory after filling", Self.peakMemory())

        let satellite = try await self.store.addSatellite(
            SatelliteRecord(
                id: SatelliteID(rawValue: 0),
                serial: "bench",
                enabled: true,
                publicKeys: [Array(repeating: 7, count: 32)]
            )
        )
        var first = Latencies()
        let start = try await first.measure {
            let now = Self.now()
            _ = try await self.store.updateMailing(mailing, in: .everything, at: now) {
                try MailingLifecycle.start(&$0, at: now)
                return nil
            }
            return try await self.claim(mailing, satellite.id, limit: 1_000, first: 1)
        }
        note("start to first lease", first.summary)

        var leases = Latencies()
        var starts = Latencies()
        var reported = start.reduce(0) { $0 + $1.entries.count }
        var pending = start
        var intake = Duration.zero
        while true {
            for grant in pending {
                try await starts.measure { try await self.start(grant, by: satellite.id) }
            }
            let grants = pending
            let began = ContinuousClock.now
            for grant in grants { try await self.report(grant, from: satellite.id) }
            intake += ContinuousClock.now - began
            guard reported < count else { break }
            pending = []
            for backlog in try await self.store.backlog(at: Self.now()).prefix(64) where reported < count {
                let granted = try await leases.measure { try await self.claim(backlog, satellite.id, limit: 1_000) }
                reported += granted.reduce(0) { $0 + $1.entries.count }
                pending += granted
            }
            guard !pending.isEmpty else { break }
        }
        note("lease of up to 1,000", leases.summary + ", \(leases.count) leases")
        note("start of a lease", starts.summary)
        note("reports applied a second", Self.rate(reported, intake / .seconds(1)))
        note("feed page of 1,000 at a random cursor", try await self.readFeed().summary)
        note(
            "list of mailings",
            try await self.repeated(10) { _ = try await self.store.mailings(MailingFilter(), in: .everything) }.summary
        )
        note(
            "list of 100 mailings at a random position",
            try await self.repeated(50) {
                var filter = MailingFilter()
                filter.after = MailingID(rawValue: .random(in: 0...Int32(clamping: max(0, self.smallMailings - 100))))
                filter.limit = 100
                _ = try await self.store.mailings(filter, in: .everything)
            }.summary
        )
        note(
            "summary of the status page",
            try await self.repeated(50) {
                _ = try await self.store.summary(at: Self.now())
            }.summary
        )
        let counters = try await self.store.mailing(mailing, in: .everything)?.counters
        note("delivered", "\(counters?.delivered ?? -1) of \(counters?.total ?? -1)")
        note("counters that differ from a recount", "\(try await self.store.reconcileCounters())")
        note("peak memory", Self.peakMemory())
        return figures
    }

    // MARK: Steps

    private func makeMailing() async throws -> MailingID {
        let properties = MailingProperties(mailFrom: "news@example.org", senderName: "News")
        return try await self.store.createMailing(properties, account: .root, at: Self.now()) {
            MailingContent(
                mailing: $0,
                subject: "Hello",
                body: .alternative(html: "<p>{{ firstname }}</p>", plain: nil),
                mailFrom: "news@example.org",
                senderName: "News"
            )
        }.id
    }

    private func makeSmallMailings() async throws {
        try await self.eachBatch(of: self.smallMailings, by: 1) { _ in
            let mailing = try await self.makeMailing()
            try await self.fill(mailing, 0..<Self.smallMailing)
            _ = try await self.store.expireRemaining(mailing, at: Self.now())
        }
    }

    private func fill(_ mailing: MailingID, _ numbers: Range<Int>) async throws {
        let merge = [UInt8](repeating: 0x61, count: 200)
        let drafts = numbers.map { number in
            // A few large providers and a long tail, as lists are.
            let domain = number % 10 < 6 ? "provider\(number % 4).test" : "d\(number % Self.domains).test"
            return RecipientDraft(address: "user\(number)@\(domain)", domain: domain, mergeFields: merge)
        }
        _ = try await self.store.addRecipients(
            drafts,
            to: mailing,
            in: .everything,
            deliveryClass: .bulk,
            at: Self.now()
        )
    }

    /// Works on so many items in batches, with as many under way as there are writers.
    private func eachBatch(
        of count: Int,
        by size: Int,
        _ work: @escaping @Sendable (Range<Int>) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var batches = stride(from: 0, to: count, by: size).makeIterator()
            func addNext() {
                guard let first = batches.next() else { return }
                group.addTask { try await work(first..<min(first + size, count)) }
            }
            for _ in 0..<self.writers { addNext() }
            while try await group.next() != nil { addNext() }
        }
    }

    /// What a satellite's reports hold of a lease; a master keeps no more of one that it has sent either.
    private struct Granted {
        var serial: LeaseSerial
        var entries: [(recipient: RecipientID, attempt: AttemptSerial)]

        init(_ grant: LeaseGrant) {
            self.serial = grant.serial
            self.entries = grant.entries.map { ($0.recipient, $0.attempt) }
        }
    }

    private func claim(
        _ mailing: MailingID,
        _ satellite: SatelliteID,
        limit: Int,
        first: Int
    ) async throws -> [Granted] {
        var grants: [Granted] = []
        for backlog in try await self.store.backlog(at: Self.now()).prefix(first) {
            grants += try await self.claim(backlog, satellite, limit: limit)
        }
        return grants
    }

    private func claim(_ backlog: Backlog, _ satellite: SatelliteID, limit: Int) async throws -> [Granted] {
        let request = ClaimRequest(
            mailing: backlog.mailing,
            bucket: backlog.bucket,
            deliveryClass: backlog.deliveryClass,
            isRetry: backlog.isRetry,
            satellite: satellite,
            affinity: DomainAffinity(),
            limit: limit
        )
        return try await self.store.claim([request], at: Self.now(), lifetime: .seconds(600)).map(Granted.init)
    }

    private func start(_ grant: Granted, by satellite: SatelliteID) async throws {
        let request = StartRequest(lease: grant.serial, entries: EntryBitmap(grant.entries.indices))
        _ = try await self.store.start([request], by: satellite, at: Self.now())
    }

    private func report(_ grant: Granted, from satellite: SatelliteID) async throws {
        let now = Self.now()
        for first in stride(from: 0, to: grant.entries.count, by: 500) {
            let reports = grant.entries[first..<min(first + 500, grant.entries.count)].map { entry in
                DeliveryReport(
                    recipient: entry.recipient,
                    attempt: entry.attempt,
                    lease: grant.serial,
                    outcome: .delivered(
                        AttemptTrace(
                            stage: .finalDot,
                            replyCode: 250,
                            enhancedStatus: "2.0.0",
                            text: "2.0.0 Ok: queued as 4XyZ12345",
                            mxHost: "mx1.provider.test"
                        )
                    ),
                    endedAt: now
                )
            }
            _ = try await self.store.apply(reports, from: satellite, at: now)
        }
    }

    private func readFeed() async throws -> Latencies {
        let head = try await self.store.feedHead()
        var pages = Latencies()
        for _ in 0..<200 {
            let cursor = Int64.random(in: 0...max(0, head - 1_000))
            let page = try await pages.measure {
                try await self.store.feed(after: cursor, filter: RecipientFilter(), in: .everything, limit: 1_000)
            }
            guard page.entries.count == min(1_000, Int(head)) else {
                throw StartFailure(.unavailable, "a page of the feed after \(cursor) has \(page.entries.count) events")
            }
        }
        return pages
    }

    private func repeated(_ count: Int, _ work: () async throws -> Void) async throws -> Latencies {
        var latencies = Latencies()
        for _ in 0..<count { try await latencies.measure(work) }
        return latencies
    }

    // MARK: Measuring

    private func seconds(_ work: () async throws -> Void) async throws -> Double {
        let began = ContinuousClock.now
        try await work()
        return (ContinuousClock.now - began) / .seconds(1)
    }

    private static func now() -> Timestamp { .now }

    private static func rate(_ count: Int, _ seconds: Double) -> String {
        "\(Int(Double(count) / max(seconds, 0.001)))"
    }

    /// The greatest resident size of this process so far.
    private static func peakMemory() -> String {
        "\((ProcessUsage(pid: getpid())?.peakResidentBytes ?? 0) >> 20) MiB"
    }
}
