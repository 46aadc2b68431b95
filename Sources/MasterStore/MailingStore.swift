// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// The master's durable truth: a few operations over a whole database, each one transaction.
///
/// What an operation returns has been committed. Decisions that depend on the clock get the time as an argument.
/// ``DatabaseStore`` implements it once, over SQLite and PostgreSQL; one suite of tests runs on both, and other tests have
/// stores that fail on purpose.
public protocol MailingStore: Sendable {
    /// The store's identity, and the term under which it was opened.
    var identity: StoreIdentity { get }
    /// Why the store is not trusted to answer, as far as is known without asking it, or `nil`.
    var problem: String? { get }
    /// The newest commit of this opening, for satellites to remember; it never names one that could still be lost.
    var position: StorePosition { get }
    /// Whether a commit is part of this store's history; if not, the store is a copy older than that commit.
    func knows(_ position: StorePosition) async throws -> Bool

    // MARK: Mailings

    /// Creates a mailing in ``MailingStatus/filling`` with its first content revision.
    ///
    /// `content` composes the revision once the number is known; its canonical bytes become a blob.
    func createMailing(
        _ properties: MailingProperties,
        account: AccountID,
        at now: Timestamp,
        content: @escaping @Sendable (MailingID) throws -> MailingContent
    ) async throws -> Mailing
    /// The mailing of that number, or `nil`; a deleted one is gone.
    func mailing(_ id: MailingID) async throws -> Mailing?
    /// Mailings in ascending order of number.
    func mailings(_ filter: MailingFilter) async throws -> [Mailing]
    /// How many mailings match.
    func countMailings(_ filter: MailingFilter) async throws -> Int
    /// Reads, changes and writes one mailing (properties, status, times) in one transaction, serialised with every other write.
    ///
    /// `change` is a pure step, may return a new content revision, and may run twice. The fields that only the store may
    /// change (number, account, counters, ``Mailing/lastAdded``, ``Mailing/ending``) stay as they are. What it throws is
    /// rethrown and nothing changes.
    ///
    /// - Returns: The mailing after.
    /// - Throws: ``StoreError/Code/conflict`` if it would be finished with unfinished recipients,
    ///   ``StoreError/Code/unknownMailing``, and whatever `change` throws.
    func updateMailing(
        _ id: MailingID,
        at now: Timestamp,
        _ change: @escaping @Sendable (inout Mailing) throws -> MailingContent?
    ) async throws -> Mailing
    /// The newest content revision of a mailing.
    func content(of id: MailingID) async throws -> MailingContent?
    /// Sets ``MailingStatus/paused`` and requeues every never-started recipient, in one transaction.
    ///
    /// `decide` throws if the mailing may not be paused.
    func pauseMailing(
        _ id: MailingID,
        at now: Timestamp,
        decide: @escaping @Sendable (Mailing) throws -> Void
    ) async throws -> (mailing: Mailing, revoked: [RevokedLease])
    /// Removes a mailing and leaves a tombstone, so that late reports are acknowledged, counted and dropped.
    func deleteMailing(_ id: MailingID, at now: Timestamp) async throws -> [RevokedLease]
    /// Expires every recipient that is waiting or deferred and not started (feed events included), in steps so that other
    /// operations get their turn; may be called again to go on after a crash. From its first step on ``Mailing/ending`` is set
    /// and nothing is added, leased or started. Started recipients stay
    /// leased until reported or ``resolveStarted(of:at:)``. Finishes the mailing if nothing is left.
    func expireRemaining(_ id: MailingID, at now: Timestamp) async throws -> (mailing: Mailing, revoked: [RevokedLease])
    /// Turns started, unreported recipients of a mailing into uncertain ones (15 minutes after its end).
    func resolveStarted(of mailing: MailingID, at now: Timestamp) async throws -> Int
    /// Finishes a regular mailing if every recipient is terminal and `grace` has passed since its start and its last
    /// accepted recipients; one transaction, serialised with ``addRecipients(_:to:deliveryClass:at:)``.
    ///
    /// - Returns: The mailing as it stands after, or `nil` if it did not finish.
    func finishIfComplete(_ id: MailingID, at now: Timestamp, grace: Duration) async throws -> Mailing?

    // MARK: Recipients

