// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterStore
import Synchronization

@testable import MasterCore

/// A store that fails on demand, and counts what it is asked.
final class FlakyStore: MailingStore {
    private struct State {
        var failing: [String: StoreError.Code] = [:]
        var calls: [String: Int] = [:]
        var emptyClaims = 0
        var afterLeases: (@Sendable () async throws -> Void)?
        var afterSatellites: (@Sendable () async throws -> Void)?
    }

    let inner: DatabaseStore
    private let state = Mutex(State())

    init(_ inner: DatabaseStore) { self.inner = inner }

    var identity: StoreIdentity { self.inner.identity }
    var problem: String? { self.inner.problem }
    var position: StorePosition { self.inner.position }

    func knows(_ position: StorePosition) async throws -> Bool {
        try await self.pass("knows")
        return try await self.inner.knows(position)
    }

    func resolveFinished(
        by satellite: SatelliteID,
        holding leases: [LeaseSerial],
        _ details: [JournaledLease],
        at now: Timestamp
    ) async throws -> Int {
        try await self.pass("resolveFinished")
        return try await self.inner.resolveFinished(by: satellite, holding: leases, details, at: now)
    }

    func unknownStart(among leases: [JournaledLease], of satellite: SatelliteID) async throws -> LeaseSerial? {
        try await self.pass("unknownStart")
        return try await self.inner.unknownStart(among: leases, of: satellite)
    }

    func journal(of satellite: SatelliteID) async throws -> JournalMark? {
        try await self.pass("journal")
        return try await self.inner.journal(of: satellite)
    }

    func setJournal(_ mark: JournalMark, of satellite: SatelliteID) async throws {
        try await self.pass("setJournal")
        try await self.inner.setJournal(mark, of: satellite)
    }

    /// Lets operations fail from now on; `nil` lets everything succeed.
    func fail(_ operations: [String], with code: StoreError.Code?) {
        self.state.withLock { state in
            state.failing = [:]
            if let code { for operation in operations { state.failing[operation] = code } }
        }
    }

    /// Lets so many claims find nothing.
    func swallowClaims(_ count: Int) { self.state.withLock { $0.emptyClaims = count } }

    /// Lets something happen between the next reading of leases and its return.
    func afterNextLeases(_ happen: @escaping @Sendable () async throws -> Void) {
        self.state.withLock { $0.afterLeases = happen }
    }

    /// Whether it is the test itself that reads, and not the master that runs beside it.
    @TaskLocal static var isOwnReading = false

    /// Lets something happen between the test's next reading of satellites and its return.
    func afterNextSatellites(_ happen: @escaping @Sendable () async throws -> Void) {
        self.state.withLock { $0.afterSatellites = happen }
    }

    /// How often an operation was called.
    func calls(of operation: String) -> Int { self.state.withLock { $0.calls[operation] ?? 0 } }

    private func pass(_ operation: String) async throws {
        let code = self.state.withLock { state -> StoreError.Code? in
            state.calls[operation, default: 0] += 1
            return state.failing[operation]
        }
        if let code { throw StoreError(code, "\(operation) fails because the test says so") }
    }

    func createMailing(
        _ properties: MailingProperties,
        account: AccountID,
        at now: Timestamp,
        content: @escaping @Sendable (MailingID) throws -> MailingContent
    ) async throws -> Mailing {
        try await self.pass("createMailing")
        return try await self.inner.createMailing(properties, account: account, at: now, content: content)
    }

    func mailing(
        _ id: MailingID
    ) async throws -> Mailing? {
        try await self.pass("mailing")
        return try await self.inner.mailing(id)
    }

    func mailings(
        _ filter: MailingFilter
    ) async throws -> [Mailing] {
        try await self.pass("mailings")
        return try await self.inner.mailings(filter)
    }

    func countMailings(
        _ filter: MailingFilter
    ) async throws -> Int {
        try await self.pass("countMailings")
        return try await self.inner.countMailings(filter)
    }

    func updateMailing(
        _ id: MailingID,
        at now: Timestamp,
        _ change: @escaping @Sendable (inout Mailing) throws -> MailingContent?
    ) async throws -> Mailing {
        try await self.pass("updateMailing")
        return try await self.inner.updateMailing(id, at: now, change)
    }

    func content(
        of id: MailingID
    ) async throws -> MailingContent? {
        try await self.pass("content")
        return try await self.inner.content(of: id)
    }

    func pauseMailing(
        _ id: MailingID,
        at now: Timestamp,
        decide: @escaping @Sendable (Mailing) throws -> Void
    ) async throws -> (mailing: Mailing, revoked: [RevokedLease]) {
        try await self.pass("pauseMailing")
        return try await self.inner.pauseMailing(id, at: now, decide: decide)
    }

