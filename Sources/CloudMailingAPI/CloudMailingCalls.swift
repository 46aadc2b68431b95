// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import MailFormat
import MailingModel
import MasterCore
import XMLRPC

/// CloudMailing's methods, each answered by a call of the master.
struct CloudMailingCalls: Sendable {
    /// The names of all methods.
    static let methods = [
        "create_mailing", "create_mailing_ext", "set_mailing_properties", "list_mailings", "get_mailings_count",
        "delete_mailing", "delete_all_mailings_for_domain", "start_mailing", "pause_mailing", "add_recipients",
        "send_test",
        "get_recipients_status", "get_recipients_status_updated_since", "reset_recipients_status",
        "get_recipients_count",
        "cloud_get_satellites_count", "cloud_list_satellites", "cloud_add_satellite", "cloud_set_satellite_properties",
        "cloud_delete_satellite", "update_statistics", "mailing_manager_force_check", "force_purge_empty_mailings",
    ]
    /// The calls whose faults travel under the HTTP status of their number; their clients expect that.
    private static let faultsSetTheStatus: Set<String> = [
        "create_mailing_ext", "set_mailing_properties", "delete_mailing", "start_mailing", "pause_mailing",
    ]

    /// The root account's operations, whose API this is.
    let operations: AccountOperations
    /// Satellites are managed by the same clients.
    let cluster: OperatorOperations
    /// What the key says of escaping in the mailings that are created with it.
    let autoescape: Bool?

    /// Executes a call and returns its result.
    ///
    /// - Throws: ``CloudMailingFault``.
    func answer(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        do {
            return try await self.dispatch(call)
        } catch let fault as CloudMailingFault {
            throw Self.faultsSetTheStatus.contains(call.method) ? fault.underItsOwnStatus : fault
        } catch let error as MasterError {
            let fault = CloudMailingFault(error, status: nil)
            throw Self.faultsSetTheStatus.contains(call.method) ? fault.underItsOwnStatus : fault
        }
    }

    private func dispatch(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        // Nothing may be called that is not listed, since the list is what the documents are compared with.
        guard Self.methods.contains(call.method) else { throw Self.unknown(call.method) }
        switch call.method {
        case "create_mailing": return try await self.createMailing(call)
        case "create_mailing_ext": return try await self.createMailingFromMessage(call)
        case "set_mailing_properties": return try await self.setProperties(call)
        case "list_mailings": return try await self.listMailings(call)
        case "get_mailings_count":
            var arguments = try CloudMailingArguments(call, 0...1)
            return .int(try await self.operations.countMailings(try CloudMailingFilters.mailings(arguments.value())))
        case "delete_mailing":
            var arguments = try CloudMailingArguments(call, 1...1)
            let id = try arguments.mailing()
            try await self.named(id) { try await self.operations.deleteMailing(id) }
            return .int(0)
        case "delete_all_mailings_for_domain": return try await self.deleteMailings(call)
        case "start_mailing": return try await self.start(call)
        case "pause_mailing": return try await self.pause(call)
        case "add_recipients", "send_test": return try await self.addRecipients(call, test: call.method == "send_test")
        case "get_recipients_status": return try await self.reports(call)
        case "get_recipients_status_updated_since": return try await self.feed(call)
        case "reset_recipients_status":
            var arguments = try CloudMailingArguments(call, 1...1)
            _ = try await self.operations.resetRecipients(try Self.texts(try arguments.array() ?? []))
            return .int(0)
        case "get_recipients_count":
            var arguments = try CloudMailingArguments(call, 0...1)
            let filter = try await CloudMailingFilters.recipients(arguments.value(), in: self.operations)
            guard let filter else { return .int(0) }
            return .int(try await self.operations.countRecipients(filter))
        case "update_statistics", "mailing_manager_force_check":
            return .int(0)
        case "force_purge_empty_mailings":
            _ = try await self.operations.finishCompleteMailings()
            return .int(0)
        default:
            if call.method.hasPrefix("cloud_") {
                return try await CloudMailingSatellites(cluster: self.cluster).answer(call)
            }
            throw Self.unknown(call.method)
        }
    }

