// SPDX-License-Identifier: Apache-2.0
//
// A satellite may go on by itself with what an earlier process had started and not sent: its journal has a record of every
// message that may have gone out. That holds for the newest journal only. A copy that is restored, or started beside the
// original, lacks the records written after it was made. So the master remembers how far it saw a journal written, by
// which process, and compares.

import ClusterLink
import MailingModel

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
