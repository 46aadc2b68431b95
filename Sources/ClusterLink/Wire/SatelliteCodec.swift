// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MailingModel
import SwiftProtobuf

/// The wire form of what satellites say.
enum SatelliteCodec {
    static func encode(_ message: SatelliteMessage) -> [UInt8] {
        var wire = Telstar_Cluster_V1_SatelliteBody()
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
                $0.entries = .init(entries.octets)
            }
        case .reports(let sequence, let reports):
            wire.reports = .with {
                $0.sequence = sequence
                $0.reports = reports.map(Telstar_Cluster_V1_Report.init)
            }
        case .returned(let lease, let entries):
            wire.returned = .with {
                $0.lease = lease.rawValue
                $0.entries = .init(entries.octets)
            }
        case .signingKeyRequest(let hash): wire.signingKeyRequest = .with { $0.hash = .init(hash.bytes) }
        case .goodbye: wire.goodbye = .init()
        }
        return wire.encoded()
    }

    static func decode(_ octets: [UInt8]) throws(WireError) -> SatelliteMessage {
        let wire: Telstar_Cluster_V1_SatelliteBody = try WireError.wrap { try .init(serializedBytes: octets) }
        switch wire.kind {
        case .hello(let hello): return .hello(try self.value(hello))
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
        }
    }

    private static func value(_ wire: Telstar_Cluster_V1_Hello) throws(WireError) -> Hello {
        guard wire.lowestVersion <= wire.highestVersion else { throw WireError("an empty range of versions") }
        return Hello(
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
    }
}
