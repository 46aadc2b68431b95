// SPDX-License-Identifier: Apache-2.0

public import ClusterLink

/// The way to the satellites: the cluster link, or a script in tests.
public protocol SatelliteChannel: Sendable {
    /// Events in order; ends when the channel has closed. To be read once.
    var events: any AsyncSequence<MasterLinkEvent, Never> & Sendable { get }
    /// Hands a message over; it is lost if the session has ended.
    func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult
    /// Ends a session because its key is no longer allowed, or its satellite is removed.
    func drop(_ session: SatelliteSession) async
}

/// The cluster link as the master's way to the satellites.
public struct LinkChannel: SatelliteChannel {
    private let link: MasterLink

    /// Wraps a link; whoever made it runs it.
    public init(_ link: MasterLink) { self.link = link }

    /// The events of the link.
    public var events: any AsyncSequence<MasterLinkEvent, Never> & Sendable { self.link.events }

    /// Hands a message to the link, waiting while its outgoing queue is full.
    public func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult {
        await self.link.send(message, to: session)
    }

    /// Notifies the satellite that its key is no longer allowed, and ends its session.
    public func drop(_ session: SatelliteSession) async { await self.link.drop(session.publicKey) }
}
