// SPDX-License-Identifier: Apache-2.0

public import MailingModel

/// One connected life of one satellite, from a handshake to the end that ``MasterLinkEvent/disconnected(session:_:)`` reports.
///
/// Two handshakes of one process (a lost connection between them) are two sessions. Equal if it is the same session.
public struct SatelliteSession: Sendable, Hashable {
    /// The satellite's record number.
    public let satellite: SatelliteID
    /// The satellite's name, from its record.
    public let serial: String
    /// The CURVE public key that it came with, 32 bytes.
    public let publicKey: [UInt8]
    /// Its process's life.
    public let incarnation: UInt64
    /// Numbers the sessions of this link, from 1.
    public let number: UInt64

    /// Composes a session; for tests of what is built on the link.
    public init(satellite: SatelliteID, serial: String, publicKey: [UInt8], incarnation: UInt64, number: UInt64) {
        self.satellite = satellite
        self.serial = serial
        self.publicKey = publicKey
        self.incarnation = incarnation
        self.number = number
    }

    /// Compares the numbers.
    public static func == (left: SatelliteSession, right: SatelliteSession) -> Bool { left.number == right.number }

    /// Hashes the number.
    public func hash(into hasher: inout Hasher) { hasher.combine(self.number) }
}

/// What happens on a master's link.
public enum MasterLinkEvent: Sendable {
    /// A satellite has sent a handshake with an allowed key and a common version; answer with `.welcome` or `.rejected`.
    case connected(session: SatelliteSession, Handshake)
    /// A satellite of an established session has said something; never `.handshake`.
    case message(session: SatelliteSession, SatelliteMessage)
    /// The session has ended; nothing more of it will come, and what is sent to it is dropped.
    case disconnected(session: SatelliteSession, SessionEnd)
    /// A peer was rejected: a key that is not allowed, or a failed CURVE handshake. Rate-limited, also logged.
    case rejected(String)
}

/// Why a session ended.
public enum SessionEnd: Sendable, Hashable {
    /// Three heartbeats were missed.
    case silent
    /// The satellite left in order.
    case goodbye
    /// Another process with the same key sent a handshake; this one was told to stop.
    case superseded
    /// The same process repeated the handshake, over a new connection or after losing frames.
    case handshakeRepeated
    /// The key is no longer allowed, or ``MasterLink/drop(_:)`` was called; the satellite was notified.
    case rejected
    /// The connection is gone.
    case connectionLost
    /// The satellite does not read what it is sent.
    case doesNotRead
}

/// What became of a message given to a link.
///
/// `queued` is no promise that it arrives: reports repeat, and what is in doubt after a disconnection is resolved by the
/// next ``Handshake`` and ``Welcome``.
public enum SendResult: Sendable, Hashable {
    /// It is on its way.
    case queued
    /// There is no such session any more, or no master is connected; it is dropped.
    case notConnected
    /// It exceeds the link's bound on messages; it is dropped, and logged as an error.
    case tooLarge
}
