// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// How far a satellite's process has written its journal, as it last reported.
public struct JournalSighting: Hashable, Sendable {
    /// The process.
    public var incarnation: UInt64
    /// How far it has written.
    public var position: JournalPosition

    /// Composes a sighting.
    public init(incarnation: UInt64, position: JournalPosition) {
        self.incarnation = incarnation
        self.position = position
    }
}

extension MailingStore {
    /// The newest commit of this opening, for satellites to remember; it never names one that could still be lost.
    public var position: StorePosition { self.engine.position }

    /// Whether a commit is part of this store's history; if not, the store is a copy older than that commit.
    public func knows(_ position: StorePosition) async throws -> Bool {
        guard position.storeID == self.identity.storeID else { return false }
        return try await self.read { transaction in
            let row = try transaction.prepare("SELECT nonce, \"commit\" FROM leadership WHERE term = ?")
                .bind(1, position.term.rawValue).first { (opening: try $0.text(0), number: try $0.int64(1)) }
            if let row { return row.opening == position.opening && row.number >= position.number }
            // Openings of long ago are forgotten, and those of the time before they were kept.
            let oldest = try transaction.prepare("SELECT min(term) FROM leadership").first { try $0.optionalInt64(0) }
            return position.term.rawValue < (oldest ?? nil) ?? 0
        }
    }

    /// What was last seen of a satellite's journal; `nil` before its first handshake.
    public func journal(of satellite: SatelliteID) async throws -> JournalMark? {
        try await self.read { try JournalMarks.mark(of: satellite, $0) }
    }

    /// Notes what is seen of a satellite's journal.
    public func setJournal(_ mark: JournalMark, of satellite: SatelliteID) async throws {
        try await self.write { try JournalMarks.put(mark, of: satellite, $0) }
    }

    /// The first of the leases with an entry that a satellite's journal holds as started and the store never permitted to
    /// start, which proves that the store is an old copy; `nil` if there is none.
    public func unknownStart(among leases: [JournaledLease], of satellite: SatelliteID) async throws -> LeaseSerial? {
        guard !leases.isEmpty else { return nil }
        return try await self.read { transaction in
            let rows = Dictionary(
                try LeaseRow.fetch(of: satellite, transaction).map { ($0.serial, $0) },
                uniquingKeysWith: { first, _ in first }
            )
            return leases.first { lease in
                guard let row = rows[lease.lease] else { return false }
                return lease.started.indices.contains { index in
                    index < row.size && !row.started.contains(index) && !row.closed.contains(index)
                }
            }?.lease
        }
    }

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
    public func resolveFinished(
        by satellite: SatelliteID,
        holding leases: [LeaseSerial],
        _ details: [JournaledLease],
        at now: Timestamp
    ) async throws -> Int {
        try await self.write {
            try Revoking.resolveFinished(by: satellite, holding: Set(leases), details, at: now, $0)
        }
    }

    /// The highest lease serial ever given out; 0 if none.
    public func highestLeaseSerial() async throws -> LeaseSerial {
        try await self.read { LeaseSerial(rawValue: try $0.stored(.lease)) }
    }

    /// Skips lease serials up to and including this one.
    ///
    /// For a store that was restored: its satellites may hold leases of the time that it has forgotten.
    public func skipLeaseSerials(through serial: LeaseSerial) async throws {
        try await self.write { try $0.raise(.lease, to: serial.rawValue) }
    }

    /// Adopts a copied store: when it is opened again it no longer counts as a copy.
    public func adopt() async throws { try await self.engine.adopt() }
}
