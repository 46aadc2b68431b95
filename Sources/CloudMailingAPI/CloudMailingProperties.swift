// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailFormat
import MailingModel
import MasterCore
import XMLRPC

/// Reads the struct of `set_mailing_properties`.
enum CloudMailingProperties {
    /// The names of all properties.
    static let names = [
        "type", "mail_from", "sender_name", "shown_name", "subject", "html_content", "plain_content", "charset",
        "header", "body", "scheduled_start", "scheduled_end", "scheduled_duration", "dont_close_if_empty",
        "satellite_group", "owner_guid", "tracking_url", "read_tracking", "click_tracking", "url_encoding", "dkim",
        "testing", "uncertain_policy", "autoescape", "backup_customized_emails",
    ]

    /// The change that the properties ask for.
    ///
    /// - Throws: Fault 406 for an unknown property or a bad value.
    static func change(_ properties: XMLRPCStructure) throws -> MailingChange {
        var change = MailingChange()
        let charset: Charset
        if let named = properties["charset"] {
            let name = try self.text(named, of: "charset")
            guard let known = Charset(label: name) else {
                throw CloudMailingFault(406, "Property 'charset' names '\(name.prefix(40))', which is not known.")
            }
            charset = known
        } else {
            guard properties["html_content"] == nil, properties["plain_content"] == nil else {
                throw CloudMailingFault(
                    406,
                    "Missing charset field. It is required with html_content and plain_content."
                )
            }
            charset = .utf8
        }
        for property in properties.members where property.name != "charset" {
            try self.set(property.name, property.value, charset: charset, in: &change)
        }
        return change
    }

    private static func set(
        _ name: String,
        _ value: XMLRPCValue,
        charset: Charset,
        in change: inout MailingChange
    ) throws {
        guard self.names.contains(name) else {
            throw CloudMailingFault(406, "Property '\(name)' is unknown or can't be changed.")
        }
        switch name {
        case "type": change.type = try self.type(value)
        case "satellite_group": change.satelliteGroup = try self.optional(value, of: name)
        case "mail_from": change.mailFrom = try self.text(value, of: name)
        case "sender_name": change.senderName = try self.text(value, of: name)
        case "shown_name": change.shownName = try self.optional(value, of: name)
        case "tracking_url": change.trackingURL = try self.optional(value, of: name)
        case "testing": change.testing = try self.truth(value, of: name)
        case "backup_customized_emails": change.backupCustomizedEmails = try self.truth(value, of: name)
        case "owner_guid": change.ownerGUID = try self.optional(value, of: name)
        case "scheduled_start": change.scheduledStart = try self.timestamp(value, of: name)
        case "scheduled_end": change.scheduledEnd = try self.timestamp(value, of: name)
        case "scheduled_duration": change.scheduledDurationMinutes = try self.minutes(value, of: name)
        case "dont_close_if_empty": change.dontCloseIfEmpty = try self.truth(value, of: name)
        case "subject": change.subject = try self.text(value, of: name, charset: charset)
        case "html_content": change.html = try self.text(value, of: name, charset: charset)
        case "plain_content": change.plain = try self.text(value, of: name, charset: charset)
        case "header": change.header = try self.bytes(value, of: name)
        case "body": change.body = try self.bytes(value, of: name)
        case "read_tracking": change.readTracking = try self.truth(value, of: name)
        case "click_tracking": change.clickTracking = try self.truth(value, of: name)
        case "url_encoding": change.urlEncoding = try self.urlEncoding(value)
        case "uncertain_policy": change.uncertainPolicy = try self.uncertainPolicy(value)
        case "autoescape": change.autoescape = try self.truth(value, of: name)
        case "dkim": change.dkim = try self.dkim(value)
        default: throw CloudMailingFault(406, "Property '\(name)' is unknown or can't be changed.")
        }
    }

    private static func bad(_ name: String, _ wanted: String, _ value: XMLRPCValue) -> CloudMailingFault {
        CloudMailingFault(406, "Property '\(name)' has to be \(wanted), not \(value.typeName).")
    }

    private static func text(_ value: XMLRPCValue, of name: String, charset: Charset = .utf8) throws -> String {
        if case .base64(let bytes) = value {
            guard let text = charset.decodeStrictly(bytes) else {
                throw CloudMailingFault(406, "Property '\(name)' is not text in charset \(charset.name).")
            }
            return text
        }
        guard let text = try value.text() else { throw self.bad(name, "a string", value) }
        return text
    }

    private static func optional(_ value: XMLRPCValue, of name: String) throws -> PropertyChange<String> {
        if value == .nil { return .clear }
        let text = try self.text(value, of: name)
        return text.isEmpty ? .clear : .set(text)
    }

    private static func truth(_ value: XMLRPCValue, of name: String) throws -> Bool {
        guard let truth = value.truth else { throw self.bad(name, "a boolean", value) }
        return truth
    }

    private static func timestamp(_ value: XMLRPCValue, of name: String) throws -> PropertyChange<Timestamp> {
        if value == .nil || value == .string("") { return .clear }
        guard let timestamp = value.timestamp else {
            throw self.bad(name, "a date, as dateTime or in ISO 8601,", value)
        }
        return .set(timestamp)
    }

