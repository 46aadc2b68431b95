// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MailingModel
import SwiftProtobuf

/// The wire form of what satellites say.
enum SatelliteCodec {
    /// The bytes of a message, with how far the satellite's journal is written; a handshake has that in it.
    static func encode(_ message: SatelliteMessage, journal: JournalPosition? = nil) -> [UInt8] {
        var wire = Telstar_Cluster_V1_SatelliteBody()
        var journal = journal
        if case .handshake(let handshake) = message { journal = handshake.journalPosition }
        if let journal { wire.journal = self.wire(journal) }
        switch message {
        case .handshake(let handshake): wire.handshake = self.wire(handshake)
        case .heartbeat(let load):
            wire.heartbeat = .with {
                $0.waiting = WireValue.count(load.waiting)
                $0.started = WireValue.count(load.started)
                $0.connections = WireValue.count(load.connections)
                $0.unacknowledgedReports = WireValue.count(load.unacknowledgedReports)
                $0.attemptsLastMinute = WireValue.count(load.attemptsLastMinute)
                $0.draining = load.draining
            }
        case .credit(let limits):
            // In a fixed order, so that equal messages have equal bytes.
            wire.credit.limits = DeliveryClass.allCases.compactMap { deliveryClass in
                limits[deliveryClass].map { limit in
                    .with {
                        $0.deliveryClass = .init(deliveryClass)
                        $0.recipients = WireValue.count(limit)
                    }
                }
            }
            if wire.credit.limits.isEmpty { wire.credit = .init() }
        case .leaseAccepted(let lease): wire.leaseAccepted = .with { $0.lease = lease.rawValue }
        case .start(let lease, let entries):
            wire.start = .with {
                $0.lease = lease.rawValue
                $0.entries = .init(entries.bytes)
            }
        case .reports(let sequence, let reports):
            wire.reports = .with {
                $0.sequence = sequence
                $0.reports = reports.map(Telstar_Cluster_V1_Report.init)
            }
        case .returned(let lease, let entries):
            wire.returned = .with {
                $0.lease = lease.rawValue
                $0.entries = .init(entries.bytes)
            }
        case .signingKeyRequest(let hash): wire.signingKeyRequest = .with { $0.hash = .init(hash.bytes) }
        case .goodbye: wire.goodbye = .init()
        }
        return wire.encoded()
    }

    static func decode(_ bytes: [UInt8]) throws(WireError) -> SatelliteMessage { try self.decodeWhole(bytes).message }

    /// A message, and how far its satellite's journal is written.
    static func decodeWhole(
        _ bytes: [UInt8]
    ) throws(WireError) -> (message: SatelliteMessage, journal: JournalPosition?) {
        let wire: Telstar_Cluster_V1_SatelliteBody = try WireError.wrap { try .init(serializedBytes: bytes) }
        let journal =
            wire.hasJournal ? JournalPosition(written: wire.journal.written, synced: wire.journal.synced) : nil
        return (try self.message(wire, journal), journal)
    }

    private static func wire(_ journal: JournalPosition) -> Telstar_Cluster_V1_JournalPosition {
        .with {
            $0.written = journal.written
            $0.synced = journal.synced
        }
    }

    private static func message(
        _ wire: Telstar_Cluster_V1_SatelliteBody,
        _ journal: JournalPosition?
    ) throws(WireError) -> SatelliteMessage {
        switch wire.kind {
        case .handshake(let handshake):
            var value = try self.value(handshake)
            value.journalPosition = journal
            return .handshake(value)
        case .heartbeat(let load):
            return .heartbeat(
                SatelliteLoad(
                    waiting: WireValue.count(load.waiting),
                    started: WireValue.count(load.started),
                    connections: WireValue.count(load.connections),
                    unacknowledgedReports: WireValue.count(load.unacknowledgedReports),
                    attemptsLastMinute: WireValue.count(load.attemptsLastMinute),
                    draining: load.draining
                )
            )
        case .credit(let credit):
            var limits: [DeliveryClass: Int] = [:]
            for limit in credit.limits {
                limits[try limit.deliveryClass.value()] = WireValue.count(limit.recipients)
            }
            return .credit(limits)
        case .leaseAccepted(let lease): return .leaseAccepted(LeaseSerial(rawValue: lease.lease))
        case .start(let start):
            return .start(LeaseSerial(rawValue: start.lease), try WireValue.bitmap(Array(start.entries)))
        case .reports(let reports):
            var values: [DeliveryReport] = []
            values.reserveCapacity(reports.reports.count)
            for report in reports.reports { values.append(try report.value()) }
            return .reports(sequence: reports.sequence, values)
        case .returned(let returned):
            return .returned(
                LeaseSerial(rawValue: returned.lease),
                neverStarted: try WireValue.bitmap(Array(returned.entries))
            )
        case .signingKeyRequest(let key): return .signingKeyRequest(try WireValue.blob(Array(key.hash)))
        case .goodbye: return .goodbye
        case nil: throw WireError("a satellite's message of an unknown kind")
        }
    }

