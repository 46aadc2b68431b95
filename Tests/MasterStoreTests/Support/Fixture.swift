// SPDX-License-Identifier: Apache-2.0

import MailingModel
import Testing

@testable import MasterStore

/// A store with a clock, and the steps that most tests need.
final class Fixture {
    private(set) var store: MailingStore
    let factory: StoreFactory
    private(set) var location: StoreFactory.Location
    let retry: RetrySchedule
    private var isClosed = false
    /// The timestamp that operations get; tests move it.
    var now = Timestamp(seconds: 1_800_000_000)

    init(store: MailingStore, factory: StoreFactory, location: StoreFactory.Location, retry: RetrySchedule) {
        self.store = store
        self.factory = factory
        self.location = location
        self.retry = retry
    }

    /// The store with what lies beneath its operations.
    var database: MailingStore {
        get throws { self.store }
    }

    /// Returns when nothing is left of the deleted mailings.
    func untilPurged() async throws {
        let database = self.store
        // By the writer: a test may have the readers in use.
        while try await database.write({ transaction in
            try transaction.prepare("SELECT count(*) FROM tombstone WHERE purged IS NULL").first { try $0.int(0) }
        }) != 0 { try Task.checkCancellation() }
    }

    /// Closes the store and opens it again, as a restart of the master does.
    func reopen() async throws {
        try await self.close()
        self.store = try await self.factory.open(self.location, self.retry)
        self.isClosed = false
    }

    /// Closes the store for now; it is opened again by ``reopen()``.
    func close() async throws {
        guard !self.isClosed else { return }
        self.isClosed = true
        try await self.store.close()
    }

    /// Changes how the store is opened from the next time on.
    func reopen(partitionThreshold: Int) async throws {
        self.location.partitionThreshold = partitionThreshold
        try await self.reopen()
    }

    func pass(_ duration: Duration) { self.now = self.now.advanced(by: duration) }

    // MARK: Mailings

    func makeMailing(
        start: Bool = true,
        account: AccountID = .root,
        _ change: (inout MailingProperties) -> Void = { _ in }
    ) async throws -> MailingID {
        var properties = MailingProperties(mailFrom: "news@Example.ORG", senderName: "News")
        change(&properties)
        let mailing = try await self.store.createMailing(properties, account: account, at: self.now) {
            MailingContent(
                mailing: $0,
                subject: "Hello \($0)",
                body: .alternative(html: "<p>hi</p>", plain: "hi"),
                mailFrom: "news@example.org",
                senderName: "News"
            )
        }
        if start { try await self.start(mailing.id) }
        return mailing.id
    }

    func start(_ id: MailingID) async throws {
        let now = self.now
        _ = try await self.store.updateMailing(id, in: .everything, at: now) {
            try MailingLifecycle.start(&$0, at: now)
            return nil
        }
    }

    func mailing(_ id: MailingID) async throws -> Mailing {
        try #require(try await self.store.mailing(id, in: .everything))
    }

    func counters(_ id: MailingID) async throws -> MailingCounters { try await self.mailing(id).counters }

    // MARK: Recipients

    static func drafts(_ range: Range<Int>, domain: String = "example.com", prefix: String = "r") -> [RecipientDraft] {
        range.map {
            RecipientDraft(address: "\(prefix)\($0)@\(domain)", domain: domain, mergeFields: Array("m\($0)".utf8))
        }
    }

    @discardableResult
    func add(
        _ count: Int,
        to mailing: MailingID,
        domain: String = "example.com",
        prefix: String = "r",
        _ deliveryClass: DeliveryClass = .bulk
    ) async throws -> [RecipientID] {
        let admissions = try await self.store.addRecipients(
            Self.drafts(0..<count, domain: domain, prefix: prefix),
            to: mailing,
            in: .everything,
            deliveryClass: deliveryClass,
            at: self.now
        )
        return try admissions.map {
            guard case .accepted(let id, _) = $0 else { throw StoreError(.conflict, "not accepted") }
            return id
        }
    }

    func trackingIDs(_ recipients: [RecipientID]) -> [String] {
        recipients.map { TestSecrets.make().recipientIDs.encode($0) }
    }

    func report(of recipient: RecipientID) async throws -> RecipientReport {
        let reports = try await self.store.reports(of: self.trackingIDs([recipient]), account: .root)
        return try #require(reports.first)
    }

    func state(of recipient: RecipientID) async throws -> RecipientState {
        try await self.report(of: recipient).state
    }

    // MARK: Leasing

    func makeSatellite(
        _ serial: String = "sat",
        affinity: DomainAffinity = DomainAffinity()
    ) async throws -> SatelliteID {
        try await self.store.addSatellite(
            SatelliteRecord(id: SatelliteID(rawValue: 0), serial: serial, affinity: affinity)
        ).id
    }

