// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailingModel
import MasterCore
import RecordFormat

/// A recipient as a JSON object: `email`, `tracking_id`, `attachments`, and a merge field of every other member.
enum RecipientRecord {
    /// Why an object is not a recipient.
    struct Refusal: Error {
        /// For programs.
        var code = RefusalCode.badField.rawValue
        /// For people.
        var reason: String
    }

    /// Reads an object's members.
    static func submission(_ members: [JSONValue.Member]) throws(Refusal) -> RecipientSubmission {
        var address: String?
        var trackingID: String?
        var attachments: [AttachmentSubmission] = []
        var fields: [MergeFields.Field] = []
        fields.reserveCapacity(members.count)
        for member in members {
            switch (member.name, member.value) {
            case ("email", let value):
                address = try self.text(value, of: "email")
                fields.append(.init(name: "email", value: .text(address ?? "")))
            case ("tracking_id", .null): break
            case ("tracking_id", .integer(let number)): trackingID = String(number)
            case ("tracking_id", let value): trackingID = try self.text(value, of: "tracking_id")
            case ("attachments", let value): attachments = try self.attachments(value)
            default: fields.append(.init(name: member.name, value: self.merge(member.value)))
            }
        }
        guard let address else {
            throw Refusal(code: "no_email", reason: "'email' field is mandatory but not found in the line")
        }
        return RecipientSubmission(
            address: address,
            trackingID: trackingID,
            fields: MergeFields(fields),
            attachments: attachments
        )
    }

    private static func text(_ value: JSONValue, of name: String) throws(Refusal) -> String {
        guard case .string(let text) = value else {
            throw Refusal(reason: "'\(name)' field has to be a string, not \(value.typeName)")
        }
        return text
    }

    private static func merge(_ value: JSONValue) -> MergeValue {
        switch value {
        case .null: .null
        case .bool(let truth): .bool(truth)
        case .integer(let number): .integer(number)
        case .double(let number): .double(number)
        case .string(let text): .text(text)
        case .array(let items): .list(items.map(self.merge))
        case .object(let members):
            .map(MergeFields(members.map { .init(name: $0.name, value: self.merge($0.value)) }))
        }
    }

    private static func badAttachment(_ reason: String) -> Refusal {
        Refusal(code: RefusalCode.badAttachment.rawValue, reason: reason)
    }

    private static func attachments(_ value: JSONValue) throws(Refusal) -> [AttachmentSubmission] {
        guard case .array(let items) = value else { throw self.badAttachment("'attachments' has to be an array") }
        var attachments: [AttachmentSubmission] = []
        for item in items {
            guard case .object(let members) = item else {
                throw self.badAttachment("an attachment has to be an object, not \(item.typeName)")
            }
            func member(_ name: String) -> JSONValue? { members.last { $0.name == name }?.value }
            func optional(_ name: String) throws(Refusal) -> String? {
                guard let value = member(name), value != .null else { return nil }
                let text = try self.text(value, of: name)
                return text.isEmpty ? nil : text
            }
            guard member("url") == nil else {
                throw self.badAttachment("attachments by url are not accepted; send their data")
            }
            guard case .string(let data)? = member("data") else {
                throw self.badAttachment("an attachment has no data, or data that is no text in base64")
            }
            guard let bytes = Data(base64Encoded: data, options: .ignoreUnknownCharacters) else {
                throw self.badAttachment("an attachment's data is not base64")
            }
            attachments.append(
                AttachmentSubmission(
                    filename: try optional("filename"),
                    contentType: try optional("content-type") ?? "application/octet-stream",
                    charset: try optional("charset"),
                    contentID: try optional("content-id"),
                    bytes: Array(bytes)
                )
            )
        }
        return attachments
    }
}

extension JSONValue {
    /// The name of its type for messages.
    fileprivate var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .double: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
