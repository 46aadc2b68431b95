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

    func hello() -> Hello {
        let highest = self.journal.highest
        var hello = Hello(
            serial: self.configuration.serial,
            incarnation: self.journal.incarnation,
            journalID: self.journal.journalID,
            bootID: self.journal.bootID,
            softwareVersion: self.configuration.softwareVersion,
            highestTerm: highest.term,
            highestLeaseSerial: highest.lease,
            heldLeases: self.journal.heldLeases
        )
        hello.journaledLeases = self.journal.journaledLeases
        hello.newestStore = self.journal.store
        hello.journalSession = self.journal.session
        hello.earlierIncarnations = self.journal.earlierIncarnations
        hello.journalFound = self.journal.found
        hello.journalPosition = self.journal.position
        hello.journalIsCopy = self.journal.isCopy
        return hello
    }

    func load() -> SatelliteLoad {
        guard let satellite = self.known.withLock({ $0.satellite }) else { return SatelliteLoad() }
        return satellite.load
    }
}
