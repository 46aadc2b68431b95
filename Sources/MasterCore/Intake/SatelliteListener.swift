// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel

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
