// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What a master says to a satellite.
public enum MasterMessage: Sendable, Hashable {
    /// Takes the satellite on; the answer to its handshake.
    case welcome(Welcome)
    /// Entrusts recipients.
    case grant(LeaseGrant)
    /// The master has committed these entries as started, so that they may be sent; the refused ones never may be.
    case started(LeaseSerial, EntryBitmap, refused: EntryBitmap)
    /// Every report up to this sequence number is applied and may be forgotten.
    case reportsApplied(sequence: UInt64)
    /// Takes a lease back: what was never started must not be; what was, is finished and reported.
    case revoke(LeaseSerial, RevocationReason)
    /// A DKIM private key, or `nil` if there is none of that name.
    case signingKey(BlobHash, pem: String?)
    /// A sign of life. Sent by the link itself.
    case heartbeat
    /// The satellite is not taken on, or no longer; it may try again later.
    case rejected(Rejection)
    /// A newer process with the same key has sent a handshake; this one must stop.
    case superseded
}

/// How a master takes a satellite on.
public struct Welcome: Sendable, Hashable {
    /// The version that both sides speak from here on; the link sets it.
    public var protocolVersion: UInt32
    /// Names the master's store.
    public var storeID: String
    /// The master's leadership term.
    public var term: Term
    /// The time between signs of life, in both directions; three missed are silence.
    ///
    /// The link sets it.
    public var heartbeat: Duration
    /// Which leases the satellite holds, as the master sees it.
    public var knownLeases: [LeaseSerial]
    /// The satellite's group, or `nil` for none.
    public var group: String?
    /// Whether the satellite came with an older copy of its journal: what it found started may have been sent, and must not
    /// be sent by it.
    public var journalIsDistrusted = false

    /// Composes a welcome; ``protocolVersion`` and ``heartbeat`` are filled in by the link.
    public init(storeID: String, term: Term, knownLeases: [LeaseSerial], group: String? = nil) {
        self.protocolVersion = 0
        self.storeID = storeID
        self.term = term
        self.heartbeat = .zero
        self.knownLeases = knownLeases
        self.group = group
    }
}

/// Why a lease is revoked.
public enum RevocationReason: UInt8, Sendable, Hashable, CaseIterable {
    /// The mailing was paused.
    case paused = 1
    /// The mailing was deleted.
    case deleted = 2
    /// The mailing has ended.
    case ended = 3
    /// The recipients went to another satellite while this one was away.
    case reassigned = 4
    /// The satellite is being removed.
    case removed = 5
    /// The master knows of no such lease.
    case unknown = 6
}

/// Why a satellite is not taken on.
public struct Rejection: Sendable, Hashable, CustomStringConvertible {
    /// The reason, for programs.
    public enum Code: UInt8, Sendable, Hashable, CaseIterable {
        /// No protocol version is common to both.
        case unsupportedVersion = 1
        /// The key is on no satellite's record, or no longer.
        case keyNotAllowed = 2
        /// The satellite is disabled.
        case disabled = 3
        /// The master cannot trust its store (restored or cloned) and takes nobody on before its operator has said so.
        case safeMode = 4
        /// The master is not the leader.
        case notLeader = 5
        /// See the text.
        case other = 6
        /// The satellite's journal is a copy, and the process that writes the original is connected.
        case copiedJournal = 7
    }

    /// The reason, for programs.
    public var code: Code
    /// The reason, for people: what is wrong and what to do.
    public var text: String

    /// Composes a rejection.
    public init(code: Code, text: String) {
        self.code = code
        self.text = text
    }

    /// The text.
    public var description: String { self.text }
}
