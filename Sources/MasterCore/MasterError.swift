// SPDX-License-Identifier: Apache-2.0

public import MailingModel
import MasterStore

/// An error of the master.
public struct MasterError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reason, for programs.
    public enum Code: Sendable, Hashable {
        /// No such mailing, or it was deleted.
        case unknownMailing(MailingID)
        /// The mailing is finished and takes nothing more.
        case mailingFinished(MailingID)
        /// The mailing's state does not allow it.
        case badStatus(MailingStatus)
        /// A property's value is not acceptable.
        case badProperty(String)
        /// The content does not compile: which part, where in it (both from 1), and why.
        case badContent(part: String, line: Int, column: Int, reason: String)
        /// More items than one call may carry.
        case tooMany(limit: Int)
        /// A cursor of the feed cannot be continued from.
        case badCursor(BadCursor)
        /// No such satellite.
        case unknownSatellite(SatelliteID)
        /// A satellite of that serial exists.
        case satelliteExists(String)
        /// The satellite of that serial has the public key.
        case publicKeyInUse(String)
        /// The satellite has started so many recipients and not reported them; it takes no new ones. Ask again, or force.
        case satelliteBusy(started: Int)
        /// No such API key.
        case unknownKey(String)
        /// No such account, or it was removed.
        case unknownAccount(String)
        /// An account of that name exists.
        case accountExists(String)
        /// The account can't be removed: it has so many mailings, or is the root account, which has to be there.
        case accountBusy(mailings: Int)
        /// The account has no such credential, key or object.
        case unknownItem(String)
        /// Another credential, key or object has the name.
        case nameTaken(String)
        /// The item is used by another.
        case itemInUse(String)
        /// The master is stopping, or so much is waiting that it takes no more now.
        case busy
        /// No space is left for the store.
        case storeFull
        /// The store failed; the same call may be repeated later.
        case storeFailed
        /// The store is behind what its satellites have seen: nothing is sent until the operator confirms.
        case safeMode
    }

    /// What is wrong with a cursor.
    public enum BadCursor: Sendable, Hashable {
        /// It was made by another store.
        case foreign
        /// It lies after the newest event: the store was restored from an older copy.
        case aheadOfHead
        /// It lies before the oldest event that is kept.
        case belowHorizon
        /// It is not a cursor of this program, or was altered.
        case unreadable
        /// It has the form of the original CloudMailing's cursors (`date;count;offset`).
        case original
    }

    /// The reason, for programs.
    public var code: Code
    /// The reason, for people: what failed, on what, and what to do.
    public var message: String
    /// What the store said, for the log and for operators; `nil` if it did not fail.
    ///
    /// It may name files, tables and hosts, so it is not for clients.
    public var cause: String?

    /// Composes an error.
    public init(_ code: Code, _ message: String, cause: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The message with its cause.
    public var description: String { self.cause.map { "\(self.message): \($0)" } ?? self.message }
}

extension MasterError {
    /// There is no such mailing.
    static func unknown(_ id: MailingID) -> MasterError {
        MasterError(.unknownMailing(id), "there is no mailing \(id)")
    }

    /// The master's error for a store's failure.
    ///
    /// Operations that can say more (which satellite, which key) catch the store's code before it comes here.
    init(_ error: StoreError, mailing: MailingID? = nil) {
        switch (error.code, mailing) {
        case (.unknownMailing, let id?): self = .unknown(id)
        case (.mailingFinished, let id?): self.init(.mailingFinished(id), "mailing \(id) is finished")
        case (.full, _): self.init(.storeFull, "the store has no space left")
        case (.unknownRecord, _), (.conflict, _), (.newerSchema, _), (.locked, _), (.database, _), (.corrupt, _),
            (.fenced, _), (.refused, _), (.unknownMailing, nil), (.mailingFinished, nil):
            self.init(.storeFailed, "the store failed", cause: "\(error)")
        }
    }
}

extension MasterError {
    /// The master's error for what the lifecycle of a mailing forbids.
    init(_ refusal: MailingLifecycle.Refusal, of id: MailingID) {
        switch (refusal.step, refusal.status) {
        case (.change, .finished), (.addRecipients, .finished):
            self.init(.mailingFinished(id), "mailing \(id) is finished")
        case (.start, let status):
            self.init(
                .badStatus(status),
                "mailing \(id) is \(status); only a filling or a paused one can be started"
            )
        case (.pause, let status):
            self.init(.badStatus(status), "mailing \(id) is \(status); it cannot be paused")
        case (.change, let status), (.addRecipients, let status):
            self.init(.badStatus(status), "mailing \(id) is \(status); \(refusal)")
        }
    }
}