    private static func minutes(_ value: XMLRPCValue, of name: String) throws -> PropertyChange<Int> {
        if value == .nil { return .clear }
        guard let minutes = value.integer, let count = Int(exactly: minutes), count >= 0, count <= 100 * 366 * 24 * 60
        else {
            throw self.bad(name, "a number of minutes from 0", value)
        }
        return count == 0 ? .clear : .set(count)
    }

    private static func bytes(_ value: XMLRPCValue, of name: String) throws -> [UInt8] {
        switch value {
        case .base64(let bytes): return bytes
        case .string(let text): return Array(text.utf8)
        default: throw self.bad(name, "base64", value)
        }
    }

    private static func type(_ value: XMLRPCValue) throws -> MailingType {
        switch try self.text(value, of: "type") {
        case "REGULAR": return .regular
        case "OPENED": return .opened
        case let given: throw CloudMailingFault(406, "Property 'type' has to be REGULAR or OPENED, not '\(given)'.")
        }
    }

    private static func urlEncoding(_ value: XMLRPCValue) throws -> MailingProperties.URLEncoding {
        if value == .nil { return .percent }
        switch try self.text(value, of: "url_encoding") {
        case "", "percent": return .percent
        case "base64": return .base64
        case let given:
            throw CloudMailingFault(406, "Property 'url_encoding' has to be base64 or empty, not '\(given)'.")
        }
    }

    private static func uncertainPolicy(_ value: XMLRPCValue) throws -> UncertainPolicy {
        let given = try self.text(value, of: "uncertain_policy")
        guard let policy = UncertainPolicy(rawValue: given) else {
            let names = UncertainPolicy.allCases.map(\.rawValue).joined(separator: ", ")
            throw CloudMailingFault(406, "Property 'uncertain_policy' has to be one of \(names), not '\(given)'.")
        }
        return policy
    }

    /// One signature as a struct, or several as an array of structs; empty takes them away.
    private static func dkim(_ value: XMLRPCValue) throws -> [DKIMSettingDraft] {
        switch value {
        case .nil: return []
        case .array(let items): return try items.flatMap(self.dkim)
        case .structure(let members):
            if members.members.isEmpty { return [] }
            func text(_ name: String) throws -> String? {
                guard let value = members[name], value != .nil else { return nil }
                return try self.text(value, of: "dkim.\(name)")
            }
            guard let selector = try text("selector"), let domain = try text("domain") else {
                throw CloudMailingFault(406, "Property 'dkim' needs selector, domain and privkey.")
            }
            let known: Set<String> = [
                "selector", "domain", "privkey", "enabled", "identity", "canonicalize", "signature_algorithm",
                "include_headers", "length",
            ]
            if let unknown = members.members.first(where: { !known.contains($0.name) }) {
                throw CloudMailingFault(406, "Property 'dkim.\(unknown.name)' is unknown or can't be changed.")
            }
            try self.checkOverridden(members)
            return [
                DKIMSettingDraft(
                    domain: domain,
                    selector: selector,
                    privateKey: try text("privkey"),
                    identity: try text("identity"),
                    enabled: try members["enabled"].map { try self.truth($0, of: "dkim.enabled") } ?? true
                )
            ]
        default: throw self.bad("dkim", "a struct", value)
        }
    }

    /// Validates the members of `dkim` that are accepted and overridden: every signature is relaxed/relaxed over the whole
    /// body and our list of fields, with the algorithm of its key and SHA-256.
    private static func checkOverridden(_ members: XMLRPCStructure) throws {
        if let value = members["length"], value != .nil { _ = try self.truth(value, of: "dkim.length") }
        if let value = members["signature_algorithm"], value != .nil {
            let names = ["rsa-sha256", "rsa-sha1", "ed25519-sha256"]
            let given = try self.text(value, of: "dkim.signature_algorithm")
            guard names.contains(given.lowercased()) else {
                throw CloudMailingFault(
                    406,
                    "Property 'dkim.signature_algorithm' has to be one of \(names.joined(separator: ", ")), not '\(given)'."
                )
            }
        }
        if let value = members["canonicalize"], value != .nil {
            let names =
                if case .array(let items) = value {
                    try items.map { try self.text($0, of: "dkim.canonicalize") }
                } else {
                    try self.text(value, of: "dkim.canonicalize").split(separator: "/").map(String.init)
                }
            guard (1...2).contains(names.count), names.allSatisfy({ ["simple", "relaxed"].contains($0.lowercased()) })
            else {
                throw CloudMailingFault(
                    406,
                    "Property 'dkim.canonicalize' has to be simple or relaxed for header and body, such as 'relaxed/simple'."
                )
            }
        }
        if let value = members["include_headers"], value != .nil {
            guard case .array(let items) = value else { throw self.bad("dkim.include_headers", "an array", value) }
            for item in items {
                let name = try self.text(item, of: "dkim.include_headers")
                guard HeaderField.isValidName(name) else {
                    throw CloudMailingFault(
                        406,
                        "Property 'dkim.include_headers' names '\(name.prefix(80))', which is no field's name."
                    )
                }
            }
        }
    }
}
