// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
import MailingModel

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

/// Listens to the satellites and hands what they say to the part that decides about it, in order.
///
/// It never waits for the store, so that one slow transaction silences nobody.
struct SatelliteListener: Sendable {
    let channel: any SatelliteChannel
    let safeMode: SafeMode
    let dispatcher: Dispatcher
    let starts: StartIntake
    let reports: ReportIntake
    let keyRequests: SigningKeyRequests

    /// Listens until the channel has closed, or until cancelled.
    func run() async {
        for await event in self.channel.events {
            switch event {
            case .connected(let session, let handshake): await self.dispatcher.connected(session, handshake)
            case .message(let session, let message): await self.receive(message, from: session)
            case .disconnected(let session, let end):
                self.starts.ended(session)
                self.reports.ended(session)
                await self.dispatcher.ended(session, end)
            case .rejected: break  // The link has logged it.
            }
        }
    }

    private func receive(_ message: SatelliteMessage, from session: SatelliteSession) async {
        switch message {
        case .credit(let limits): await self.dispatcher.credit(session, limits)
        case .heartbeat(let load): await self.dispatcher.heard(session, load)
        case .leaseAccepted(let lease): await self.dispatcher.accepted(session, lease)
        case .returned(let lease, let entries): await self.dispatcher.returned(session, lease, entries)
        case .start(let lease, let entries):
            if self.safeMode.reason == nil { self.starts.add(lease, entries, from: session) }
        case .reports(let sequence, let reports): self.reports.add(reports, sequence: sequence, from: session)
        case .signingKeyRequest(let key): self.keyRequests.add(key, from: session)
        case .handshake, .goodbye: break  // The link turns them into events of their own.
        }
    }
}
