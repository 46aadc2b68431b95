// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
public import MailingModel

/// The satellite's way to its master, as the satellite needs it: the real link, or a scripted one in tests.
public protocol MasterUplink: Sendable {
    /// Connects and stays connected until the task is cancelled.
    func run() async throws
    /// The next event in order; `nil` once the link has stopped. For one reader.
    func nextEvent() async -> SatelliteLinkEvent?
    /// Hands a message over; dropped without a master, since what must arrive is repeated by its owner.
    func transmit(_ message: SatelliteMessage) async
    /// Hands a message over if this connection, as its event named it, still stands; else it is dropped.
    func transmit(_ message: SatelliteMessage, over connection: UInt64) async
    /// Fetches a blob and checks its hash.
    ///
    /// - Throws: `ClusterLinkError`.
    func blob(_ hash: BlobHash) async throws -> [UInt8]
}

extension SatelliteLink: MasterUplink {
    /// The next event in order; `nil` once the link has stopped.
    public func nextEvent() async -> SatelliteLinkEvent? {
        var events = self.events.makeAsyncIterator()
        return await events.next()
    }

    /// Hands a message over; dropped without a master.
    public func transmit(_ message: SatelliteMessage) async { await self.send(message) }

    /// Hands a message over if this connection still stands.
    public func transmit(_ message: SatelliteMessage, over connection: UInt64) async {
        await self.send(message, over: connection)
    }
}
