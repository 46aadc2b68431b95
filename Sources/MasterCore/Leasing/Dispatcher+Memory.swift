// SPDX-License-Identifier: Apache-2.0
//
// Either side may have been set back to an older copy of its files. A satellite remembers the newest commit that a master
// reported to it, so that an old store is recognised; a master remembers how far each journal was written, so that an old journal
// is. Both are compared at every handshake, before anything is given out.

import ClusterLink
import Logging
import MailingModel
import MasterStore

extension Dispatcher {
    /// Compares what a satellite remembers with the store; enters safe mode if the store turns out to be an old copy.
    ///
    /// - Returns: Whether the satellite remembers more than the store.
    func compare(_ handshake: Handshake, of session: SatelliteSession) async throws -> Bool {
        self.safeMode.saw(handshake.highestLeaseSerial)
        guard let reason = try await self.reasonToDistrustStore(handshake, of: session) else { return false }
        if self.safeMode.enter("satellite \(session.serial) \(reason)") {
            // Whoever was welcomed before would wait for start permission that it is not given.
            await self.dropAll(except: session)
        }
        return true
    }

    /// What a satellite remembers and the store does not, or `nil`.
    private func reasonToDistrustStore(_ handshake: Handshake, of session: SatelliteSession) async throws -> String? {
        let identity = self.store.identity
        if let position = handshake.newestStore, position.storeID == identity.storeID {
            guard try await self.store.knows(position) else {
                return "has seen commit \(position.number) of term \(position.term.rawValue), which the store does not "
                    + "have: it is a restored or cloned copy"
            }
            // The newest that was reported to it stands in the store. The highest term that it ever saw may be of a time that was
            // lost, and with which the operator has gone on.
        } else if handshake.highestTerm > identity.term {
            return
                "has seen term \(handshake.highestTerm.rawValue), the store is at term \(identity.term.rawValue): it is a "
                + "restored or cloned copy"
        }
        let highest = try await self.store.highestLeaseSerial()
        guard handshake.highestLeaseSerial <= highest else {
            return
                "has seen lease \(handshake.highestLeaseSerial), the store has given out \(highest) at most: it is a "
                + "restored or cloned copy"
        }
        if let lease = try await self.store.unknownStart(among: handshake.journaledLeases, of: session.satellite) {
            return
                "has permission to start recipients of lease \(lease) that the store never gave: it is a restored or cloned "
                + "copy"
        }
        return nil
    }

    /// Makes uncertain what a satellite has finished in the time that a restored store has lost; the operator has confirmed
    /// the store.
    func resolveFinished(by session: SatelliteSession, _ handshake: Handshake) async throws {
        // Leases that it may still hold must not get their numbers a second time.
        try await self.store.skipLeaseSerials(through: handshake.highestLeaseSerial)
        // A lease that is resolved altogether is gone afterwards.
        let mailings = try await self.store.leases(of: session.satellite).map(\.mailing)
        let count = try await self.store.resolveFinished(
            by: session.satellite,
            holding: handshake.heldLeases,
            handshake.journaledLeases,
            at: self.time.now()
        )
        guard count > 0 else { return }
        self.logger.error(
            "a satellite has finished recipients that the restored store believes to be with it; they are uncertain",
            metadata: ["satellite": "\(session.serial)", "recipients": "\(count)"]
        )
        self.resolvedMailings.formUnion(mailings)
        self.workChanged()
    }

    /// Compares a satellite's journal with what was last seen of it, and remembers it.
    ///
    /// If it is not the newest, everything that the satellite had started and has not reported becomes uncertain here before
    /// the satellite may go on.
    ///
    /// - Returns: Whether the satellite must not send what it found started.
    func examineJournal(_ handshake: Handshake, of session: SatelliteSession) async throws -> Bool {
        let stored = try await self.store.journal(of: session.satellite)
        var seen = stored
        if let sighting = self.directory.sighting(of: session.satellite), sighting.incarnation == seen?.incarnation,
            sighting.position.written > seen?.position.written ?? 0
        {
            seen?.position = sighting.position
        }
        let reason = JournalComparison.reasonToDistrust(handshake, seen: seen)
        let wasDistrusted = stored?.isDistrusted == true && stored?.incarnation == handshake.incarnation
        if let reason {
            self.logger.error(
                "a satellite's journal is not the newest that was seen of it; what it had started is uncertain",
                metadata: ["satellite": "\(session.serial)", "reason": "\(reason)"]
            )
            try await self.resolve(session.satellite, because: "recipients started under a newer journal are uncertain")
        }
        let isDistrusted = reason != nil || wasDistrusted
        // Committed before the Welcome: from then on the satellite writes what a copy of today would lack.
        if let mark = JournalComparison.mark(of: handshake, isDistrusted: isDistrusted), mark != stored {
            try await self.store.setJournal(mark, of: session.satellite)
        }
        return isDistrusted
    }
}