    static func unknown(_ method: String) -> CloudMailingFault {
        if let dot = method.firstIndex(of: ".") {
            return CloudMailingFault(8001, "no such subHandler \(method[..<dot])")
        }
        return CloudMailingFault(8001, "procedure \(method) not found")
    }

    /// Phrases the fault of an unknown mailing as the original does.
    private func named<Result>(_ id: MailingID, _ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MasterError {
            if case .unknownMailing = error.code { throw CloudMailingFault(404, "Mailing [\(id)] not found!") }
            throw error
        }
    }

    private static func texts(_ values: [XMLRPCValue]) throws -> [String] {
        try values.map { value in
            if let text = try value.text() { return text }
            guard let number = value.integer else {
                throw CloudMailingFault(8002, "a recipient id has to be a string, not \(value.typeName)")
            }
            return String(number)
        }
    }
}

// MARK: - Mailings

extension CloudMailingCalls {
    private func createMailing(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 4...6)
        let charsetName: String? =
            if call.parameters.count > 5 { try call.parameters[5].text() } else { nil }
        let charset = try charsetName.map { try Charset(named: $0) } ?? .utf8
        guard let mailFrom = try arguments.text(charset: charset),
            let senderName = try arguments.text(charset: charset),
            let subject = try arguments.text(charset: charset), let html = try arguments.text(charset: charset)
        else { throw CloudMailingFault(8002, "create_mailing(): the first four arguments have to be strings") }
        let plain = try arguments.text(charset: charset)
        let mailing = try await self.operations.createMailing(
            MailingDraft(
                content: .alternative(html: html, plain: plain),
                mailFrom: mailFrom,
                senderName: senderName,
                subject: subject,
                autoescape: self.autoescape
            )
        )
        return .int(Int(mailing.id.rawValue))
    }

    private func createMailingFromMessage(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 1...1)
        let bytes: [UInt8]
        switch arguments.value() {
        case .base64(let data): bytes = data
        case .string(let text): bytes = Array(text.utf8)
        default: throw CloudMailingFault(8002, "create_mailing_ext(): argument 1 has to be a base64-encoded message")
        }
        // Clients send <base64> of base64; one that encodes only once is understood as well.
        let message =
            Data(base64Encoded: Data(bytes), options: .ignoreUnknownCharacters)
            .map { Array($0) }.flatMap { Self.looksLikeMessage($0) ? $0 : nil } ?? bytes
        let mailing = try await self.operations.createMailing(
            MailingDraft(content: .message(message), autoescape: self.autoescape)
        )
        return .int(Int(mailing.id.rawValue))
    }

    /// Whether bytes begin with a header field, RFC 5322 §2.2, or with a mark that base64 cannot begin with.
    private static func looksLikeMessage(_ message: [UInt8]) -> Bool {
        if message.starts(with: [0xFF, 0xFE]) || message.starts(with: [0xFE, 0xFF]) { return true }
        let fields = message[MIMEEntity.start(of: message)...].prefix(200)
        guard let colon = fields.firstIndex(of: UInt8(ascii: ":")) else { return false }
        return colon > fields.startIndex && fields[..<colon].allSatisfy { (33...126).contains($0) || $0 == 0x20 }
    }

    private func setProperties(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 2...2)
        let id = try arguments.mailing()
        guard let properties = try arguments.structure() else {
            throw CloudMailingFault(8002, "set_mailing_properties(): argument 2 has to be a struct")
        }
        let change = try CloudMailingProperties.change(properties)
        do {
            _ = try await self.named(id) { try await self.operations.setProperties(of: id, to: change) }
        } catch let error as MasterError {
            switch error.code {
            case .mailingFinished: throw CloudMailingFault(403, error.message)
            case .badContent: throw CloudMailingFault(406, error.message)
            default: throw error
            }
        }
        return .int(0)
    }

    private func listMailings(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 0...1)
        let mailings = try await self.operations.mailings(try CloudMailingFilters.mailings(arguments.value()))
        return .array(mailings.map { CloudMailingMapping.record($0, header: nil) })
    }

    private func deleteMailings(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 1...1)
        guard let domain = try arguments.text() else {
            throw CloudMailingFault(8002, "delete_all_mailings_for_domain(): argument 1 has to be a string")
        }
        var filter = MailingFilter()
        filter.domains = [domain]
        let mailings = try await self.operations.mailings(filter)
        for mailing in mailings { try await self.operations.deleteMailing(mailing.id) }
        return .int(mailings.count)
    }

    private func start(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 1...2)
        let id = try arguments.mailing()
        do {
            let status = try await self.named(id) { try await self.operations.startMailing(id) }
            return .string(CloudMailingMapping.name(for: status))
        } catch let error as MasterError {
            guard case .badStatus = error.code else { throw error }
            throw CloudMailingFault(8002, "Only mailings in FILLING_RECIPIENTS state can be activated")
        }
    }

    private func pause(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 1...1)
        let id = try arguments.mailing()
        do {
            let status = try await self.named(id) { try await self.operations.pauseMailing(id) }
            return .string(CloudMailingMapping.name(for: status))
        } catch let error as MasterError {
            let given: String
            switch error.code {
            case .badStatus(let status): given = CloudMailingMapping.name(for: status)
            case .mailingFinished: given = CloudMailingMapping.name(for: .finished)
            default: throw error
            }
            throw CloudMailingFault(406, "Bad mailing status: '\(given)'. Can't pause it!")
        }
    }
}

