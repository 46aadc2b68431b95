// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import SatelliteJournal
import Synchronization

/// Answers the link's questions; made before the satellite, which the link's maker could not name yet.
final class SatellitePresence: Sendable {
    private struct Known {
        weak var satellite: Satellite?
    }

    private let configuration: SatelliteConfiguration
    private let journal: Journal
    private let known = Mutex(Known())

    init(configuration: SatelliteConfiguration, journal: Journal) {
        self.configuration = configuration
        self.journal = journal
    }

    func present(_ satellite: Satellite) { self.known.withLock { $0.satellite = satellite } }

    func handshake() -> Handshake {
        let highest = self.journal.highest
        var handshake = Handshake(
            serial: self.configuration.serial,
            incarnation: self.journal.incarnation,
            journalID: self.journal.journalID,
            bootID: self.journal.bootID,
            softwareVersion: self.configuration.softwareVersion,
            highestTerm: highest.term,
            highestLeaseSerial: highest.lease,
            heldLeases: self.journal.heldLeases
        )
        handshake.journaledLeases = self.journal.journaledLeases
        handshake.newestStore = self.journal.store
        handshake.journalSession = self.journal.session
        handshake.earlierIncarnations = self.journal.earlierIncarnations
        handshake.journalFound = self.journal.found
        handshake.journalPosition = self.journal.position
        handshake.journalIsCopy = self.journal.isCopy
        return handshake
    }

    func load() -> SatelliteLoad {
        guard let satellite = self.known.withLock({ $0.satellite }) else { return SatelliteLoad() }
        return satellite.load
    }
}