    /// Adds recipients, durable when it returns; one admission per draft, input order.
    ///
    /// ``DeliveryClass/express`` is for test sends: leased even in `filling`.
    ///
    /// - Returns: One admission per draft.
    /// - Throws: ``StoreError/Code/unknownMailing``, ``StoreError/Code/mailingFinished``.
    func addRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        deliveryClass: DeliveryClass,
        at now: Timestamp
    ) async throws -> [RecipientAdmission]
    /// Adds recipients of an import, durable when it returns; one admission per draft, input order.
    ///
    /// - Parameters:
    ///   - drafts: The recipients.
    ///   - mailing: The mailing that they are added to.
    ///   - source: Where they come from, if the import may be repeated: a line that has become a recipient becomes no
    ///     second one. Drafts with ids of their own are distinguished by those.
    ///   - now: The time.
    /// - Returns: One admission per draft.
    /// - Throws: ``StoreError/Code/unknownMailing``, ``StoreError/Code/mailingFinished``.
    func importRecipients(
        _ drafts: [RecipientDraft],
        to mailing: MailingID,
        from source: ImportSource?,
        at now: Timestamp
    ) async throws -> [ImportAdmission]
    /// The current reports of the recipients found among those ids (generated ones or the client's own).
    func reports(of trackingIDs: [String], account: AccountID) async throws -> [RecipientReport]
    /// How many recipients match.
    func countRecipients(_ filter: RecipientFilter) async throws -> Int
    /// Resolves recipients held as uncertain.
    ///
    /// - Returns: How many changed.
    func resolveUncertain(
        _ mailing: MailingID,
        as resolution: UncertainResolution,
        at now: Timestamp
    ) async throws -> Int
    /// Requeues terminal recipients so that they are sent again (`reset_recipients_status`).
    ///
    /// Many go in steps; those before one that fails stand.
    func resetRecipients(_ trackingIDs: [String], account: AccountID, at now: Timestamp) async throws -> Int

    // MARK: Feed

    /// Events after a position, ascending; an empty page means the head is reached.
    func feed(after position: Int64, filter: RecipientFilter, limit: Int) async throws -> FeedPage
    /// The position of the newest event, 0 if there is none.
    func feedHead() async throws -> Int64
    /// Removes the oldest events as long as they are older than `timestamp`: one step, so that other operations get their turn.
    ///
    /// The horizon moves up with them, in the same transaction. An event's age is that of the change that it describes.
    ///
    /// - Returns: How many were removed, and whether to call again.
    func purgeEvents(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool)

    // MARK: Leasing

    /// Dates waiting recipients anew that are due later than any retry may be: the clock was wrong when they were dated.
    ///
    /// - Returns: How many.
    func dateAnew(at now: Timestamp) async throws -> Int

    /// Work that could be leased at `now`: mailings that are ready or running within their schedule, express recipients
    /// of filling ones too; one row for each mailing, bucket, class and kind with at least one claimable recipient.
    func backlog(at now: Timestamp) async throws -> [Backlog]
    /// Leases recipients; all requests in one transaction. A request that finds nothing yields no grant.
    ///
    /// The first lease of a mailing sets it running and its `started` time. A recipient that `affinity` forbids becomes a
    /// retry entry of its own and is skipped.
    func claim(_ requests: [ClaimRequest], at now: Timestamp, lifetime: Duration) async throws -> [LeaseGrant]
    /// Marks recipients as started; nothing may be sent before.
    ///
    /// - Returns: The entries that may be sent; the others of the request were refused (revoked lease, paused or ended mailing, other satellite).
    ///   `journal` is how far the satellite's journal was seen, and is noted in the same transaction.
    func start(
        _ requests: [StartRequest],
        by satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting?
    ) async throws -> [StartDecision]
    /// Applies reports idempotently: state, counters, event, feed position and how far the satellite's journal was seen,
    /// in one transaction.
    func apply(
        _ reports: [DeliveryReport],
        from satellite: SatelliteID,
        at now: Timestamp,
        journal: JournalSighting?
    ) async throws -> IntakeResult
    /// Requeues recipients of a lease that the satellite returns because they were not sent, started or not.
    ///
    /// They wait again at once; in a mailing that is ending they expire.
    func requeue(
        _ lease: LeaseSerial,
        entries: EntryBitmap,
        from satellite: SatelliteID,
        at now: Timestamp
    ) async throws
    /// Leases with something left to report, of one satellite or of all.
    func leases(of satellite: SatelliteID?) async throws -> [LeaseSummary]
    /// Revokes leases: their never-started recipients wait again; the started ones stay with the lease.
    func revoke(_ leases: [LeaseSerial], at now: Timestamp) async throws -> [RevokedLease]
    /// Turns started, unreported recipients of leases into uncertain ones (satellite removed, or lost its journal).
    func resolveStarted(of leases: [LeaseSerial], at now: Timestamp) async throws -> Int
    /// Makes recipients uncertain that a restored store believes to be with a satellite, and of which the satellite has
    /// nothing left to report: it finished them in the time that the store has lost.
    ///
    /// - Parameters:
    ///   - satellite: The satellite.
    ///   - leases: Every lease that it holds; of others it has finished everything.
    ///   - details: What its journal holds of them; entries that it has started are noted as started.
    ///   - now: The time.
    /// - Returns: How many recipients were made uncertain.
    /// - Throws: ``StoreError``; nothing is changed then.
    func resolveFinished(
        by satellite: SatelliteID,
        holding leases: [LeaseSerial],
        _ details: [JournaledLease],
        at now: Timestamp
    ) async throws -> Int
    /// The first of the leases with an entry that a satellite's journal holds as started and the store never permitted to
    /// start, which proves that the store is an old copy; `nil` if there is none.
    func unknownStart(among leases: [JournaledLease], of satellite: SatelliteID) async throws -> LeaseSerial?
    /// What was last seen of a satellite's journal; `nil` before its first handshake.
    func journal(of satellite: SatelliteID) async throws -> JournalMark?
    /// Notes what is seen of a satellite's journal.
    func setJournal(_ mark: JournalMark, of satellite: SatelliteID) async throws
    /// The next time after `now` at which something becomes due: a retry, a scheduled start or end, a finish grace.
    func nextDue(after now: Timestamp, finishGrace: Duration) async throws -> Timestamp?

    // MARK: Blobs and keys

    /// Stores a blob under its hash; storing it again changes nothing.
    ///
    /// It stays as long as a mailing needs it, and in any case until ``purgeBlobs(before:)`` with a later timestamp.
    func putBlob(_ bytes: [UInt8], at now: Timestamp) async throws -> BlobHash
    /// Removes blobs that were stored before `timestamp` and that no mailing has come to use: one step, so that other operations
    /// get their turn.
    ///
    /// - Returns: How many were looked at, and whether to call again.
    func purgeBlobs(before timestamp: Timestamp) async throws -> (purged: Int, isMoreLeft: Bool)
    /// The blob of that name.
    func blob(_ hash: BlobHash) async throws -> [UInt8]?
    /// Stores a signing key, encrypted, under the SHA-256 of its PEM text.
    func putSigningKey(pem: String) async throws -> BlobHash
    /// The PEM text of a signing key.
    func signingKey(_ hash: BlobHash) async throws -> String?

    // MARK: Satellites and API keys

    /// Adds a satellite; its number is assigned.
    func addSatellite(_ satellite: SatelliteRecord) async throws -> SatelliteRecord
    /// All satellites in order of number.
    func satellites() async throws -> [SatelliteRecord]
    /// Reads, changes and writes one satellite.
    func updateSatellite(
        _ id: SatelliteID,
        _ change: @escaping @Sendable (inout SatelliteRecord) throws -> Void
    ) async throws -> SatelliteRecord
    /// Removes a satellite; its leases must have been resolved.
    func removeSatellite(_ id: SatelliteID) async throws
    /// Stores an API key.
    func addKey(_ key: APIKeyRecord) async throws
    /// All keys, newest last.
    func keys() async throws -> [APIKeyRecord]
    /// Revokes a key; `false` if there was none of that name.
    func revokeKey(_ publicID: String, at now: Timestamp) async throws -> Bool

    // MARK: The store itself

    /// Counts for the status page and the metrics.
    func summary(at now: Timestamp) async throws -> StoreSummary
    /// Writes a consistent copy while everything goes on.
    func backup(to path: String) async throws
    /// Recounts every mailing and returns how many counters differed (0 in health) after repairing them.
    func reconcileCounters() async throws -> Int
    /// Recounts one mailing, without keeping a writer waiting, and repairs what differs.
    ///
    /// - Returns: How many counters differed; 0 for a mailing that was deleted.
    func reconcileCounters(of mailing: MailingID) async throws -> Int
    /// Closes the store; nothing may be called afterwards.
    func close() async throws
}

extension MailingStore {
    /// Marks recipients as started without noting how far the satellite's journal was seen.
    public func start(
        _ requests: [StartRequest],
        by satellite: SatelliteID,
        at now: Timestamp
    ) async throws -> [StartDecision] {
        try await self.start(requests, by: satellite, at: now, journal: nil)
    }

    /// Applies reports without noting how far the satellite's journal was seen.
    public func apply(
        _ reports: [DeliveryReport],
        from satellite: SatelliteID,
        at now: Timestamp
    ) async throws -> IntakeResult {
        try await self.apply(reports, from: satellite, at: now, journal: nil)
    }
}