// MARK: - Recipients and reports

extension CloudMailingCalls {
    private func addRecipients(_ call: XMLRPCCall, test: Bool) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 2...2)
        let id = try arguments.mailing()
        guard let items = try arguments.array() else {
            throw CloudMailingFault(8002, "\(call.method)(): argument 2 has to be an array")
        }
        let results: [XMLRPCValue]
        do {
            let limit = 1000
            guard items.count <= limit else {
                throw CloudMailingFault(
                    400,
                    "Too many recipients! Exceeded maximum write batch size of \(limit)",
                    status: .badRequest
                )
            }
            let batch = CloudMailingRecipients(items)
            results = batch.answers(
                to: try await self.operations.addRecipients(batch.submissions, to: id, test: test)
            )
        } catch let error as MasterError {
            switch error.code {
            case .unknownMailing: throw CloudMailingFault(404, "Mailing not found!", status: .notFound)
            case .mailingFinished: throw CloudMailingFault(400, "Mailing finished!")
            default: throw error
            }
        }
        return .array(results)
    }

    private func reports(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 1...2)
        guard let ids = try arguments.array() else {
            throw CloudMailingFault(8002, "get_recipients_status(): argument 1 has to be an array")
        }
        _ = try arguments.structure()
        let reports = try await self.operations.reports(of: try Self.texts(ids))
        return .array(reports.map(CloudMailingMapping.record))
    }

    private func feed(_ call: XMLRPCCall) async throws -> XMLRPCValue {
        var arguments = try CloudMailingArguments(call, 0...4)
        let cursor = try arguments.text()
        let filter = try await CloudMailingFilters.recipients(arguments.value(), in: self.operations)
        let limit = try arguments.integer() ?? 1000
        _ = try arguments.structure()
        guard let filter else {
            // No mailing has these owners or domains: nothing is reported, and the position in the feed stays. The cursor is
            // validated all the same.
            _ = try await self.operations.feed(after: cursor, filter: RecipientFilter(), limit: 1)
            return .structure(["cursor": .string(cursor ?? ""), "recipients": .array([])])
        }
        let page = try await self.operations.feed(
            after: cursor,
            filter: filter,
            limit: Int(clamping: min(max(limit, 1), 1000))
        )
        return .structure([
            "cursor": .string(page.cursor),
            "recipients": .array(page.entries.map { CloudMailingMapping.record($0.report) }),
        ])
    }
}