    func deleteMailing(
        _ id: MailingID,
        at now: Timestamp
    ) async throws -> [RevokedLease] {
        try await self.pass("deleteMailing")
        return try await self.inner.deleteMailing(id, at: now)
    }

    func expireRemaining(
        _ id: MailingID,
        at now: Timestamp
    ) async throws -> (mailing: Mailing, revoked: [RevokedLease]) {
        try await self.pass("expireRemaining")
        return try await self.inner.expireRemaining(id, at: now)
    }

    func resolveStarted(
        of mailing: MailingID,
        at now: Timestamp
    ) async throws -> Int {
        try await self.pass("resolveStarted")
        return try await self.inner.resolveStarted(of: mailing, at: now)
    }

    func finishIfComplete(
        _ id: MailingID,
        at now: Timestamp,
        grace: Duration
    ) async throws -> Mailing? {
        try await self.pass("finishIfComplete")
        return try await self.inner.finishIfComplete(id, at: now, grace: grace)
    }

    func addRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        deliveryClass: DeliveryClass,
        at now: Timestamp
    ) async throws -> [RecipientAdmission] {
        try await self.pass("addRecipients")
        return try await self.inner.addRecipients(drafts, to: mailing, deliveryClass: deliveryClass, at: now)
    }

    func importRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        from source: ImportSource?,
        at now: Timestamp
    ) async throws -> [ImportAdmission] {
        try await self.pass("importRecipients")
        return try await self.inner.importRecipients(drafts, to: mailing, from: source, at: now)
    }

    func reports(
        of trackingIDs: [String],
        account: AccountID
    ) async throws -> [RecipientReport] {
        try await self.pass("reports")
        return try await self.inner.reports(of: trackingIDs, account: account)
    }

    func countRecipients(
        _ filter: RecipientFilter
    ) async throws -> Int {
        try await self.pass("countRecipients")
        return try await self.inner.countRecipients(filter)
    }

    func resolveUncertain(
        _ mailing: MailingID,
        as resolution: UncertainResolution,
        at now: Timestamp
    ) async throws -> Int {
        try await self.pass("resolveUncertain")
        return try await self.inner.resolveUncertain(mailing, as: resolution, at: now)
    }

    func resetRecipients(
        _ trackingIDs: [String],
        account: AccountID,
        at now: Timestamp
    ) async throws -> Int {
        try await self.pass("resetRecipients")
        return try await self.inner.resetRecipients(trackingIDs, account: account, at: now)
    }

    func feed(
        after position: Int64,
        filter: RecipientFilter,
        limit: Int
    ) async throws -> FeedPage {
        try await self.pass("feed")
        return try await self.inner.feed(after: position, filter: filter, limit: limit)
    }

    func feedHead() async throws -> Int64 {
        try await self.pass("feedHead")
        return try await self.inner.feedHead()
    }

    func backlog(
        at now: Timestamp
    ) async throws -> [Backlog] {
        try await self.pass("backlog")
        return try await self.inner.backlog(at: now)
    }

    func claim(
        _ requests: [ClaimRequest],
        at now: Timestamp,
        lifetime: Duration
    ) async throws -> [LeaseGrant] {
        try await self.pass("claim")
        let isSwallowed = self.state.withLock { state -> Bool in
            guard state.emptyClaims > 0 else { return false }
            state.emptyClaims -= 1
            return true
        }
        if isSwallowed { return [] }
        return try await self.inner.claim(requests, at: now, lifetime: lifetime)
    }

    func start(
        _ requests: [StartRequest],
        by satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting?
    ) async throws -> [StartDecision] {
        try await self.pass("start")
        return try await self.inner.start(requests, by: satellite, at: now, journal: journal)
    }

    func apply(
        _ reports: [DeliveryReport],
        from satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting?
    ) async throws -> IntakeResult {
        try await self.pass("apply")
        return try await self.inner.apply(reports, from: satellite, at: now, journal: journal)
    }

    func requeue(
        _ lease: LeaseSerial,
        entries: EntryBitmap,
        from satellite: SatelliteID,
        at now: Timestamp
    ) async throws {
        try await self.pass("requeue")
        try await self.inner.requeue(lease, entries: entries, from: satellite, at: now)
    }

    func leases(
        of satellite: SatelliteID?
    ) async throws -> [LeaseSummary] {
        try await self.pass("leases")
        let leases = try await self.inner.leases(of: satellite)
        let happen = self.state.withLock { state in
            defer { state.afterLeases = nil }
            return state.afterLeases
        }
        try await happen?()
        return leases
    }

    func revoke(
        _ leases: [LeaseSerial],
        at now: Timestamp
    ) async throws -> [RevokedLease] {
        try await self.pass("revoke")
        return try await self.inner.revoke(leases, at: now)
    }

    func resolveStarted(
        of leases: [LeaseSerial],
        at now: Timestamp
    ) async throws -> Int {
        try await self.pass("resolveStarted")
        return try await self.inner.resolveStarted(of: leases, at: now)
    }

    func dateAnew(at now: Timestamp) async throws -> Int {
        try await self.pass("dateAnew")
        return try await self.inner.dateAnew(at: now)
    }

    func nextDue(
        after now: Timestamp,
        finishGrace: Duration
    ) async throws -> Timestamp? {
        try await self.pass("nextDue")
        return try await self.inner.nextDue(after: now, finishGrace: finishGrace)
    }

    func purgeBlobs(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool) {
        try await self.pass("purgeBlobs")
        return try await self.inner.purgeBlobs(before: timestamp)
    }

    func putBlob(
        _ bytes: [UInt8],
        at now: Timestamp
    ) async throws -> BlobHash {
        try await self.pass("putBlob")
        return try await self.inner.putBlob(bytes, at: now)
    }

    func blob(
        _ hash: BlobHash
    ) async throws -> [UInt8]? {
        try await self.pass("blob")
        return try await self.inner.blob(hash)
    }

    func putSigningKey(
        pem: String
    ) async throws -> BlobHash {
        try await self.pass("putSigningKey")
        return try await self.inner.putSigningKey(pem: pem)
    }

    func signingKey(
        _ hash: BlobHash
    ) async throws -> String? {
        try await self.pass("signingKey")
        return try await self.inner.signingKey(hash)
    }

    func addSatellite(
        _ satellite: SatelliteRecord
    ) async throws -> SatelliteRecord {
        try await self.pass("addSatellite")
        return try await self.inner.addSatellite(satellite)
    }

    func satellites() async throws -> [SatelliteRecord] {
        try await self.pass("satellites")
        let satellites = try await self.inner.satellites()
        let happen = self.state.withLock { state in
            guard Self.isOwnReading else { return (@Sendable () async throws -> Void)?.none }
            defer { state.afterSatellites = nil }
            return state.afterSatellites
        }
        try await happen?()
        return satellites
    }

    func updateSatellite(
        _ id: SatelliteID,
        _ change: @escaping @Sendable (inout SatelliteRecord) throws -> Void
    ) async throws -> SatelliteRecord {
        try await self.pass("updateSatellite")
        return try await self.inner.updateSatellite(id, change)
    }

    func removeSatellite(
        _ id: SatelliteID
    ) async throws {
        try await self.pass("removeSatellite")
        try await self.inner.removeSatellite(id)
    }

    func addKey(
        _ key: APIKeyRecord
    ) async throws {
        try await self.pass("addKey")
        try await self.inner.addKey(key)
    }

    func keys() async throws -> [APIKeyRecord] {
        try await self.pass("keys")
        return try await self.inner.keys()
    }

    func revokeKey(
        _ publicID: String,
        at now: Timestamp
    ) async throws -> Bool {
        try await self.pass("revokeKey")
        return try await self.inner.revokeKey(publicID, at: now)
    }

    func summary(
        at now: Timestamp
    ) async throws -> StoreSummary {
        try await self.pass("summary")
        return try await self.inner.summary(at: now)
    }

    func backup(
        to path: String
    ) async throws {
        try await self.pass("backup")
        try await self.inner.backup(to: path)
    }

    func reconcileCounters() async throws -> Int {
        try await self.pass("reconcileCounters")
        return try await self.inner.reconcileCounters()
    }

    func reconcileCounters(of mailing: MailingID) async throws -> Int {
        try await self.pass("reconcileCounters")
        return try await self.inner.reconcileCounters(of: mailing)
    }

    func purgeEvents(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool) {
        try await self.pass("purgeEvents")
        return try await self.inner.purgeEvents(before: timestamp)
    }

    func close() async throws {
        try await self.pass("close")
        try await self.inner.close()
    }
}

extension FlakyStore: LeaseLedger {
    func highestLeaseSerial() async throws -> LeaseSerial { try await self.inner.highestLeaseSerial() }
    func skipLeaseSerials(through serial: LeaseSerial) async throws {
        try await self.inner.skipLeaseSerials(through: serial)
    }
    func adopt() async throws { try await self.inner.adopt() }
}