    private static func wire(_ handshake: Handshake) -> Telstar_Cluster_V1_Handshake {
        .with {
            $0.lowestVersion = handshake.protocolVersions.lowerBound
            $0.highestVersion = handshake.protocolVersions.upperBound
            $0.serial = handshake.serial
            $0.incarnation = handshake.incarnation
            $0.journalID = handshake.journalID
            $0.bootID = handshake.bootID
            $0.softwareVersion = handshake.softwareVersion
            $0.highestTerm = handshake.highestTerm.rawValue
            $0.highestLeaseSerial = handshake.highestLeaseSerial.rawValue
            $0.heldLeases = handshake.heldLeases.map(\.rawValue)
            $0.held = self.wire(handshake.journaledLeases)
            if let store = handshake.newestStore {
                $0.storeID = store.storeID
                $0.newestStore = .init(store)
            }
            $0.journalSession = handshake.journalSession
            $0.earlierIncarnations = handshake.earlierIncarnations
            if handshake.journalFound > 0 {
                $0.journalFound = self.wire(
                    JournalPosition(written: handshake.journalFound, synced: handshake.journalFound)
                )
            }
            $0.journalCopied = handshake.journalIsCopy
        }
    }

    /// Bytes of sets that a handshake carries at most, so that it stays within one frame.
    private static let longestDetails = 192 * 1024

    private static func wire(_ leases: [JournaledLease]) -> [Telstar_Cluster_V1_HeldLease] {
        var bytes = 0
        return leases.prefix { lease in
            bytes += lease.started.bytes.count + lease.closed.bytes.count + 24
            return bytes <= self.longestDetails
        }.map { lease in
            .with {
                $0.lease = lease.lease.rawValue
                $0.started = .init(lease.started.bytes)
                $0.closed = .init(lease.closed.bytes)
            }
        }
    }

    private static func value(_ wire: Telstar_Cluster_V1_Handshake) throws(WireError) -> Handshake {
        guard wire.lowestVersion <= wire.highestVersion else { throw WireError("an empty range of versions") }
        var handshake = Handshake(
            protocolVersions: wire.lowestVersion...wire.highestVersion,
            serial: wire.serial,
            incarnation: wire.incarnation,
            journalID: wire.journalID,
            bootID: wire.bootID,
            softwareVersion: wire.softwareVersion,
            highestTerm: Term(rawValue: wire.highestTerm),
            highestLeaseSerial: LeaseSerial(rawValue: wire.highestLeaseSerial),
            heldLeases: WireValue.leases(wire.heldLeases)
        )
        for held in wire.held {
            handshake.journaledLeases.append(
                JournaledLease(
                    LeaseSerial(rawValue: held.lease),
                    started: try WireValue.bitmap(Array(held.started)),
                    closed: try WireValue.bitmap(Array(held.closed))
                )
            )
        }
        if wire.hasNewestStore { handshake.newestStore = wire.newestStore.value(of: wire.storeID) }
        handshake.journalSession = wire.journalSession
        handshake.earlierIncarnations = wire.earlierIncarnations
        handshake.journalFound = wire.journalFound.written
        handshake.journalIsCopy = wire.journalCopied
        return handshake
    }
}