    /// Leases everything that can be had, at most `limit` recipients per lease.
    func claimAll(
        _ satellite: SatelliteID,
        limit: Int = 1000,
        affinity: DomainAffinity = DomainAffinity(),
        of mailing: MailingID? = nil
    ) async throws -> [LeaseGrant] {
        var grants: [LeaseGrant] = []
        for _ in 0..<1000 {
            let requests = try await self.store.backlog(at: self.now)
                .filter { mailing == nil || $0.mailing == mailing }
                .map {
                    ClaimRequest(
                        mailing: $0.mailing,
                        bucket: $0.bucket,
                        deliveryClass: $0.deliveryClass,
                        isRetry: $0.isRetry,
                        satellite: satellite,
                        affinity: affinity,
                        limit: limit
                    )
                }
            let granted = try await self.store.claim(requests, at: self.now, lifetime: .seconds(600))
            if granted.isEmpty { break }
            grants += granted
        }
        return grants
    }

    /// Starts every entry of the leases and returns those that were granted.
    @discardableResult
    func startAll(_ grants: [LeaseGrant], by satellite: SatelliteID) async throws -> [StartDecision] {
        try await self.store.start(
            grants.map { StartRequest(lease: $0.serial, entries: EntryBitmap(0..<$0.entries.count)) },
            by: satellite,
            at: self.now
        )
    }

    /// Reports one outcome for every entry.
    @discardableResult
    func reportAll(
        _ grants: [LeaseGrant],
        from satellite: SatelliteID,
        _ outcome: DeliveryOutcome = Outcomes.delivered
    ) async throws -> IntakeResult {
        try await self.store.apply(
            grants.flatMap { grant in grant.entries.map { Self.report($0, of: grant, outcome, at: self.now) } },
            from: satellite,
            at: self.now
        )
    }

    /// Leases, starts and reports everything that can be had.
    func deliverAll(
        _ satellite: SatelliteID,
        _ outcome: DeliveryOutcome = Outcomes.delivered,
        of mailing: MailingID? = nil
    ) async throws {
        let grants = try await self.claimAll(satellite, of: mailing)
        try await self.startAll(grants, by: satellite)
        try await self.reportAll(grants, from: satellite, outcome)
    }

    static func report(
        _ entry: LeaseEntry,
        of grant: LeaseGrant,
        _ outcome: DeliveryOutcome,
        at now: Timestamp
    ) -> DeliveryReport {
        DeliveryReport(
            recipient: entry.recipient,
            attempt: entry.attempt,
            lease: grant.serial,
            outcome: outcome,
            endedAt: now
        )
    }

    // MARK: Feed

    /// The whole feed, page by page.
    func replay(
        after position: Int64 = 0,
        filter: RecipientFilter = RecipientFilter(),
        limit: Int = 7
    ) async throws
        -> [FeedEntry]
    {
        var entries: [FeedEntry] = []
        var next = position
        while true {
            let page = try await self.store.feed(after: next, filter: filter, in: .everything, limit: limit)
            if page.entries.isEmpty {
                #expect(page.next == page.head)
                return entries
            }
            entries += page.entries
            next = page.next
        }
    }

    /// Checks that counters, a recount and a replay of the feed agree.
    func checkTotals(_ id: MailingID, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        #expect(try await self.store.reconcileCounters() == 0, "counters drifted", sourceLocation: sourceLocation)
        var filter = RecipientFilter()
        filter.mailings = [id]
        var states: [RecipientID: RecipientState] = [:]
        for entry in try await self.replay(filter: filter, limit: 1000) {
            states[entry.report.recipient] = entry.report.state
        }
        let counters = try await self.counters(id)
        func count(_ wanted: RecipientState...) -> Int { states.values.count { wanted.contains($0) } }
        #expect(counters.delivered == count(.delivered), sourceLocation: sourceLocation)
        #expect(counters.failed == count(.failed, .unrenderable, .uncertain), sourceLocation: sourceLocation)
        #expect(counters.uncertain == count(.uncertain), sourceLocation: sourceLocation)
        #expect(counters.expired == count(.expired), sourceLocation: sourceLocation)
        #expect(counters.deferred == count(.deferred), sourceLocation: sourceLocation)
    }
}

/// Outcomes as satellites report them.
enum Outcomes {
    static let delivered = DeliveryOutcome.delivered(
        AttemptTrace(
            stage: .finalDot,
            replyCode: 250,
            enhancedStatus: "2.0.0",
            text: "queued",
            mxHost: "mx.example.com"
        )
    )
    static let deferred = DeliveryOutcome.deferred(
        AttemptTrace(stage: .recipient, replyCode: 450, enhancedStatus: "4.2.0", text: "greylisted")
    )
    static let failed = DeliveryOutcome.failed(
        AttemptTrace(stage: .recipient, replyCode: 550, enhancedStatus: "5.1.1", text: "no such user")
    )
    static let unrenderable = DeliveryOutcome.unrenderable(AttemptTrace(stage: .render, text: "no field x"))
    static let uncertain = DeliveryOutcome.uncertain(AttemptTrace(stage: .finalDot, text: "connection lost"))
}
