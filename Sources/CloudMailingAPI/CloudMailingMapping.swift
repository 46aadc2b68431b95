// SPDX-License-Identifier: Apache-2.0

import MailingModel
import XMLRPC

/// Maps our states to CloudMailing's names, and back.
enum CloudMailingMapping {
    /// A mailing's status.
    static func name(for status: MailingStatus) -> String {
        switch status {
        case .filling: "FILLING_RECIPIENTS"
        case .ready: "READY"
        case .running: "RUNNING"
        case .paused: "PAUSED"
        case .finished: "FINISHED"
        }
    }

    /// The status that a name stands for.
    static func mailingStatus(_ name: String) -> MailingStatus? {
        MailingStatus.allCases.first { self.name(for: $0) == name }
    }

    /// A recipient's status.
    static func name(for state: RecipientState) -> String {
        switch state {
        case .waiting: "READY"
        case .deferred: "WARNING"
        case .delivered: "FINISHED"
        case .failed: "ERROR"
        case .unrenderable, .uncertain: "GENERAL_ERROR"
        case .expired: "TIMEOUT"
        }
    }

    /// The states that a name stands for; empty for a name that no recipient ever has, `nil` for one that is not a status.
    static func recipientStates(_ name: String) -> [RecipientState]? {
        if name == "IN PROGRESS" { return [] }
        let states = RecipientState.allCases.filter { self.name(for: $0) == name }
        return states.isEmpty ? nil : states
    }

    /// The report record of a recipient; absent facts are left out.
    static func record(_ report: RecipientReport) -> XMLRPCValue {
        var record = XMLRPCStructure([
            .init(name: "id", value: .string(report.trackingID)),
            .init(name: "mailing", value: .int(Int(report.recipient.mailing.rawValue))),
            .init(name: "email", value: .string(report.address)),
            .init(name: "domain_name", value: .string(report.domain)),
            .init(name: "status", value: .string(self.name(for: report.state))),
            .init(name: "try_count", value: .int(report.tryCount)),
            .init(name: "in_progress", value: .bool(report.inProgress)),
            .init(name: "primary", value: .bool(report.isTest)),
            .init(name: "report_ready", value: .bool(true)),
            .init(name: "created", value: self.date(report.created)),
            .init(name: "modified", value: self.date(report.modified)),
        ])
        if report.uncertain { record["uncertain"] = .bool(true) }
        if let trace = report.trace {
            record["reply_code"] = trace.replyCode.map { .int($0) }
            record["reply_enhanced_code"] = trace.enhancedStatus.map { .string($0) }
            record["reply_text"] = .string(trace.text)
        }
        record["cloud_client"] = report.satellite.map { .string($0) }
        record["first_try"] = report.firstTry.map(self.date)
        record["next_try"] = report.nextTry.map(self.date)
        record["date_delegated"] = report.leasedAt.map(self.date)
        return .structure(record)
    }

    /// A mailing as `list_mailings` shows it; absent facts are left out, private keys always.
    static func record(_ mailing: Mailing, header: [UInt8]?) -> XMLRPCValue {
        let properties = mailing.properties
        let counters = mailing.counters
        var record = XMLRPCStructure([
            .init(name: "id", value: .int(Int(mailing.id.rawValue))),
            .init(name: "domain_name", value: .string(self.domain(of: properties.mailFrom))),
            .init(name: "mail_from", value: .string(properties.mailFrom)),
            .init(name: "sender_name", value: .string(properties.senderName)),
            .init(name: "subject", value: .string(mailing.subject)),
            .init(name: "status", value: .string(self.name(for: mailing.status))),
            .init(name: "type", value: .string(properties.type == .opened ? "OPENED" : "REGULAR")),
            .init(name: "dont_close_if_empty", value: .bool(properties.dontCloseIfEmpty)),
            .init(name: "read_tracking", value: .bool(properties.readTracking)),
            .init(name: "click_tracking", value: .bool(properties.clickTracking)),
            .init(name: "uncertain_policy", value: .string(properties.uncertainPolicy.rawValue)),
            .init(name: "autoescape", value: .bool(properties.autoescape)),
            .init(name: "total_recipient", value: .int(counters.total)),
            .init(name: "total_sent", value: .int(counters.delivered)),
            .init(name: "total_pending", value: .int(counters.pending)),
            .init(name: "total_error", value: .int(counters.failed)),
            .init(name: "total_softbounce", value: .int(counters.deferred)),
        ])
        record["shown_name"] = properties.shownName.map { .string($0) }
        record["satellite_group"] = properties.satelliteGroup.map { .string($0) }
        record["owner_guid"] = properties.ownerGUID.map { .string($0) }
        record["tracking_url"] = properties.trackingURL.map { .string($0) }
        if properties.urlEncoding == .base64 { record["url_encoding"] = .string("base64") }
        record["header"] = header.map { .base64($0) }
        if let dkim = properties.dkim.first {
            var setting = XMLRPCStructure([
                .init(name: "domain", value: .string(dkim.domain)),
                .init(name: "selector", value: .string(dkim.selector)),
                .init(name: "enabled", value: .bool(dkim.enabled)),
            ])
            setting["identity"] = dkim.identity.map { .string($0) }
            record["dkim"] = .structure(setting)
        }
        record["submit_time"] = mailing.submitted.map(self.date)
        record["scheduled_start"] = properties.scheduledStart.map(self.date)
        record["scheduled_end"] = properties.scheduledEnd.map(self.date)
        record["scheduled_duration"] = properties.scheduledDurationMinutes.map { .int($0) }
        record["start_time"] = mailing.started.map(self.date)
        record["end_time"] = mailing.ended.map(self.date)
        return .structure(record)
    }

    private static func domain(of address: String) -> String {
        address.lastIndex(of: "@").map { String(address[address.index(after: $0)...]) } ?? ""
    }

    private static func date(_ timestamp: Timestamp) -> XMLRPCValue {
        .dateTime(XMLRPCDateTime(unixSeconds: timestamp.seconds))
    }
}
