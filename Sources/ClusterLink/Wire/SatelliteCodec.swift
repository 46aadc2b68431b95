// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MailingModel
import SwiftProtobuf

/// The wire form of what satellites say.
enum SatelliteCodec {
    /// The bytes of a message, with how far the satellite's journal is written; a Hello has that in it.
    static func encode(_ message: SatelliteMessage, journal: JournalPosition? = nil) -> [UInt8] {
        var wire = Telstar_Cluster_V1_SatelliteBody()
        var journal = journal
        if case .hello(let hello) = message { journal = hello.journalPosition }
        if let journal { wire.journal = self.wire(journal) }
        switch message {
        case .hello(let hello): wire.hello = self.wire(hello)
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
        case .hello(let hello):
            var value = try self.value(hello)
            value.journalPosition = journal
            return .hello(value)
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

    private static func wire(_ hello: Hello) -> Telstar_Cluster_V1_Hello {
        .with {
            $0.lowestVersion = hello.protocolVersions.lowerBound
            $0.highestVersion = hello.protocolVersions.upperBound
            $0.serial = hello.serial
            $0.incarnation = hello.incarnation
            $0.journalID = hello.journalID
            $0.bootID = hello.bootID
            $0.softwareVersion = hello.softwareVersion
            $0.highestTerm = hello.highestTerm.rawValue
            $0.highestLeaseSerial = hello.highestLeaseSerial.rawValue
            $0.heldLeases = hello.heldLeases.map(\.rawValue)
            $0.held = self.wire(hello.journaledLeases)
            if let store = hello.newestStore {
                $0.storeID = store.storeID
                $0.newestStore = .init(store)
            }
            $0.journalSession = hello.journalSession
            $0.earlierIncarnations = hello.earlierIncarnations
            if hello.journalFound > 0 {
                $0.journalFound = self.wire(
                    JournalPosition(written: hello.journalFound, synced: hello.journalFound)
                )
            }
            $0.journalCopied = hello.journalIsCopy
        }
    }

    /// Bytes of sets that a Hello carries at most, so that it stays within one frame.
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

    private static func value(_ wire: Telstar_Cluster_V1_Hello) throws(WireError) -> Hello {
        guard wire.lowestVersion <= wire.highestVersion else { throw WireError("an empty range of versions") }
        var hello = Hello(
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
            hello.journaledLeases.append(
                JournaledLease(
                    LeaseSerial(rawValue: held.lease),
                    started: try WireValue.bitmap(Array(held.started)),
                    closed: try WireValue.bitmap(Array(held.closed))
                )
            )
        }
        if wire.hasNewestStore { hello.newestStore = wire.newestStore.value(of: wire.storeID) }
        hello.journalSession = wire.journalSession
        hello.earlierIncarnations = wire.earlierIncarnations
        hello.journalFound = wire.journalFound.written
        hello.journalIsCopy = wire.journalCopied
        return hello
    }
}
