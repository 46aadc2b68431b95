// SPDX-License-Identifier: Apache-2.0

import Foundation
import MailingModel
import MasterStore
import RecordFormat
import XMLRPC

/// A report as API callers know it from `get_recipients_status_updated_since`, in JSON and in CSV.
struct ReportRecord {
    /// The columns of the CSV, in order; the first of them are in every record, the others are empty where unknown.
    static let columns = [
        "id", "mailing", "email", "domain_name", "status", "try_count", "in_progress", "primary", "report_ready",
        "created", "modified", "uncertain", "reply_code", "reply_enhanced_code", "reply_text", "cloud_client",
        "first_try", "next_try", "date_delegated",
    ]

    private let members: [XMLRPCStructure.Member]

    init(_ report: RecipientReport) {
        guard case .structure(let record) = CloudMailingMapping.record(report) else {
            preconditionFailure("a report's record is not a struct")
        }
        self.members = record.members
    }

    /// An object with the members of the call's struct.
    var json: JSONValue { .object(self.members.map { .init($0.name, Self.json($0.value)) }) }

    /// One field for each of ``columns``.
    var fields: [String] {
        let values = Dictionary(self.members.map { ($0.name, $0.value) }) { _, last in last }
        return Self.columns.map { values[$0].map(Self.text) ?? "" }
    }

    private static func json(_ value: XMLRPCValue) -> JSONValue {
        switch value {
        case .int(let number): .integer(Int64(number))
        case .i8(let number): .integer(number)
        case .bool(let truth): .bool(truth)
        case .double(let number): .double(number)
        case .array(let items): .array(items.map(self.json))
        case .structure(let members): .object(members.members.map { .init($0.name, self.json($0.value)) })
        case .nil: .null
        case .string, .dateTime, .base64: .string(self.text(value))
        }
    }

    private static func text(_ value: XMLRPCValue) -> String {
        switch value {
        case .int(let number): String(number)
        case .i8(let number): String(number)
        case .bool(let truth): truth ? "true" : "false"
        case .double(let number): String(number)
        case .string(let text): text
        case .dateTime(let timestamp): self.iso(timestamp.unixSeconds)
        case .base64(let bytes): Data(bytes).base64EncodedString()
        case .array, .structure, .nil: ""
        }
    }

    /// ISO 8601, UTC, whole seconds.
    private static func iso(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
}
