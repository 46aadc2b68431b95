// SPDX-License-Identifier: Apache-2.0

/// How far a satellite's journal is written.
///
/// An end of the journal is the number of a segment in the upper 32 bits and the bytes used of it in the lower ones, so
/// that it only grows.
public struct JournalPosition: Hashable, Sendable {
    /// What has been handed to the operating system; it survives the death of the process.
    public var written: UInt64
    /// What is on disk; it survives the death of the machine.
    public var synced: UInt64

    /// Composes a position.
    public init(written: UInt64, synced: UInt64) {
        self.written = written
        self.synced = synced
    }
}

/// What a journal holds of one lease.
public struct JournaledLease: Hashable, Sendable {
    /// The lease.
    public var lease: LeaseSerial
    /// Entries that the master has permitted to start.
    public var started: EntryBitmap
    /// Entries whose report was acknowledged, and those that were returned.
    public var closed: EntryBitmap

    /// Composes an entry.
    public init(_ lease: LeaseSerial, started: EntryBitmap, closed: EntryBitmap) {
        self.lease = lease
        self.started = started
        self.closed = closed
    }
}

/// What a master last saw of a satellite's journal.
///
/// A satellite that comes with less works from an old copy of its journal: what that copy has as started and unsent may
/// have been sent since.
public struct JournalMark: Hashable, Sendable {
    /// The journal's random name.
    public var journalID: String
    /// The boot of the machine on which it was written.
    public var bootID: String
    /// How many processes had opened it.
    public var session: UInt64
    /// The process that wrote it.
    public var incarnation: UInt64
    /// How far that process had written it.
    public var position: JournalPosition
    /// Whether that process came with an older copy of the journal, so that it must not send what it found started.
    public var isDistrusted: Bool

    /// Composes a mark.
    public init(
        journalID: String,
        bootID: String,
        session: UInt64,
        incarnation: UInt64,
        position: JournalPosition,
        isDistrusted: Bool = false
    ) {
        self.journalID = journalID
        self.bootID = bootID
        self.session = session
        self.incarnation = incarnation
        self.position = position
        self.isDistrusted = isDistrusted
    }
}
