// SPDX-License-Identifier: Apache-2.0
//
// Either side may have been set back to an older copy of its files. A satellite remembers the newest commit that a master
// reported to it, so that an old store is recognised; a master remembers how far each journal was written and by which process,
// so that an old journal is. Both are compared at every handshake, before anything is given out.
//
// A satellite may go on by itself with what an earlier process had started and not sent: its journal has a record of every
// message that may have gone out. That holds for the newest journal only. A copy that is restored, or started beside the
// original, lacks the records written after it was made.

import ClusterLink
import Logging
import MailingModel
import MasterStore

/// Compares what a satellite and the store remember of each other.
///
/// Lives in the isolation of the ``Dispatcher``, whose turn waits for the result before it grants anything.
final class MemoryComparison {
    private let store: MailingStore
    private let directory: SatelliteDirectory
    private let revoking: Revoking
    private let time: MasterTime
    private let logger: Logger
    /// The satellites' processes with which a restored store was reconciled.
    private var reconciled: [SatelliteID: UInt64] = [:]

    init(
        store: MailingStore,
        directory: SatelliteDirectory,
        revoking: Revoking,
        time: MasterTime,
        logger: Logger
    ) {
        self.store = store
        self.directory = directory
        self.revoking = revoking
        self.time = time
        self.logger = logger
    }

    // MARK: The store

    /// What a satellite remembers and the store does not, or `nil`.
    func reasonToDistrustStore(_ handshake: Handshake, of session: SatelliteSession) async throws -> String? {
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

    /// Makes uncertain what a satellite has finished in the time that a restored store has lost, once for each of its
    /// processes; the operator has confirmed the store.
    func reconcile(_ handshake: Handshake, of session: SatelliteSession) async throws {
        guard self.reconciled[session.satellite] != handshake.incarnation else { return }
        try await self.resolveFinished(by: session, handshake)
        self.reconciled[session.satellite] = handshake.incarnation
    }

    private func resolveFinished(by session: SatelliteSession, _ handshake: Handshake) async throws {
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
        self.revoking.resolved(mailings)
    }

    // MARK: The journal

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
            try await self.revoking.resolve(
                session.satellite,
                because: "recipients started under a newer journal are uncertain"
            )
        }
        let isDistrusted = reason != nil || wasDistrusted
        // Committed before the Welcome: from then on the satellite writes what a copy of today would lack.
        if let mark = JournalComparison.mark(of: handshake, isDistrusted: isDistrusted), mark != stored {
            try await self.store.setJournal(mark, of: session.satellite)
        }
        return isDistrusted
    }
}

/// Compares a satellite's journal, as its handshake describes it, with what the master last saw of it; pure.
enum JournalComparison {
    /// Why what the satellite found started may have been sent since its journal was copied, or `nil` if its journal is the
    /// newest as far as the master knows.
    ///
    /// - Parameters:
    ///   - handshake: What the satellite says.
    ///   - seen: What the master last saw; `nil` if it never saw this satellite, or only programs that report nothing.
    /// - Returns: The reason, for the log.
    static func reasonToDistrust(_ handshake: Handshake, seen: JournalMark?) -> String? {
        guard handshake.journalSession > 0 else { return nil }
        if handshake.incarnation == seen?.incarnation, handshake.journalID == seen?.journalID {
            return Self.reasonToDistrustProcess(handshake, seen: seen)
        }
        if handshake.journalIsCopy { return "the files of its journal were copied or restored" }
        guard let seen else { return nil }
        // The former one is lost, or damaged: what could be read of it is in the new one, the rest is not.
        guard handshake.journalID == seen.journalID else {
            return "it came with journal \(handshake.journalID), and last wrote journal \(seen.journalID)"
        }
        guard handshake.journalSession > seen.session else {
            return
                "its journal was opened \(handshake.journalSession) times, and was seen when it had been \(seen.session) times"
        }
        let between = handshake.journalSession - seen.session - 1
        if between < handshake.earlierIncarnations.count,
            handshake.earlierIncarnations[Int(between)] != seen.incarnation
        {
            return "its journal lacks the process that was last seen"
        }
        // What was written and not synced may have gone with the machine; it is uncertain then for that reason.
        let end = handshake.bootID == seen.bootID ? seen.position.written : seen.position.synced
        guard handshake.journalFound >= end else {
            return "its journal ended at \(handshake.journalFound), and was seen written up to \(end)"
        }
        return nil
    }

    /// A process that was seen before has lost part of its journal only if its whole machine was set back.
    private static func reasonToDistrustProcess(_ handshake: Handshake, seen: JournalMark?) -> String? {
        guard let seen, let now = handshake.journalPosition, now.written < seen.position.written else { return nil }
        return "its journal ends at \(now.written), and was seen written up to \(seen.position.written)"
    }

    /// What is to be remembered of a satellite that sends a handshake; `nil` from a program that does not report enough.
    static func mark(of handshake: Handshake, isDistrusted: Bool) -> JournalMark? {
        guard handshake.journalSession > 0, let position = handshake.journalPosition else { return nil }
        return JournalMark(
            journalID: handshake.journalID,
            bootID: handshake.bootID,
            session: handshake.journalSession,
            incarnation: handshake.incarnation,
            position: position,
            isDistrusted: isDistrusted
        )
    }
}
