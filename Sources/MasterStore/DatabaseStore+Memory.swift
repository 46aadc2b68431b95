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

extension DatabaseStore {
    /// The newest commit of this opening.
    public var position: StorePosition { self.engine.position }

    /// Whether a commit is part of this store's history.
    public func knows(_ position: StorePosition) async throws -> Bool {
        guard position.storeID == self.identity.storeID else { return false }
        return try await self.read { transaction in
            let row = try transaction.prepare("SELECT nonce, \"commit\" FROM leadership WHERE term = ?")
                .bind(1, position.term.rawValue).first { (opening: $0.text(0), number: $0.int64(1)) }
            if let row { return row.opening == position.opening && row.number >= position.number }
            // Openings of long ago are forgotten, and those of the time before they were kept.
            let oldest = try transaction.prepare("SELECT min(term) FROM leadership").first { $0.int64(0) } ?? 0
            return position.term.rawValue < oldest
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

    /// The first of the leases with an entry that the journal holds as started and the store never permitted to start.
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
}
