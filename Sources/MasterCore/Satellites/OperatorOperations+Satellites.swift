// SPDX-License-Identifier: Apache-2.0

import Logging
public import MailingModel
import MasterStore

extension OperatorOperations {
    /// All satellites in order of number.
    public func satellites() async throws -> [SatelliteRecord] {
        try await self.call { try await self.store.satellites() }
    }

    /// Adds a satellite.
    ///
    /// - Throws: ``MasterError/Code/satelliteExists(_:)``, ``MasterError/Code/publicKeyInUse(_:)``,
    ///   ``MasterError/Code/badProperty(_:)``.
    public func addSatellite(_ draft: SatelliteDraft) async throws -> SatelliteRecord {
        try await self.call {
            let record = try SatelliteRules.record(from: draft)
            try SatelliteRules.requireUnused(
                serial: record.serial,
                publicKeys: record.publicKeys,
                by: nil,
                among: self.directory.records
            )
            do {
                let stored = try await self.store.addSatellite(record)
                self.directory.insert(stored)
                self.logger.info("satellite added", metadata: ["satellite": "\(stored.serial)"])
                await self.engine.dispatcher.satellitesChanged()
                return stored
            } catch let error as StoreError where error.code == .conflict {
                throw SatelliteRules.conflict(error, draft.serial)
            }
        }
    }

    /// Changes a satellite; one that may no longer connect is disconnected and its never-started recipients go to others.
    ///
    /// - Throws: ``MasterError/Code/unknownSatellite(_:)``, ``MasterError/Code/satelliteExists(_:)``,
    ///   ``MasterError/Code/publicKeyInUse(_:)``, ``MasterError/Code/badProperty(_:)``.
    public func setSatellite(_ id: SatelliteID, to change: SatelliteChange) async throws -> SatelliteRecord {
        try await self.call {
            try SatelliteRules.requireUnused(
                serial: change.serial,
                publicKeys: change.publicKeys ?? [],
                by: id,
                among: self.directory.records
            )
            do {
                let stored = try await self.store.updateSatellite(id) { try SatelliteRules.apply(change, to: &$0) }
                self.directory.insert(stored)
                self.logger.info("satellite changed", metadata: ["satellite": "\(stored.serial)"])
                await self.engine.dispatcher.satellitesChanged()
                return stored
            } catch let error as StoreError where error.code == .unknownRecord {
                throw MasterError(.unknownSatellite(id), "there is no satellite \(id.rawValue)")
            } catch let error as StoreError where error.code == .conflict {
                throw SatelliteRules.conflict(error, change.serial ?? self.directory[id]?.serial ?? "\(id.rawValue)")
            }
        }
    }

    /// Removes a satellite.
    ///
    /// It takes no new recipients from now on, and its never-started ones go to others. Unless forced, it stays until its
    /// started recipients are reported.
    ///
    /// - Parameters:
    ///   - id: The satellite.
    ///   - force: Makes its started recipients uncertain and removes it at once.
    /// - Throws: ``MasterError/Code/unknownSatellite(_:)``; ``MasterError/Code/satelliteBusy(started:)`` while it has started
    ///   recipients: call again later, or force.
    public func removeSatellite(_ id: SatelliteID, force: Bool = false) async throws {
        try await self.call {
            do {
                try await self.engine.dispatcher.remove(id, force: force)
            } catch let error as StoreError where error.code == .unknownRecord {
                throw MasterError(.unknownSatellite(id), "there is no satellite \(id.rawValue)")
            }
        }
    }
}
