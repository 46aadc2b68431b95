// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// What a satellite says to its master.
public enum SatelliteMessage: Sendable, Hashable {
    /// Who it is and what it holds; first in every session. Sent by the link itself.
    case handshake(Handshake)
    /// A sign of life with the present load; renews every lease held. Sent by the link itself.
    case heartbeat(SatelliteLoad)
    /// How many recipients it will hold in all, per class: absolute limits, never increments; an absent class is zero.
    case credit([DeliveryClass: Int])
    /// The lease is in the satellite's journal.
    case leaseAccepted(LeaseSerial)
    /// Requests permission to start these entries of a lease.
    case start(LeaseSerial, EntryBitmap)
    /// Outcomes, repeated until ``MasterMessage/reportsApplied(sequence:)`` names this number or a later one.
    case reports(sequence: UInt64, [DeliveryReport])
    /// Returns entries that were certainly not sent: never started, or of a revoked lease and without a final dot.
    case returned(LeaseSerial, neverStarted: EntryBitmap)
    /// Asks for a DKIM private key, named by the SHA-256 of its PEM text.
    case signingKeyRequest(BlobHash)
    /// It is leaving in order. Sent by the link itself when it stops.
    case goodbye
}

/// How a satellite presents itself.
public struct Handshake: Sendable, Hashable {
    /// The protocol versions that it speaks.
    public var protocolVersions: ClosedRange<UInt32>
    /// The name that it was given; the master compares it with the record of its key, without regard to case.
    public var serial: String
    /// A random number drawn at the start of its process.
    public var incarnation: UInt64
    /// Names its journal; another one means that the former is lost.
    public var journalID: String
    /// The kernel's boot id; another one means that what was written but not synced may be lost.
    public var bootID: String
    /// The program's version.
    public var softwareVersion: String
    /// The highest term that it has ever seen; 0 if none.
    public var highestTerm: Term
    /// The highest lease serial that it has ever seen; 0 if none.
    public var highestLeaseSerial: LeaseSerial
    /// The leases with entries that it has not finished and reported.
    public var heldLeases: [LeaseSerial]
    /// What its journal holds of them; of as many as fit, the others are missing.
    public var journaledLeases: [JournaledLease] = []
    /// The newest commit of its store that a master has reported; `nil` if none was.
    public var newestStore: StorePosition?
    /// How many processes have opened the journal, this one included; 0 from a program that does not count them.
    public var journalSession: UInt64 = 0
    /// The incarnations of the processes before this one, the last one first; at most 8.
    public var earlierIncarnations: [UInt64] = []
    /// Where the journal ended when this process opened it.
    public var journalFound: UInt64 = 0
    /// How far the journal is written; `nil` from a program that does not report it.
    public var journalPosition: JournalPosition?
    /// Whether the journal's files are a copy of those that the last process wrote.
    public var journalIsCopy = false

    /// Composes a handshake.
    public init(
        protocolVersions: ClosedRange<UInt32> = LinkProtocol.supportedVersions,
        serial: String,
        incarnation: UInt64,
        journalID: String,
        bootID: String,
        softwareVersion: String,
        highestTerm: Term,
        highestLeaseSerial: LeaseSerial,
        heldLeases: [LeaseSerial]
    ) {
        self.protocolVersions = protocolVersions
        self.serial = serial
        self.incarnation = incarnation
        self.journalID = journalID
        self.bootID = bootID
        self.softwareVersion = softwareVersion
        self.highestTerm = highestTerm
        self.highestLeaseSerial = highestLeaseSerial
        self.heldLeases = heldLeases
    }
}

/// How busy a satellite is; shown to people and used for balance, never for safety.
public struct SatelliteLoad: Sendable, Hashable {
    /// Recipients accepted and not yet started.
    public var waiting: Int
    /// Recipients started and not yet reported.
    public var started: Int
    /// SMTP connections open.
    public var connections: Int
    /// Outcomes that the master has not acknowledged.
    public var unacknowledgedReports: Int
    /// Attempts that ended within the last minute.
    public var attemptsLastMinute: Int
    /// It takes no new work and leaves when the started recipients are done.
    public var draining: Bool

    /// Composes a load; everything is zero unless said.
    public init(
        waiting: Int = 0,
        started: Int = 0,
        connections: Int = 0,
        unacknowledgedReports: Int = 0,
        attemptsLastMinute: Int = 0,
        draining: Bool = false
    ) {
        self.waiting = waiting
        self.started = started
        self.connections = connections
        self.unacknowledgedReports = unacknowledgedReports
        self.attemptsLastMinute = attemptsLastMinute
        self.draining = draining
    }
}
