// SPDX-License-Identifier: Apache-2.0

public import MailingModel
public import ZeroMQ

/// What a master's link needs, and its bounds.
public struct MasterLinkConfiguration: Sendable {
    /// Where satellites connect for control messages, as `tcp://0.0.0.0:5610`; port `*` lets the system choose.
    public var control: String
    /// Where satellites fetch blobs.
    public var content: String
    /// Where satellites enrol, or `nil` for no enrolment.
    public var enrolment: String?
    /// The master's own keys.
    public var keys: CurveKeyPair
    /// The time between signs of life, announced to satellites in the Welcome.
    public var heartbeat: Duration = .seconds(2)
    /// Events waiting to be read, at most; then the link reads no more from its socket.
    public var waitingEvents = 1_024
    /// Messages waiting to go out, over all satellites, at most.
    public var outgoingMessages = 1_024
    /// Bytes waiting to go out, over all satellites, at most.
    public var outgoingBytes = 64 * 1_048_576
    /// Bytes of one message, in parts, at most.
    public var maximumMessageBytes = 16 * 1_048_576
    /// Bytes of blobs kept in memory while satellites fetch them, at most (one blob is kept even if it is longer).
    public var blobCacheBytes = 64 * 1_048_576
    /// Enrolment exchanges under way, at most; the oldest gives way.
    public var pendingEnrolments = 256
    /// Connections at each of the addresses at a time, at most, satellites or not; half of them from one address.
    public var maximumConnections = 1_024
    /// At most one log line of a kind of trouble in this time.
    public var reportInterval: Duration = .seconds(60)
    /// How long a stopping link may still pass on what is queued.
    public var drain: Duration = .seconds(1)

    /// Composes a configuration with default bounds.
    public init(control: String, content: String, enrolment: String? = nil, keys: CurveKeyPair) {
        self.control = control
        self.content = content
        self.enrolment = enrolment
        self.keys = keys
    }
}

/// What the owner of a master's link decides for it.
public struct MasterLinkDecisions: Sendable {
    /// The record that a public key belongs to, or `nil`.
    ///
    /// Asked at each handshake and for every frame, from the link's threads: it must not block.
    public var record: @Sendable (_ publicKey: [UInt8]) -> SatelliteRecord?
    /// The bytes of a blob, or `nil` if there is none of that name.
    public var blob: @Sendable (_ hash: BlobHash) async -> [UInt8]?
    /// The shared key of a satellite that may enrol, or `nil`.
    public var sharedKey: @Sendable (_ serial: String) async -> String?
    /// Decides on a satellite that has proved the shared key, and stores its public key durably before it answers.
    public var enrol: @Sendable (_ serial: String, _ publicKey: [UInt8]) async -> Bool
    /// The newest commit of the store, sent with every message of a session; `nil` sends none.
    public var store: @Sendable () -> StorePosition?
    /// Notes how far a satellite's journal is written; called before the message that carried it is passed on.
    public var noteJournal: @Sendable (_ session: SatelliteSession, _ position: JournalPosition) -> Void

    /// Composes decisions; without the last two nobody can enrol.
    public init(
        record: @escaping @Sendable (_ publicKey: [UInt8]) -> SatelliteRecord?,
        blob: @escaping @Sendable (_ hash: BlobHash) async -> [UInt8]?,
        sharedKey: @escaping @Sendable (_ serial: String) async -> String? = { _ in nil },
        enrol: @escaping @Sendable (_ serial: String, _ publicKey: [UInt8]) async -> Bool = { _, _ in false },
        store: @escaping @Sendable () -> StorePosition? = { nil },
        noteJournal: @escaping @Sendable (_ session: SatelliteSession, _ position: JournalPosition) -> Void = { _, _ in
        }
    ) {
        self.store = store
        self.noteJournal = noteJournal
        self.record = record
        self.blob = blob
        self.sharedKey = sharedKey
        self.enrol = enrol
    }
}
