// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailingModel
import MasterCore
import XMLRPC

/// One call's recipients: what goes to the master, and how its results become answers in the order of the call.
struct CloudMailingRecipients {
    /// Those that can be submitted, in order.
    private(set) var submissions: [RecipientSubmission] = []
    /// For each item of the call: its address as sent, and its refusal if it was not submitted.
    private var items: [(email: XMLRPCValue, refusal: String?)] = []

    /// Reads the items of a call.
    init(_ values: [XMLRPCValue]) {
        self.submissions.reserveCapacity(values.count)
        self.items.reserveCapacity(values.count)
        for (index, value) in values.enumerated() {
            let email = Self.member("email", of: value) ?? .string("")
            do {
                self.submissions.append(try Self.submission(value, named: "recipient [\(index)]"))
                self.items.append((email, nil))
            } catch let refusal {
                self.items.append((email, refusal.reason))
            }
        }
    }

    /// The answers, one for each item: `email` as sent and either `id` or `error`.
    func answers(to results: [SubmissionResult]) -> [XMLRPCValue] {
        var next = results.makeIterator()
        return self.items.map { item in
            if let refusal = item.refusal { return .structure(["email": item.email, "error": .string(refusal)]) }
            switch next.next() {
            case .accepted(let trackingID, _):
                return .structure(["email": item.email, "id": .string(trackingID), "tracking_id": .string(trackingID)])
            case .refused(let reason):
                return .structure(["email": item.email, "error": .string(reason)])
            case nil:
                return .structure(["email": item.email, "error": .string("the recipient was not stored")])
            }
        }
    }

    /// Why an item cannot be submitted.
    struct Refusal: Error {
        /// For programs.
        var code = RefusalCode.badField.rawValue
        /// For people.
        var reason: String
    }

    private static func member(_ name: String, of value: XMLRPCValue) -> XMLRPCValue? {
        guard case .structure(let members) = value else { return nil }
        return members[name]
    }

    /// The recipient of an item; `name` stands for it in refusals.
    static func submission(_ value: XMLRPCValue, named name: String) throws(Refusal) -> RecipientSubmission {
        guard case .structure(let members) = value else {
            throw Refusal(reason: "\(name) has to be a struct, not \(value.typeName)")
        }
        var address: String?
        var trackingID: String?
        var attachments: [AttachmentSubmission] = []
        var fields: [MergeFields.Field] = []
        fields.reserveCapacity(members.members.count)
        for member in members.members {
            switch member.name {
            case "email":
                address = try self.text(member.value, of: "email")
                fields.append(.init(name: member.name, value: .text(address ?? "")))
            case "tracking_id":
                if member.value != .nil { trackingID = try self.identifier(member.value) }
            case "attachments":
                attachments = try self.attachments(member.value)
            default:
                fields.append(.init(name: member.name, value: self.merge(member.value)))
            }
        }
        guard let address else {
            throw Refusal(code: "no_email", reason: "'email' field is mandatory but not found in \(name)")
        }
        return RecipientSubmission(
            address: address,
            trackingID: trackingID,
            fields: MergeFields(fields),
            attachments: attachments
        )
    }

    private static func identifier(_ value: XMLRPCValue) throws(Refusal) -> String {
        if let number = value.integer { return String(number) }
        return try self.text(value, of: "tracking_id")
    }

    private static func text(_ value: XMLRPCValue, of name: String) throws(Refusal) -> String {
        // Bytes that are not text are refused like any other value of the wrong type.
        guard let text = (try? value.text()) ?? nil else {
            throw Refusal(reason: "'\(name)' field has to be a string, not \(value.typeName)")
        }
        return text
    }

    private static func merge(_ value: XMLRPCValue) -> MergeValue {
        switch value {
        case .int(let number): .integer(Int64(number))
        case .i8(let number): .integer(number)
        case .bool(let value): .bool(value)
        case .string(let text): .text(text)
        case .double(let number): .double(number)
        case .dateTime(let timestamp): .dateTime(Timestamp(seconds: timestamp.unixSeconds))
        case .base64(let bytes): .bytes(bytes)
        case .array(let items): .list(items.map(self.merge))
        case .structure(let members):
            .map(MergeFields(members.members.map { .init(name: $0.name, value: self.merge($0.value)) }))
        case .nil: .null
        }
    }

    private static let badAttachment = RefusalCode.badAttachment.rawValue

    private static func attachments(_ value: XMLRPCValue) throws(Refusal) -> [AttachmentSubmission] {
        guard case .array(let items) = value else {
            throw Refusal(code: Self.badAttachment, reason: "'attachments' has to be an array")
        }
        var attachments: [AttachmentSubmission] = []
        for item in items {
            guard case .structure(let members) = item else {
                throw Refusal(
                    code: Self.badAttachment,
                    reason: "an attachment has to be a struct, not \(item.typeName)"
                )
            }
            if members["url"] != nil {
                throw Refusal(code: Self.badAttachment, reason: "attachments by url are not accepted; send their data")
            }
            let bytes: [UInt8]
            switch members["data"] {
            case .base64(let data): bytes = data
            case .string(let text):
                guard let decoded = Data(base64Encoded: text, options: .ignoreUnknownCharacters) else {
                    throw Refusal(code: Self.badAttachment, reason: "an attachment's data is not base64")
                }
                bytes = Array(decoded)
            default: throw Refusal(code: Self.badAttachment, reason: "an attachment has no data")
            }
            func optional(_ name: String) throws(Refusal) -> String? {
                guard let value = members[name], value != .nil else { return nil }
                let text = try self.text(value, of: name)
                return text.isEmpty ? nil : text
            }
            attachments.append(
                AttachmentSubmission(
                    filename: try optional("filename"),
                    contentType: try optional("content-type") ?? "application/octet-stream",
                    charset: try optional("charset"),
                    contentID: try optional("content-id"),
                    bytes: bytes
                )
            )
        }
        return attachments
    }
}
