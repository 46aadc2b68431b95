// SPDX-License-Identifier: Apache-2.0

public import MailingModel

extension MailingStore {
    /// Creates a mailing in ``MailingStatus/filling`` with its first content revision.
    ///
    /// `content` composes the revision once the number is known; its canonical bytes become a blob.
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

    /// The mailing of that number, or `nil`; a deleted one is gone.
    public func mailing(_ id: MailingID, in scope: AccountScope) async throws -> Mailing? {
        try await self.read { transaction in
            guard let mailing = try transaction.mailing(id)?.mailing, scope.contains(mailing.account) else {
                return nil
            }
            return mailing
        }
    }

    /// Mailings in ascending order of number.
    public func mailings(_ filter: MailingFilter, in scope: AccountScope) async throws -> [Mailing] {
        try await self.read { try MailingRow.fetch(filter, in: scope, $0).map(\.mailing) }
    }

    /// How many mailings match.
    public func countMailings(_ filter: MailingFilter, in scope: AccountScope) async throws -> Int {
        try await self.read { try MailingRow.count(filter, in: scope, $0) }
    }

    /// Reads, changes and writes one mailing (properties, status, times) in one transaction, serialised with every other write.
    ///
    /// `change` is a pure step, may return a new content revision, and may run twice. The fields that only the store may
    /// change (number, account, counters, ``Mailing/lastAdded``, ``Mailing/ending``) stay as they are. What it throws is
    /// rethrown and nothing changes.
    ///
    /// - Returns: The mailing after.
    /// - Throws: ``StoreError/Code/conflict`` if it would be finished with unfinished recipients,
    ///   ``StoreError/Code/unknownMailing``, and whatever `change` throws.
    public func updateMailing(
        _ id: MailingID,
        in scope: AccountScope,
        at now: Timestamp,
        _ change: @escaping @Sendable (inout Mailing) throws -> MailingContent?
    ) async throws -> Mailing {
        try await self.write { transaction in
            var row = try transaction.requireMailing(id, in: scope)
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
    public func content(of id: MailingID, in scope: AccountScope) async throws -> MailingContent? {
        try await self.read { transaction in
            guard let mailing = try transaction.mailing(id), scope.contains(mailing.mailing.account) else { return nil }
            return try Registry.blob(mailing.mailing.content, transaction).map {
                try MailingContent(canonicalBytes: $0)
            }
        }
    }

    /// Sets ``MailingStatus/paused`` and requeues every never-started recipient, in one transaction.
    ///
    /// `decide` throws if the mailing may not be paused.
    public func pauseMailing(
        _ id: MailingID,
        in scope: AccountScope,
        at now: Timestamp,
        decide: @escaping @Sendable (Mailing) throws -> Void
    ) async throws -> (mailing: Mailing, revoked: [RevokedLease]) {
        try await self.write { try Ending.pause(id, in: scope, at: now, decide: decide, $0) }
    }

    /// Removes a mailing and leaves a tombstone, so that late reports are acknowledged, counted and dropped.
    public func deleteMailing(
        _ id: MailingID,
        in scope: AccountScope,
        at now: Timestamp
    ) async throws -> [RevokedLease] {
        let revoked = try await self.write { try Deletion.delete(id, in: scope, at: now, $0) }
        self.purgeDeleted()
        return revoked
    }

    /// Expires every recipient that is waiting or deferred and not started (feed events included), in steps so that other
    /// operations get their turn.
    ///
    /// It may be called again to go on after a crash. From its first step on ``Mailing/ending`` is set
    /// and nothing is added, leased or started. Started recipients stay
    /// leased until reported or ``resolveStarted(of:at:)``. Finishes the mailing if nothing is left.
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

    /// Turns started, unreported recipients of a mailing into uncertain ones (15 minutes after its end).
    public func resolveStarted(of mailing: MailingID, at now: Timestamp) async throws -> Int {
        try await self.write { try Ending.resolve(mailing, at: now, $0) }
    }

    /// Finishes a regular mailing if every recipient is terminal and `grace` has passed since its start and its last
    /// accepted recipients; one transaction, serialised with ``addRecipients(_:to:in:deliveryClass:at:)``.
    ///
    /// - Returns: The mailing as it stands after, or `nil` if it did not finish.
    public func finishIfComplete(_ id: MailingID, at now: Timestamp, grace: Duration) async throws -> Mailing? {
        try await self.write { try Ending.finishIfComplete(id, at: now, grace: grace, $0) }
    }

    /// Counts for the status page and the metrics.
    public func summary(at now: Timestamp) async throws -> StoreSummary {
        try await self.read { try Overview.summary($0) }
    }

    /// Recounts every mailing and returns how many counters differed (0 in health) after repairing them.
    public func reconcileCounters() async throws -> Int {
        var differences = 0
        for mailing in try await self.mailings(MailingFilter(), in: .everything).map(\.id) {
            differences += try await self.reconcileCounters(of: mailing)
        }
        return differences
    }

    /// Recounts one mailing, without keeping a writer waiting, and repairs what differs.
    ///
    /// - Returns: How many counters differed; 0 for a mailing that was deleted.
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
