// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterCore
import XMLRPC

/// CloudMailing's `cloud_` methods.
struct CloudMailingSatellites: Sendable {
    let cluster: OperatorOperations

    func answer(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        switch call.method {
        case "cloud_get_satellites_count":
            _ = try CloudMailingArguments(call, 0...0)
            return .int(try await self.cluster.satellites().count)
        case "cloud_list_satellites":
            _ = try CloudMailingArguments(call, 0...0)
            return .array(try await self.cluster.satellites().map(Self.record))
        case "cloud_add_satellite":
            var arguments = try CloudMailingArguments(call, 1...2)
            guard let serial = try arguments.text() else {
                throw CloudMailingFault(8002, "cloud_add_satellite(): argument 1 has to be a string")
            }
            var draft = SatelliteDraft(serial: serial)
            for member in try arguments.structure()?.members ?? [] {
                switch member.name {
                case "enabled": draft.enabled = try Self.truth(member)
                case "shared_key": draft.sharedKey = try Self.text(member)
                case "domain_affinity": draft.affinity = try Self.affinity(member.value)
                case "group": draft.group = try Self.text(member)
                default: throw CloudMailingFault(406, "Property '\(member.name)' is unknown or can't be changed.")
                }
            }
            return .int(Int(try await self.cluster.addSatellite(draft).id.rawValue))
        case "cloud_set_satellite_properties":
            var arguments = try CloudMailingArguments(call, 2...2)
            let id = try Self.satellite(try arguments.integer())
            var change = SatelliteChange()
            for member in try arguments.structure()?.members ?? [] {
                switch member.name {
                case "serial": change.serial = try Self.text(member)
                case "enabled": change.enabled = try Self.truth(member)
                case "shared_key": change.sharedKey = .set(try Self.text(member))
                case "domain_affinity": change.affinity = try Self.affinity(member.value)
                case "group": change.group = .set(try Self.text(member))
                default: throw CloudMailingFault(406, "Property '\(member.name)' is unknown or can't be changed.")
                }
            }
            _ = try await self.cluster.setSatellite(id, to: change)
            return .int(0)
        case "cloud_delete_satellite":
            var arguments = try CloudMailingArguments(call, 1...1)
            try await self.cluster.removeSatellite(try Self.satellite(try arguments.integer()))
            return .int(0)
        default:
            throw CloudMailingCalls.unknown(call.method)
        }
    }

    private static func satellite(_ number: Int64?) throws -> SatelliteID {
        guard let number, let id = Int32(exactly: number) else {
            throw CloudMailingFault(8002, "a satellite id has to be an int")
        }
        return SatelliteID(rawValue: id)
    }

    private static func record(_ satellite: SatelliteRecord) -> XMLRPCValue {
        func names(_ domains: [String]) -> XMLRPCValue { .array(domains.map { .string($0) }) }
        var record = XMLRPCStructure([
            .init(name: "id", value: .int(Int(satellite.id.rawValue))),
            .init(name: "serial", value: .string(satellite.serial)),
            .init(name: "enabled", value: .bool(satellite.enabled)),
            .init(name: "paired", value: .bool(!satellite.publicKeys.isEmpty)),
            .init(
                name: "domain_affinity",
                value: .structure([
                    "include": names(satellite.affinity.include), "exclude": names(satellite.affinity.exclude),
                ])
            ),
        ])
        record["date_paired"] = satellite.paired.map { .dateTime(XMLRPCDateTime(unixSeconds: $0.seconds)) }
        record["group"] = satellite.group.map { .string($0) }
        record["version"] = satellite.version.map { .string($0) }
        return .structure(record)
    }

    private static func text(_ member: XMLRPCStructure.Member) throws -> String {
        guard let text = try member.value.text() else {
            throw CloudMailingFault(406, "Property '\(member.name)' has to be a string.")
        }
        return text
    }

    private static func truth(_ member: XMLRPCStructure.Member) throws -> Bool {
        guard let truth = member.value.truth else {
            throw CloudMailingFault(406, "Property '\(member.name)' has to be a boolean.")
        }
        return truth
    }

    private static func affinity(_ value: XMLRPCValue) throws -> DomainAffinity {
        if value == .nil || value == .string("") { return DomainAffinity() }
        guard case .structure(let members) = value else {
            throw CloudMailingFault(406, "Property 'domain_affinity' has to be a struct with include and exclude.")
        }
        func names(_ name: String) throws -> [String] {
            switch members[name] {
            case nil, .nil: return []
            case .array(let items):
                return try items.map {
                    guard let text = try $0.text() else {
                        throw CloudMailingFault(406, "Property 'domain_affinity' takes lists of domain names.")
                    }
                    return text.lowercased()
                }
            default: throw CloudMailingFault(406, "Property 'domain_affinity' takes lists of domain names.")
            }
        }
        if members["enabled"]?.truth == false { return DomainAffinity() }
        return DomainAffinity(include: try names("include"), exclude: try names("exclude"))
    }
}
