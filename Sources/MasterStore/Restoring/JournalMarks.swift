// SPDX-License-Identifier: Apache-2.0

internal import MailingModel

/// What was last seen of the satellites' journals.
enum JournalMarks {
    static func mark(of satellite: SatelliteID, _ transaction: StoreTransaction) throws -> JournalMark? {
        try transaction.prepare(
            """
            SELECT journal, boot, session, incarnation, written, synced, distrusted
            FROM satellite_journal WHERE satellite = ?
            """
        ).bind(1, Int(satellite.rawValue)).first { row in
            JournalMark(
                journalID: try row.text(0),
                bootID: try row.text(1),
                session: UInt64(bitPattern: try row.int64(2)),
                incarnation: UInt64(bitPattern: try row.int64(3)),
                position: JournalPosition(
                    written: UInt64(bitPattern: try row.int64(4)),
                    synced: UInt64(bitPattern: try row.int64(5))
                ),
                isDistrusted: try row.int64(6) != 0
            )
        }
    }

    static func put(_ mark: JournalMark, of satellite: SatelliteID, _ transaction: StoreTransaction) throws {
        try transaction.prepare(
            """
            INSERT INTO satellite_journal(satellite, journal, boot, session, incarnation, written, synced, distrusted)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(satellite) DO UPDATE SET journal = excluded.journal, boot = excluded.boot,
            session = excluded.session, incarnation = excluded.incarnation, written = excluded.written,
            synced = excluded.synced, distrusted = excluded.distrusted
            """
        ).bind(1, Int(satellite.rawValue)).bind(2, mark.journalID).bind(3, mark.bootID)
            .bind(4, Int64(bitPattern: mark.session)).bind(5, Int64(bitPattern: mark.incarnation))
            .bind(6, Int64(bitPattern: mark.position.written)).bind(7, Int64(bitPattern: mark.position.synced))
            .bind(8, mark.isDistrusted ? 1 : 0).run()
    }

    /// Moves the mark of a process forward; that of another process stays.
    static func advance(
        _ sighting: JournalSighting?,
        of satellite: SatelliteID,
        _ transaction: StoreTransaction
    ) throws {
        guard let sighting else { return }
        let written = Int64(bitPattern: sighting.position.written)
        try transaction.prepare(
            """
            UPDATE satellite_journal SET written = ?, synced = ?
            WHERE satellite = ? AND incarnation = ? AND written < ?
            """
        ).bind(1, written).bind(2, Int64(bitPattern: sighting.position.synced)).bind(3, Int(satellite.rawValue))
            .bind(4, Int64(bitPattern: sighting.incarnation)).bind(5, written).run()
    }

    static func remove(_ satellite: SatelliteID, _ transaction: StoreTransaction) throws {
        try transaction.prepare("DELETE FROM satellite_journal WHERE satellite = ?").bind(1, Int(satellite.rawValue))
            .run()
    }
}
