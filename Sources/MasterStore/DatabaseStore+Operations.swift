// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension DatabaseStore: MailingStore {
    // MARK: Mailings

    /// Creates a mailing with its first content revision.
    public func createMailing(
        _ properties: MailingProperties,
        account: AccountID,
        at now: Timestamp,
        content: @escaping @Sendable (MailingID) throws -> MailingContent
    ) async throws -> Mailing {
        try await self.write { transaction in
            let id = try MailingRow.insert(properties, account: account, at: now, transaction)
            try transaction.prepare("INSERT INTO cohort(mailing) VALUES (?)").bind(1, Int(id.rawValue)).run()
            let content = try content(id)
            let hash = try Self.addRevision(content, number: 1, of: id, at: now, transaction)
            let mailing = Mailing(
                id: id,
                account: account,
                status: .filling,
                properties: properties,
                content: hash,
                subject: content.subject,
                counters: MailingCounters(),
                created: now,
                submitted: nil,
                started: nil,
                ended: nil
            )
            try MailingRow(new: mailing).write(transaction)
            return mailing
        }
    }

    /// The mailing of that number.
    public func mailing(_ id: MailingID) async throws -> Mailing? {
        try await self.read { try $0.mailing(id)?.mailing }
    }

    /// Mailings in ascending order of number.
    public func mailings(_ filter: MailingFilter) async throws -> [Mailing] {
        try await self.read { try MailingRow.fetch(filter, $0).map(\.mailing) }
    }

    /// How many mailings match.
    public func countMailings(_ filter: MailingFilter) async throws -> Int {
        try await self.read { try MailingRow.count(filter, $0) }
    }

    /// Reads, changes and writes one mailing.
    ///
    /// Number, account, counters and the times that the store keeps stay as they are.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if it would be finished with recipients that are not terminal.
    public func updateMailing(
        _ id: MailingID,
        at now: Timestamp,
        _ change: @escaping @Sendable (inout Mailing) throws -> MailingContent?
    ) async throws -> Mailing {
        try await self.write { transaction in
            var row = try transaction.requireMailing(id)
            let old = row.mailing
            let content = try change(&row.mailing)
            row.keepWhatTheStoreOwns(of: old)
            guard row.mailing.status != .finished || old.status == .finished || old.counters.pending == 0 else {
                throw StoreError(.conflict, "mailing \(id) has unfinished recipients and cannot be finished")
            }
            if let content {
                let hash = try Self.addRevision(content, number: row.revision + 1, of: id, at: now, transaction)
                row.mailing.content = hash
                row.mailing.subject = content.subject
                row.revision += 1
            }
            try row.write(transaction)
            return row.mailing
        }
    }

    /// The newest content revision of a mailing.
    public func content(of id: MailingID) async throws -> MailingContent? {
        try await self.read { transaction in
            guard let mailing = try transaction.mailing(id) else { return nil }
            return try Registry.blob(mailing.mailing.content, transaction).map {
                try MailingContent(canonicalBytes: $0)
            }
        }
    }

    /// Pauses a mailing and requeues its never-started recipients.
    public func pauseMailing(
        _ id: MailingID,
        at now: Timestamp,
        decide: @escaping @Sendable (Mailing) throws -> Void
    ) async throws -> (mailing: Mailing, revoked: [RevokedLease]) {
        try await self.write { try Ending.pause(id, at: now, decide: decide, $0) }
    }

    /// Removes a mailing and leaves a tombstone.
    public func deleteMailing(_ id: MailingID, at now: Timestamp) async throws -> [RevokedLease] {
        let revoked = try await self.write { try Deletion.delete(id, at: now, $0) }
        self.purgeDeleted()
        return revoked
    }

    /// Expires what is not started, in steps; may be called again to go on after a crash.
    public func expireRemaining(
        _ id: MailingID,
        at now: Timestamp
    ) async throws -> (mailing: Mailing, revoked: [RevokedLease]) {
        var revoked: [RevokedLease] = []
        while true {
            let step = try await self.write { try Ending.expire(id, at: now, $0) }
            revoked += step.revoked
            if step.isDone { return (step.mailing, revoked) }
        }
    }

    /// Turns started, unreported recipients of a mailing into uncertain ones.
    public func resolveStarted(of mailing: MailingID, at now: Timestamp) async throws -> Int {
        try await self.write { try Ending.resolve(mailing, at: now, $0) }
    }

    /// Finishes a mailing if nothing of it is left.
    public func finishIfComplete(_ id: MailingID, at now: Timestamp, grace: Duration) async throws -> Mailing? {
        try await self.write { try Ending.finishIfComplete(id, at: now, grace: grace, $0) }
    }

    // MARK: Recipients

    /// Adds recipients, durable when it returns.
    public func addRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        deliveryClass: DeliveryClass,
        at now: Timestamp
    ) async throws -> [RecipientAdmission] {
        let admissions = try await self.write { try Admission.add(drafts, to: mailing, deliveryClass, at: now, $0) }
        let ids = self.context.secrets.recipientIDs
        return zip(drafts, admissions).map { draft, admission in
            guard case .accepted(let id) = admission else { return .trackingIDTaken }
            return .accepted(id, trackingID: draft.trackingID ?? ids.encode(id))
        }
    }

    /// Adds recipients of an import, durable when it returns.
    public func importRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        from source: ImportSource?,
        at now: Timestamp
    ) async throws -> [ImportAdmission] {
        try await self.write { try Admission.add(drafts, to: mailing, .bulk, from: source, at: now, $0) }
    }

    /// The current reports of the recipients found, in the order asked.
    public func reports(of trackingIDs: [String], account: AccountID) async throws -> [RecipientReport] {
        try await self.read { try Reporting.reports(of: trackingIDs, account: account, $0) }
    }

    /// How many recipients match.
    public func countRecipients(_ filter: RecipientFilter) async throws -> Int {
        try await self.read { try Reporting.count(filter, $0) }
    }

    /// Resolves recipients held as uncertain, in steps.
    public func resolveUncertain(
        _ mailing: MailingID,
        as resolution: UncertainResolution,
        at now: Timestamp
    ) async throws -> Int {
        var changed = 0
        while true {
            let step = try await self.write { try Resending.resolve(mailing, as: resolution, at: now, $0) }
            changed += step
            if step < Resending.step { return changed }
        }
    }

    /// Requeues terminal recipients, unless their mailing has ended; in steps.
    public func resetRecipients(_ trackingIDs: [String], account: AccountID, at now: Timestamp) async throws -> Int {
        var changed = 0
        for first in stride(from: 0, to: trackingIDs.count, by: Resending.step) {
            let some = Array(trackingIDs[first..<min(first + Resending.step, trackingIDs.count)])
            changed += try await self.write { transaction in
                let ids = try Reporting.recipients(some, account: account, transaction).compactMap(\.self)
                return try Resending.reset(ids, at: now, transaction)
            }
        }
        return changed
    }

    // MARK: Feed

    /// Events after a position, ascending.
    public func feed(after position: Int64, filter: RecipientFilter, limit: Int) async throws -> FeedPage {
        var page = try await self.read { try Reporting.page(after: position, filter: filter, limit: limit, $0) }
        while page.entries.isEmpty, page.next < page.head, limit > 0 {
            let next = page.next
            page = try await self.read { try Reporting.page(after: next, filter: filter, limit: limit, $0) }
        }
        return page
    }

    /// The position of the newest event.
    public func feedHead() async throws -> Int64 { try await self.read { try $0.stored(.feed) } }

    /// Removes the oldest events as long as they are older than a timestamp, one step.
    public func purgeEvents(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool) {
        try await self.write { try EventPurge.step(before: timestamp, $0) }
    }

    // MARK: Leasing

    /// Work that could be leased now.
    public func backlog(at now: Timestamp) async throws -> [Backlog] {
        try await self.read { try Overview.backlog(at: now, $0) }
    }

    /// Leases recipients.
    public func claim(
        _ requests: [ClaimRequest],
        at now: Timestamp,
        lifetime: Duration
    ) async throws -> [LeaseGrant] {
        try await self.write { transaction in
            try requests.compactMap { try Claiming.claim($0, at: now, lifetime: lifetime, transaction) }
        }
    }

    /// Marks recipients as started.
    public func start(
        _ requests: [StartRequest],
        by satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting?
    ) async throws -> [StartDecision] {
        try await self.write { transaction in
            try JournalMarks.advance(journal, of: satellite, transaction)
            return try requests.map { try Revoking.start($0, by: satellite, at: now, transaction) }
        }
    }

    /// Applies reports idempotently.
    public func apply(
        _ reports: [DeliveryReport],
        from satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting?
    ) async throws -> IntakeResult {
        try await self.write { transaction in
            try JournalMarks.advance(journal, of: satellite, transaction)
            return try Intake.apply(reports, from: satellite, at: now, transaction)
        }
    }

    /// Requeues recipients that the satellite returns because they were not sent.
    public func requeue(
        _ lease: LeaseSerial,
        entries: EntryBitmap,
        from satellite: SatelliteID,
        at now: Timestamp
    ) async throws {
        try await self.write { try Revoking.requeue(lease, entries, from: satellite, at: now, $0) }
    }

    /// Leases with something left to report.
    public func leases(of satellite: SatelliteID?) async throws -> [LeaseSummary] {
        try await self.read { try LeaseRow.fetch(of: satellite, $0).map(\.summary) }
    }

    /// Revokes leases.
    public func revoke(_ leases: [LeaseSerial], at now: Timestamp) async throws -> [RevokedLease] {
        try await self.write { try Revoking.revoke(leases, at: now, $0) }
    }

    /// Turns started, unreported recipients of leases into uncertain ones.
    public func resolveStarted(of leases: [LeaseSerial], at now: Timestamp) async throws -> Int {
        try await self.write { try Revoking.resolve(leases, mailingEnds: false, at: now, $0) }
    }

    /// Dates anew what is due later than any retry may be, a transaction for each step.
    public func dateAnew(at now: Timestamp) async throws -> Int {
        var filter = MailingFilter()
        filter.statuses = [.filling, .ready, .running, .paused]
        var count = 0
        for mailing in try await self.mailings(filter).map(\.id)
        where try await self.read({ try Redating.isNeeded(of: mailing, at: now, $0) }) {
            var dated = 0
            repeat {
                dated = try await self.write { try Redating.dateAnew(mailing, at: now, $0) }
                count += dated
            } while dated == Redating.step
        }
        return count
    }

    /// The next time at which something becomes due.
    public func nextDue(after now: Timestamp, finishGrace: Duration) async throws -> Timestamp? {
        try await self.read { try Overview.nextDue(after: now, finishGrace: finishGrace, $0) }
    }

    // MARK: Blobs and keys

    /// Stores a blob under its hash.
    public func putBlob(_ bytes: [UInt8], at now: Timestamp) async throws -> BlobHash {
        let hash = self.context.secrets.digest(bytes)
        try await self.write { transaction in
            try Registry.putBlob(bytes, hash, transaction)
            try BlobUse.reserve(hash, at: now, transaction)
        }
        return hash
    }

    /// Removes blobs that no mailing has come to use.
    public func purgeBlobs(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool) {
        try await self.write { try BlobUse.purge(before: timestamp, $0) }
    }

    /// The blob of that name.
    public func blob(_ hash: BlobHash) async throws -> [UInt8]? {
        try await self.read { try Registry.blob(hash, $0) }
    }

    /// Stores a signing key, encrypted.
    public func putSigningKey(pem: String) async throws -> BlobHash {
        let bytes = Array(pem.utf8)
        let hash = self.context.secrets.digest(bytes)
        let sealed = try self.context.secrets.seal(bytes)
        try await self.write { try Registry.putKey(sealed: sealed, hash, $0) }
        return hash
    }

    /// The PEM text of a signing key.
    public func signingKey(_ hash: BlobHash) async throws -> String? {
        let sealed = try await self.read { try Registry.key(hash, $0) }
        return try sealed.map { String(decoding: try self.context.secrets.open($0), as: UTF8.self) }
    }

    // MARK: Satellites and API keys

    /// Adds a satellite.
    ///
    /// - Throws: ``StoreError/Code/conflict`` if its serial, in whatever case, or its key is another's.
    public func addSatellite(_ satellite: SatelliteRecord) async throws -> SatelliteRecord {
        try await self.write { try Registry.add(satellite, $0) }
    }

    /// All satellites in order of number.
    public func satellites() async throws -> [SatelliteRecord] {
        try await self.read { try Registry.satellites($0) }
    }

    /// Reads, changes and writes one satellite; its number stays.
    public func updateSatellite(
        _ id: SatelliteID,
        _ change: @escaping @Sendable (inout SatelliteRecord) throws -> Void
    ) async throws -> SatelliteRecord {
        try await self.write { transaction in
            let old = try Registry.satellite(id, transaction)
            var record = old
            try change(&record)
            record.id = id
            try Registry.update(record, replacing: old, transaction)
            return record
        }
    }

    /// Removes a satellite.
    ///
    /// - Throws: ``StoreError/Code/conflict`` while it holds leases.
    public func removeSatellite(_ id: SatelliteID) async throws {
        try await self.write { try Registry.remove(id, $0) }
    }

    /// Stores an API key.
    public func addKey(_ key: APIKeyRecord) async throws { try await self.write { try Registry.add(key, $0) } }

    /// All keys, newest last.
    public func keys() async throws -> [APIKeyRecord] { try await self.read { try Registry.keys($0) } }

    /// Revokes a key.
    public func revokeKey(_ publicID: String, at now: Timestamp) async throws -> Bool {
        try await self.write { try Registry.revoke(publicID, at: now, $0) }
    }

    // MARK: The store itself

    /// Counts for the status page and the metrics.
    public func summary(at now: Timestamp) async throws -> StoreSummary {
        try await self.read { try Overview.summary($0) }
    }

    /// Recounts every mailing, one after another.
    public func reconcileCounters() async throws -> Int {
        var differences = 0
        for mailing in try await self.mailings(MailingFilter()).map(\.id) {
            differences += try await self.reconcileCounters(of: mailing)
        }
        return differences
    }

    /// Recounts one mailing on a snapshot; only if that differs it is recounted by the writer, and repaired.
    public func reconcileCounters(of mailing: MailingID) async throws -> Int {
        // Counters change with the rows that they count, so each snapshot shows whether they are right.
        guard try await self.read({ try Recount.differences(mailing, $0) }) > 0 else { return 0 }
        return try await self.write { try Recount.repair(mailing, $0) }
    }

    private static func addRevision(
        _ content: MailingContent,
        number: Int64,
        of id: MailingID,
        at now: Timestamp,
        _ transaction: StoreTransaction
    ) throws -> BlobHash {
        let bytes = try content.canonicalBytes()
        let hash = transaction.context.secrets.digest(bytes)
        try Registry.putBlob(bytes, hash, transaction)
        try BlobUse.note([hash], of: id, at: now, transaction)
        try transaction.prepare("INSERT INTO revision(mailing, number, content, created) VALUES (?, ?, ?, ?)")
            .bind(1, Int(id.rawValue)).bind(2, number).bind(3, hash.bytes).bind(4, now).run()
        return hash
    }
}
