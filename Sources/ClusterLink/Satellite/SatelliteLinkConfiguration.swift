// SPDX-License-Identifier: Apache-2.0

public import ZeroMQ

/// Where one master is found.
public struct MasterEndpoint: Sendable, Hashable {
    /// Its address for control messages, as `tcp://master.example.org:5610`.
    public var control: String
    /// Its address for blobs.
    public var content: String
    /// Its CURVE public key, 32 bytes.
    public var publicKey: [UInt8]

    /// Composes an endpoint.
    public init(control: String, content: String, publicKey: [UInt8]) {
        self.control = control
        self.content = content
        self.publicKey = publicKey
    }
}

/// What a satellite's link needs, and its bounds.
public struct SatelliteLinkConfiguration: Sendable {
    /// The masters, 1 or more: the leader and its standbys.
    ///
    /// The one that says Welcome, with the highest term, is followed.
    public var masters: [MasterEndpoint]
    /// The satellite's own keys.
    public var keys: CurveKeyPair
    /// How often a master that does not answer, or has rejected this satellite, is sent another handshake.
    public var handshakeInterval: Duration = .seconds(5)
    /// The first wait before connecting again; doubles up to ``reconnectCeiling``.
    public var reconnectInterval: Duration = .milliseconds(200)
    /// The longest wait before connecting again.
    public var reconnectCeiling: Duration = .seconds(2)
    /// Events waiting to be read, at most; then the link reads no more from its sockets.
    public var waitingEvents = 1_024
    /// Messages waiting to go out, at most.
    public var outgoingMessages = 1_024
    /// Bytes waiting to go out, at most.
    public var outgoingBytes = 32 * 1_048_576
    /// Bytes of one message, in parts, at most.
    public var maximumMessageBytes = 16 * 1_048_576
    /// Bytes of one blob, at most.
    public var maximumBlobBytes = 64 * 1_048_576
    /// Pieces of a blob asked for ahead, at most.
    public var piecesAhead = 8
    /// How long one piece of a blob may take.
    public var pieceTimeout: Duration = .seconds(30)
    /// At most one log line of a kind of trouble in this time.
    public var reportInterval: Duration = .seconds(60)
    /// How long a stopping link may still pass on what is queued.
    public var drain: Duration = .seconds(1)

    /// Composes a configuration with default bounds.
    public init(masters: [MasterEndpoint], keys: CurveKeyPair) {
        self.masters = masters
        self.keys = keys
    }
}

/// What happens on a satellite's link.
public enum SatelliteLinkEvent: Sendable {
    /// A master has taken this satellite on; the number is this connection's and never given again by this link.
    case connected(Welcome, connection: UInt64)
    /// The master has said something.
    ///
    /// `.rejected` comes without a connection too (the link repeats the handshake by itself); after `.superseded` the link ends
    /// and this process must stop sending. Never `.welcome` or `.heartbeat`.
    case message(MasterMessage)
    /// The master is gone, or silent; the link keeps trying. What was sent and not acknowledged may be lost.
    case disconnected(reason: String)
    /// A connection to a master could not be made. Rate-limited, also logged.
    case failed(endpoint: String, reason: String)
}
