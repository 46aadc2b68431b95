// SPDX-License-Identifier: Apache-2.0

/// What a socket is, and its bounds.
public struct SocketConfiguration: Sendable {
    /// What the socket does.
    public enum Kind: Sendable {
        /// Serves many peers at one address; each message carries the peer's routing id.
        case router(bind: String)
        /// Speaks to one peer; reconnects by itself.
        case dealer(connect: String)
    }

    /// How peers are known.
    public enum Security: Sendable {
        /// Nothing is encrypted, nobody is known.
        case none
        /// This side has a known key and admits peers by theirs.
        ///
        /// The closure is called on the owner thread at each handshake and must not block; it answers the User-Id that
        /// every frame of the peer will carry, or `nil` to refuse.
        case curveServer(keys: CurveKeyPair, admit: @Sendable (_ publicKey: [UInt8]) -> String?)
        /// This side knows the other's key and shows its own.
        case curveClient(keys: CurveKeyPair, serverKey: [UInt8])
    }

    /// What the socket does.
    public var kind: Kind
    /// How peers are known.
    public var security: Security
    /// Messages waiting to be taken by libzmq, at most.
    public var outgoingMessages = 1_024
    /// Bytes waiting to be taken by libzmq, at most.
    public var outgoingBytes = 16 * 1_048_576
    /// Messages waiting to be read, at most; then the socket is not read from.
    public var incomingMessages = 1_024
    /// Bytes waiting to be read, at most; then the socket is not read from.
    public var incomingBytes = 16 * 1_048_576
    /// Messages per peer inside libzmq, at most, in each direction.
    public var highWaterMark: Int32 = 1_000
    /// The longest frame taken from a peer; the connection of one that sends more is closed.
    public var maximumFrameBytes: Int64 = 1_048_576
    /// Frames in one message, at most; longer messages are dropped.
    public var maximumFrames = 8
    /// Connections that a router has at a time, at most, whatever they have said; half of them from one address.
    public var maximumConnections = 1_024
    /// The time between ZMTP pings; a peer that answers none for three times as long is disconnected.
    public var heartbeat: Duration = .seconds(5)
    /// The time that a handshake may take.
    public var handshakeTimeout: Duration = .seconds(10)
    /// The first wait before connecting again; doubles up to ``reconnectCeiling``.
    public var reconnectInterval: Duration = .milliseconds(200)
    /// The longest wait before connecting again.
    public var reconnectCeiling: Duration = .seconds(5)
    /// The wait before connecting again to a peer that refused the handshake.
    public var refusalRetry: Duration = .seconds(10)
    /// At most one event of a kind of failure in this time; the next one says how many were left out.
    public var failureReportInterval: Duration = .seconds(60)

    /// Composes a configuration with default bounds.
    public init(kind: Kind, security: Security) {
        self.kind = kind
        self.security = security
    }
}

/// A message with its sender, or for its receiver.
public struct ZeroMQMessage: Sendable, Hashable {
    /// The peer, as the router names its connection; empty on a dealer.
    public var routingID: [UInt8]
    /// 1 or more frames.
    public var frames: [[UInt8]]
    /// On a message received by a CURVE server: what the `admit` closure answered for the peer's key.
    public var userID: String?

    /// Composes a message.
    public init(routingID: [UInt8] = [], frames: [[UInt8]], userID: String? = nil) {
        self.routingID = routingID
        self.frames = frames
        self.userID = userID
    }

    /// Bytes of all frames, and a little for each frame.
    var cost: Int { self.frames.reduce(0) { $0 + $1.count + 64 } }
}

/// What happens on a socket.
public enum ZeroMQEvent: Sendable, Hashable {
    /// A message came.
    case message(ZeroMQMessage)
    /// The dealer's connection stands and its handshake is done. What was sent before is lost.
    case connected
    /// The dealer's connection is gone; it will be made again.
    case disconnected
    /// The router could not pass a message on: the peer is gone, or does not read.
    case undeliverable(routingID: [UInt8], UndeliverableReason)
    /// A connection or handshake failed. Rate-limited: `suppressed` more of this kind came since the last event.
    case failure(ConnectionFailure, address: String, suppressed: Int)
}

/// Why a router could not pass a message on.
public enum UndeliverableReason: Sendable, Hashable {
    /// There is no such peer, or no longer.
    case unknownPeer
    /// The high-water mark is reached: the peer does not read.
    case peerDoesNotRead
}

/// How a connection failed before it stood.
public enum ConnectionFailure: Sendable, Hashable, CustomStringConvertible {
    /// Server: the peer's key was not admitted.
    case keyRefused(publicKey: [UInt8])
    /// Client: the server did not admit this side's key.
    case refusedByServer
    /// The peers do not understand each other's handshake; on a server, usually a client that expects another key.
    case handshake(String)
    /// The peer hung up in the middle of the handshake; on a client, usually because it expects another server key.
    case hungUp
    /// Nobody answers at the address.
    case unreachable
    /// Server: so many connections are open, or half as many from one address; this one was shut down.
    case tooMany(Int)

    /// What happened, for people.
    public var description: String {
        switch self {
        case .keyRefused(let key):
            "the peer's public key \((try? Z85.encode(key: key)) ?? "(malformed)") is not on the allow-list"
        case .refusedByServer: "the server refuses this side's public key"
        case .handshake(let text): text
        case .hungUp: "the peer hung up during the handshake; is the server's public key the configured one?"
        case .unreachable: "nobody answers"
        case .tooMany(let bound):
            "as many connections as \(bound) are open, or half of them from one address; one more was closed"
        }
    }
}
