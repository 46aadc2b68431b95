// SPDX-License-Identifier: Apache-2.0

/// How many connections a listener takes, and how long each may be silent.
public struct ConnectionLimits: Hashable, Sendable {
    /// Connections open at a time, of each listener.
    public var connections: Int
    /// Connections open at a time from one address, of each listener.
    ///
    /// An IPv6 address counts with its whole /64, which belongs to one customer.
    public var connectionsPerAddress: Int
    /// How long the TLS handshake may take.
    public var handshake: Duration = .seconds(10)
    /// How long the head of a request may take, from the connection's start or the head's first byte.
    public var head: Duration = .seconds(20)
    /// How long nothing of a request's body may come while it is waited for.
    public var body: Duration = .seconds(60)
    /// How long a connection may be open between two requests.
    public var idle: Duration = .seconds(60)
    /// How long the other side may take nothing of an answer that waits for it.
    public var answer: Duration = .seconds(60)

    /// The default bounds and times.
    public init(connections: Int = 1_000, connectionsPerAddress: Int = 200) {
        self.connections = connections
        self.connectionsPerAddress = connectionsPerAddress
    }

    /// The same with the bounds that the process's limit of descriptors allows to one listener.
    ///
    /// - Parameter part: Which part of the descriptors it may take: 8 is an eighth.
    /// - Returns: The limits in force.
    func withinDescriptors(part: Int) -> ConnectionLimits {
        var limits = self
        limits.connections = Descriptors.share(self.connections, part: part)
        limits.connectionsPerAddress = min(self.connectionsPerAddress, limits.connections)
        return limits
    }
}
