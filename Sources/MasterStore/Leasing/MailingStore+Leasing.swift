// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension MailingStore {
    /// Work that could be leased at `now`: mailings that are ready or running within their schedule, express recipients
    /// of filling ones too; one row for each mailing, bucket, class and kind with at least one claimable recipient.
    public func backlog(at now: Timestamp) async throws -> [Backlog] {
        try await self.read { try Overview.backlog(at: now, $0) }
    }

    /// Leases recipients; all requests in one transaction.
    ///
    /// A request that finds nothing yields no grant.
    ///
    /// The first lease of a mailing sets it running and its `started` time. A recipient that `affinity` forbids becomes a
    /// retry entry of its own and is skipped.
    public func claim(
        _ requests: [ClaimRequest],
        at now: Timestamp,
        lifetime: Duration
    ) async throws -> [LeaseGrant] {
        try await self.write { transaction in
            try requests.compactMap { try Claiming.claim($0, at: now, lifetime: lifetime, transaction) }
        }
    }

    /// Marks recipients as started; nothing may be sent before.
    ///
    /// - Returns: The entries that may be sent; the others of the request were refused (revoked lease, paused or ended mailing, other satellite).
    ///   `journal` is how far the satellite's journal was seen, and is noted in the same transaction.
    public func start(
        _ requests: [StartRequest],
        by satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting? = nil
    ) async throws -> [StartDecision] {
        try await self.write { transaction in
            try JournalMarks.advance(journal, of: satellite, transaction)
            return try requests.map { try Revoking.start($0, by: satellite, at: now, transaction) }
        }
    }

    /// Applies reports idempotently: state, counters, event, feed position and how far the satellite's journal was seen,
    /// in one transaction.
    public func apply(
        _ reports: [DeliveryReport],
        from satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting? = nil
    ) async throws -> IntakeResult {
        try await self.write { transaction in
            try JournalMarks.advance(journal, of: satellite, transaction)
            return try Intake.apply(reports, from: satellite, at: now, transaction)
        }
    }

    /// Requeues recipients of a lease that the satellite returns because they were not sent, started or not.
    ///
    /// They wait again at once; in a mailing that is ending they expire.
    public func requeue(
        _ lease: LeaseSerial,
        entries: EntryBitmap,
        from satellite: SatelliteID,
        at now: Timestamp
    ) async throws {
        try await self.write { try Revoking.requeue(lease, entries, from: satellite, at: now, $0) }
    }

    /// Leases with something left to report, of one satellite or of all.
    public func leases(of satellite: SatelliteID?) async throws -> [LeaseSummary] {
        try await self.read { try LeaseRow.fetch(of: satellite, $0).map(\.summary) }
    }

    /// Revokes leases: their never-started recipients wait again; the started ones stay with the lease.
    public func revoke(_ leases: [LeaseSerial], at now: Timestamp) async throws -> [RevokedLease] {
        try await self.write { try Revoking.revoke(leases, at: now, $0) }
    }

    /// Turns started, unreported recipients of leases into uncertain ones (satellite removed, or lost its journal).
    public func resolveStarted(of leases: [LeaseSerial], at now: Timestamp) async throws -> Int {
        try await self.write { try Revoking.resolve(leases, mailingEnds: false, at: now, $0) }
    }

    /// Dates waiting recipients anew that are due later than any retry may be: the clock was wrong when they were dated.
    ///
    /// - Returns: How many.
    public func dateAnew(at now: Timestamp) async throws -> Int {
        var filter = MailingFilter()
        filter.statuses = [.filling, .ready, .running, .paused]
        var count = 0
        for mailing in try await self.mailings(filter, in: .everything).map(\.id)
        where try await self.read({ try Redating.isNeeded(of: mailing, at: now, $0) }) {
            var dated = 0
            repeat {
                dated = try await self.write { try Redating.dateAnew(mailing, at: now, $0) }
                count += dated
            } while dated == Redating.step
        }
        return count
    }

    /// The next time after `now` at which something becomes due: a retry, a scheduled start or end, a finish grace.
    public func nextDue(after now: Timestamp, finishGrace: Duration) async throws -> Timestamp? {
        try await self.read { try Overview.nextDue(after: now, finishGrace: finishGrace, $0) }
    }
}
