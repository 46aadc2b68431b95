// SPDX-License-Identifier: Apache-2.0

import MailingModel
import RecordFormat

/// A report as JSON and as a record of a CSV; both have the same names.
struct ReportRecord {
    /// The columns of the CSV, in order; the first of them are in every record, the others are empty where unknown.
    static let columns = [
        "id", "mailing", "email", "domain_name", "status", "try_count", "in_progress", "primary", "report_ready",
        "created", "modified", "uncertain", "reply_code", "reply_enhanced_code", "reply_text", "cloud_client",
        "first_try", "next_try", "date_delegated",
    ]

    private let members: [JSONValue.Member]

    init(_ report: RecipientReport) {
        var members: [JSONValue.Member] = [
            .init("id", .string(report.trackingID)),
            .init("mailing", .integer(Int64(report.recipient.mailing.rawValue))),
            .init("email", .string(report.address)),
            .init("domain_name", .string(report.domain)),
            .init("status", .string(Self.status(of: report.state))),
            .init("try_count", .integer(Int64(report.tryCount))),
            .init("in_progress", .bool(report.inProgress)),
            .init("primary", .bool(report.isTest)),
            .init("report_ready", .bool(true)),
            .init("created", .string(report.created.rfc3339)),
            .init("modified", .string(report.modified.rfc3339)),
        ]
        func add(_ name: String, _ value: JSONValue?) { if let value { members.append(.init(name, value)) } }
        if report.uncertain { add("uncertain", .bool(true)) }
        if let trace = report.trace {
            add("reply_code", trace.replyCode.map { .integer(Int64($0)) })
            add("reply_enhanced_code", trace.enhancedStatus.map { .string($0) })
            add("reply_text", .string(trace.text))
        }
        add("cloud_client", report.satellite.map { .string($0) })
        add("first_try", report.firstTry.map { .string($0.rfc3339) })
        add("next_try", report.nextTry.map { .string($0.rfc3339) })
        add("date_delegated", report.leasedAt.map { .string($0.rfc3339) })
        self.members = members
    }

    /// An object with the names of ``columns``; what is unknown is left out.
    var json: JSONValue { .object(self.members) }

    /// One field for each of ``columns``.
    var fields: [String] {
        let values = Dictionary(self.members.map { ($0.name, $0.value) }) { _, last in last }
        return Self.columns.map { values[$0].map(Self.text) ?? "" }
    }

    /// The name of a recipient's state in reports and in the parameter `status`.
    static func status(of state: RecipientState) -> String {
        switch state {
        case .waiting: "READY"
        case .deferred: "WARNING"
        case .delivered: "FINISHED"
        case .failed: "ERROR"
        case .unrenderable, .uncertain: "GENERAL_ERROR"
        case .expired: "TIMEOUT"
        }
    }

    /// The states that a name of ``status(of:)``, or the state's own, stands for; empty if it is neither.
    static func states(named name: String) -> [RecipientState] {
        let states = RecipientState.allCases
        return states.filter { self.status(of: $0) == name } + states.filter { "\($0)" == name }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value {
        case .integer(let number): String(number)
        case .bool(let truth): truth ? "true" : "false"
        case .double(let number): String(number)
        case .string(let text): text
        case .array, .object, .null: ""
        }
    }
}
