// SPDX-License-Identifier: Apache-2.0
//
// A satellite may go on by itself with what an earlier process had started and not sent: its journal has a record of every
// message that may have gone out. That holds for the newest journal only. A copy that is put back, or started beside the
// original, lacks the records written after it was made. So the master remembers how far it saw a journal written, by
// which process, and compares.

import ClusterLink
import MailingModel

/// Compares a satellite's journal, as its Hello describes it, with what the master last saw of it; pure.
enum JournalComparison {
    /// Why what the satellite found started may have been sent since its journal was copied, or `nil` if its journal is the
    /// newest as far as the master can tell.
    ///
    /// - Parameters:
    ///   - hello: What the satellite says.
    ///   - seen: What the master last saw; `nil` if it never saw this satellite, or only programs that tell nothing.
    /// - Returns: The reason in words for the log.
    static func reasonToDistrust(_ hello: Hello, seen: JournalMark?) -> String? {
        guard hello.journalSession > 0 else { return nil }
        if hello.incarnation == seen?.incarnation, hello.journalID == seen?.journalID {
            return Self.reasonToDistrustProcess(hello, seen: seen)
        }
        if hello.journalIsCopy { return "the files of its journal were copied or restored" }
        guard let seen else { return nil }
        // The former one is lost, or damaged: what could be read of it is in the new one, the rest is not.
        guard hello.journalID == seen.journalID else {
            return "it came with journal \(hello.journalID), and last wrote journal \(seen.journalID)"
        }
        guard hello.journalSession > seen.session else {
            return
                "its journal was opened \(hello.journalSession) times, and was seen when it had been \(seen.session) times"
        }
        let between = hello.journalSession - seen.session - 1
        if between < hello.earlierIncarnations.count, hello.earlierIncarnations[Int(between)] != seen.incarnation {
            return "its journal lacks the process that was last seen"
        }
        // What was written and not synced may have gone with the machine; it is uncertain then for that reason.
        let end = hello.bootID == seen.bootID ? seen.position.written : seen.position.synced
        guard hello.journalFound >= end else {
            return "its journal ended at \(hello.journalFound), and was seen written up to \(end)"
        }
        return nil
    }

    /// A process that was seen before has lost part of its journal only if its whole machine was set back.
    private static func reasonToDistrustProcess(_ hello: Hello, seen: JournalMark?) -> String? {
        guard let seen, let now = hello.journalPosition, now.written < seen.position.written else { return nil }
        return "its journal ends at \(now.written), and was seen written up to \(seen.position.written)"
    }

    /// What is to be remembered of a satellite that says hello; `nil` from a program that does not tell enough.
    static func mark(of hello: Hello, isDistrusted: Bool) -> JournalMark? {
        guard hello.journalSession > 0, let position = hello.journalPosition else { return nil }
        return JournalMark(
            journalID: hello.journalID,
            bootID: hello.bootID,
            session: hello.journalSession,
            incarnation: hello.incarnation,
            position: position,
            isDistrusted: isDistrusted
        )
    }
}
