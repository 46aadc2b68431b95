// SPDX-License-Identifier: Apache-2.0

import ClusterLink
import MailingModel
import Synchronization

@testable import MasterCore

/// A channel whose satellites are played by the test.
final class ScriptedChannel: SatelliteChannel {
    struct Events: AsyncSequence, Sendable {
        let mailbox: Mailbox<MasterLinkEvent>

        func makeAsyncIterator() -> Iterator { Iterator(mailbox: self.mailbox) }

        struct Iterator: AsyncIteratorProtocol {
            let mailbox: Mailbox<MasterLinkEvent>

            mutating func next() async -> MasterLinkEvent? { await self.mailbox.next() }

            mutating func next(isolation actor: isolated (any Actor)?) async -> MasterLinkEvent? {
                await self.mailbox.next()
            }
        }
    }

    let incoming = Mailbox<MasterLinkEvent>()
    private let outgoing = Mutex<[UInt64: Mailbox<MasterMessage>]>([:])
    private let number = Mutex(UInt64(0))
    let dropped = Mailbox<SatelliteSession>()
    /// Grants of more bytes do not fit.
    let longestGrant = Mutex(Int.max)

    var events: any AsyncSequence<MasterLinkEvent, Never> & Sendable { Events(mailbox: self.incoming) }

    func send(_ message: MasterMessage, to session: SatelliteSession) async -> SendResult {
        guard let mailbox = self.outgoing.withLock({ $0[session.number] }) else { return .notConnected }
        if case .grant(let grant) = message, grant.bytes > self.longestGrant.withLock({ $0 }) { return .tooLarge }
        mailbox.put(message)
        return .queued
    }

    func drop(_ session: SatelliteSession) async {
        self.dropped.put(session)
        self.end(session, .rejected)
    }

    /// Connects a satellite's process; returns its session and what it is sent.
    func connect(_ record: SatelliteRecord, _ handshake: Handshake) -> (SatelliteSession, Mailbox<MasterMessage>) {
        let number = self.number.withLock { number in
            number += 1
            return number
        }
        let session = SatelliteSession(
            satellite: record.id,
            serial: record.serial,
            publicKey: record.publicKeys.first ?? [],
            incarnation: handshake.incarnation,
            number: number
        )
        let mailbox = Mailbox<MasterMessage>()
        self.outgoing.withLock { $0[number] = mailbox }
        self.incoming.put(.connected(session: session, handshake))
        return (session, mailbox)
    }

    func say(_ message: SatelliteMessage, _ session: SatelliteSession) {
        self.incoming.put(.message(session: session, message))
    }

    func end(_ session: SatelliteSession, _ end: SessionEnd) {
        guard let mailbox = self.outgoing.withLock({ $0.removeValue(forKey: session.number) }) else { return }
        mailbox.close()
        self.incoming.put(.disconnected(session: session, end))
    }
}
