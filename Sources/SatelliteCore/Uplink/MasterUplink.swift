// SPDX-License-Identifier: Apache-2.0

public import ClusterLink
public import MailingModel
import SatelliteJournal

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

/// How many recipients the master may entrust to this satellite.
struct Credit: Sendable {
    private let uplink: any MasterUplink
    private let condition: Condition
    private let bulk: Int
    private let express: Int

    init(_ configuration: SatelliteConfiguration, uplink: any MasterUplink, condition: Condition) {
        self.uplink = uplink
        self.condition = condition
        self.bulk = configuration.bulkCredit
        self.express = configuration.expressCredit
    }

    /// Reports to the master how much is taken: nothing while the journal has no room, resources are short, or at the end.
    func send() async {
        let takesNothing = self.condition.takesNothing
        await self.uplink.transmit(
            .credit([.bulk: takesNothing ? 0 : self.bulk, .express: takesNothing ? 0 : self.express])
        )
    }
}

extension Handshake {
    /// What a satellite says of itself and its journal as it stands now.
    init(_ configuration: SatelliteConfiguration, _ journal: Journal) {
        let highest = journal.highest
        self.init(
            serial: configuration.serial,
            incarnation: journal.incarnation,
            journalID: journal.journalID,
            bootID: journal.bootID,
            softwareVersion: configuration.softwareVersion,
            highestTerm: highest.term,
            highestLeaseSerial: highest.lease,
            heldLeases: journal.heldLeases
        )
        self.journaledLeases = journal.journaledLeases
        self.newestStore = journal.store
        self.journalSession = journal.session
        self.earlierIncarnations = journal.earlierIncarnations
        self.journalFound = journal.found
        self.journalPosition = journal.position
        self.journalIsCopy = journal.isCopy
    }
}
