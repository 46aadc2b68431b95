// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
public import Logging
public import MailingModel
public import MasterStore
import Synchronization

/// The satellites' records in memory, for whoever must ask without waiting: the link asks for every frame.
///
/// The master fills it when it starts and after each change. The link and the master share one.
public final class SatelliteDirectory: Sendable {
    private struct Contents {
        var records: [SatelliteID: SatelliteRecord] = [:]
        /// The owners of a key: one satellite, unless an older version of this program let two share it.
        var byKey: [[UInt8]: Set<SatelliteID>] = [:]
        /// Counts the changes, so that a reading of the store that is older than one of them is not taken over.
        var changes = 0

        mutating func insert(_ record: SatelliteRecord) {
            self.records[record.id] = record
            for key in record.publicKeys { self.byKey[key, default: []].insert(record.id) }
        }

        mutating func remove(_ id: SatelliteID) {
            guard let record = self.records.removeValue(forKey: id) else { return }
            for key in record.publicKeys {
                self.byKey[key]?.remove(id)
                if self.byKey[key]?.isEmpty == true { self.byKey[key] = nil }
            }
        }

        /// The enabled satellite with a key; of several, the one that had it first.
        func enabled(publicKey: [UInt8]) -> SatelliteRecord? {
            self.byKey[publicKey]?.compactMap { self.records[$0] }.filter(\.enabled).min { $0.id < $1.id }
        }
    }

    private let contents = Mutex(Contents())
    private let sightings = Mutex<[SatelliteID: JournalSighting]>([:])

    /// Makes an empty directory, which allows nobody.
    public init() {}

    /// The enabled satellite that a CURVE public key belongs to.
    public func record(publicKey: [UInt8]) -> SatelliteRecord? {
        self.contents.withLock { $0.enabled(publicKey: publicKey) }
    }

    /// Notes how far a satellite's journal is written.
    func noteJournal(_ position: JournalPosition, of session: SatelliteSession) {
        self.sightings.withLock { sightings in
            if let known = sightings[session.satellite], known.incarnation == session.incarnation,
                known.position.written >= position.written
            {
                return
            }
            sightings[session.satellite] = JournalSighting(incarnation: session.incarnation, position: position)
        }
    }

    /// How far a satellite's journal was seen written, as its process last reported.
    func sighting(of satellite: SatelliteID) -> JournalSighting? { self.sightings.withLock { $0[satellite] } }

    /// A satellite by its number.
    public subscript(id: SatelliteID) -> SatelliteRecord? { self.contents.withLock { $0.records[id] } }

    /// All satellites in order of number.
    public var records: [SatelliteRecord] {
        self.contents.withLock { $0.records.values.sorted { $0.id < $1.id } }
    }

    /// Takes the records of the store.
    public func reload(from store: MailingStore) async throws {
        while true {
            let changes = self.contents.withLock { $0.changes }
            let records = try await store.satellites()
            let isCurrent = self.contents.withLock { contents in
                guard contents.changes == changes else { return false }
                contents = Contents()
                contents.changes = changes
                for record in records { contents.insert(record) }
                return true
            }
            if isCurrent { return }
        }
    }

    func insert(_ record: SatelliteRecord) {
        self.contents.withLock { contents in
            contents.changes += 1
            contents.remove(record.id)
            contents.insert(record)
        }
    }

    func remove(_ id: SatelliteID) {
        self.contents.withLock { contents in
            contents.changes += 1
            contents.remove(id)
        }
    }

    /// What a link asks its master for, answered from this directory and the store.
    ///
    /// - Parameters:
    ///   - store: Holds the blobs and the records.
    ///   - now: The civil clock.
    ///   - logger: Logs enrolments and failures of the store.
    /// - Returns: Decisions that hold this directory and the store.
    public func decisions(
        store: MailingStore,
        now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) -> MasterLinkDecisions {
        MasterLinkDecisions(
            record: { self.record(publicKey: $0) },
            blob: { hash in
                do {
                    return try await store.blob(hash)
                } catch {
                    logger.error(
                        "a blob cannot be read; its satellite asks again",
                        metadata: ["blob": "\(hash)", "error": "\(error)"]
                    )
                    return nil
                }
            },
            sharedKey: { serial in
                self.records.first { $0.serial == serial && $0.enabled }?.sharedKey
            },
            enrol: { serial, key in await self.enrol(serial, key: key, store: store, now: now(), logger: logger) },
            store: { store.position },
            noteJournal: { session, position in self.noteJournal(position, of: session) }
        )
    }

    /// Stores the key of a satellite that has proved its shared key; of its keys the two newest stay.
    private func enrol(
        _ serial: String,
        key: [UInt8],
        store: MailingStore,
        now: Timestamp,
        logger: Logger
    ) async -> Bool {
        let records = self.records
        guard let record = records.first(where: { $0.serial == serial && $0.enabled && $0.sharedKey != nil }) else {
            return false
        }
        if let owner = records.first(where: { $0.publicKeys.contains(key) }) {
            if owner.id != record.id {
                logger.warning(
                    "an enrolment is refused: its public key belongs to another satellite; each needs a key of its own",
                    metadata: ["satellite": "\(serial)", "owner": "\(owner.serial)"]
                )
            }
            return owner.id == record.id
        }
        do {
            let stored = try await store.updateSatellite(record.id) { record in
                record.publicKeys = record.publicKeys.suffix(1) + [key]
                record.paired = record.paired ?? now
            }
            self.insert(stored)
            logger.info("satellite enrolled", metadata: ["satellite": "\(serial)"])
            return true
        } catch {
            logger.error(
                "an enrolment cannot be stored; the satellite tries again",
                metadata: ["satellite": "\(serial)", "error": "\(error)"]
            )
            return false
        }
    }
}
