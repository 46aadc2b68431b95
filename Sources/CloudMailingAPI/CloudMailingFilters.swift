// SPDX-License-Identifier: Apache-2.0

import MailingModel
import MasterCore
import XMLRPC

/// The filters that CloudMailing's calls take.
enum CloudMailingFilters {
    /// A filter of mailings: a struct, a bare domain, or an empty list for none.
    ///
    /// - Throws: Fault 406 for an unknown name or a bad value.
    static func mailings(_ value: XMLRPCValue?) throws -> MailingFilter {
        var filter = MailingFilter()
        switch value {
        case nil, .array([]), .string(""): return filter
        case .string(let domain):
            filter.domains = [domain]
            return filter
        case .structure(let members):
            for member in members.members {
                switch member.name {
                case "domain": filter.domains = try self.texts(member.value, of: member.name)
                case "id": filter.ids = try self.mailingIDs(member.value, of: member.name)
                case "status": filter.statuses = try self.mailingStatuses(member.value)
                case "owner_guid": filter.owners = try self.texts(member.value, of: member.name)
                case "satellite_group": filter.satelliteGroups = try self.texts(member.value, of: member.name)
                default:
                    throw CloudMailingFault(
                        406,
                        "Bad filter name. Available filters are: domain, id, status, owner_guid, satellite_group"
                    )
                }
            }
            return filter
        default:
            throw CloudMailingFault(406, "Filters argument has to be a dictionary.")
        }
    }

    /// A filter of recipients: a struct, or a list of statuses; empty is every status but READY.
    ///
    /// Owners and sender domains are resolved to mailings and united with `mailings`.
    ///
    /// - Returns: `nil` if owners or domains were named and no mailing has them.
    /// - Throws: Fault 406 for an unknown name or status.
    static func recipients(_ value: XMLRPCValue?, in operations: AccountOperations) async throws -> RecipientFilter? {
        var filter = RecipientFilter()
        filter.states = RecipientState.allCases.filter { $0 != .waiting }
        switch value {
        case nil, .string(""): return filter
        case .array(let statuses):
            if !statuses.isEmpty { filter.states = try self.recipientStates(.array(statuses)) }
            return filter
        case .structure(let members):
            var mailings: Set<MailingID>?
            for member in members.members {
                switch member.name {
                case "status":
                    if member.value != .array([]) { filter.states = try self.recipientStates(member.value) }
                case "mailings":
                    mailings = (mailings ?? []).union(try self.mailingIDs(member.value, of: member.name))
                case "owners", "sender_domains":
                    var wanted = MailingFilter()
                    let names = try self.texts(member.value, of: member.name)
                    if member.name == "owners" { wanted.owners = names } else { wanted.domains = names }
                    mailings = (mailings ?? []).union(try await operations.mailings(wanted).map(\.id))
                default:
                    throw CloudMailingFault(
                        406,
                        "Bad filter name. Available filters are: status, mailings, owners, sender_domains"
                    )
                }
            }
            if let mailings, mailings.isEmpty { return nil }
            filter.mailings = mailings?.sorted()
            return filter
        default:
            throw CloudMailingFault(406, "Filters argument has to be a dictionary.")
        }
    }

    private static func items(_ value: XMLRPCValue) -> [XMLRPCValue] {
        if case .array(let items) = value { items } else { [value] }
    }

    private static func texts(_ value: XMLRPCValue, of name: String) throws -> [String] {
        try self.items(value).map {
            guard let text = try $0.text() else { throw CloudMailingFault(406, "Filter '\(name)' takes strings.") }
            return text
        }
    }

    private static func mailingIDs(_ value: XMLRPCValue, of name: String) throws -> [MailingID] {
        try self.items(value).map {
            guard let number = $0.integer, let id = Int32(exactly: number) else {
                throw CloudMailingFault(406, "Filter '\(name)' takes mailing ids.")
            }
            return MailingID(rawValue: id)
        }
    }

    private static func mailingStatuses(_ value: XMLRPCValue) throws -> [MailingStatus] {
        try self.texts(value, of: "status").map { given in
            guard let status = CloudMailingMapping.mailingStatus(given) else {
                throw CloudMailingFault(406, "Bad status '\(given)'.")
            }
            return status
        }
    }

    private static func recipientStates(_ value: XMLRPCValue) throws -> [RecipientState] {
        try self.texts(value, of: "status").flatMap { given in
            guard let states = CloudMailingMapping.recipientStates(given) else {
                throw CloudMailingFault(406, "Bad status '\(given)'.")
            }
            return states
        }
    }
}
