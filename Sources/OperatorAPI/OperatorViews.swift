// SPDX-License-Identifier: Apache-2.0

import Foundation
package import MailingModel
import MasterCore
import ZeroMQ

/// A mailing as the operators' API shows it, to the master that writes it and the command that reads it.
package struct MailingView: Codable, Sendable {
    /// A signature without its key.
    package struct Signature: Codable, Sendable {
        package var domain: String
        package var selector: String
    }

    package var id: Int32
    package var status: String
    package var subject: String
    package var mailFrom: String
    package var senderName: String
    package var replyTo: String?
    package var shownName: String?
    package var satelliteGroup: String?
    package var trackingURL: String?
    package var scheduledStart: String?
    package var scheduledEnd: String?
    package var testing: Bool
    package var dkim: [Signature]
    package var total: Int
    package var delivered: Int
    package var deferred: Int
    package var failed: Int
    package var uncertain: Int
    package var expired: Int
    package var pending: Int
    package var createdAt: String
    package var startedAt: String?
    package var endedAt: String?
    package var warnings: [String]?

    enum CodingKeys: String, CodingKey {
        case id, status, subject, testing, dkim, total, delivered, deferred, failed, uncertain, expired, pending,
            warnings
        case mailFrom = "mail_from"
        case senderName = "sender_name"
        case replyTo = "reply_to"
        case shownName = "shown_name"
        case satelliteGroup = "satellite_group"
        case trackingURL = "tracking_url"
        case scheduledStart = "scheduled_start"
        case scheduledEnd = "scheduled_end"
        case createdAt = "created_at"
        case startedAt = "started_at"
        case endedAt = "ended_at"
    }

    /// Shows a mailing.
    ///
    /// - Parameters:
    ///   - mailing: What is shown.
    ///   - warnings: Warnings about accepted values that are bad practice.
    init(_ mailing: Mailing, warnings: [String] = []) {
        self.id = mailing.id.rawValue
        self.status = "\(mailing.status)"
        self.subject = mailing.subject
        self.mailFrom = mailing.properties.mailFrom
        self.senderName = mailing.properties.senderName
        self.replyTo = mailing.properties.replyTo
        self.shownName = mailing.properties.shownName
        self.satelliteGroup = mailing.properties.satelliteGroup
        self.trackingURL = mailing.properties.trackingURL
        self.scheduledStart = mailing.properties.scheduledStart?.rfc3339
        self.scheduledEnd = mailing.properties.scheduledEnd?.rfc3339
        self.testing = mailing.properties.testing
        self.dkim = mailing.properties.dkim.filter(\.enabled).map {
            Signature(domain: $0.domain, selector: $0.selector)
        }
        self.total = mailing.counters.total
        self.delivered = mailing.counters.delivered
        self.deferred = mailing.counters.deferred
        self.failed = mailing.counters.failed
        self.uncertain = mailing.counters.uncertain
        self.expired = mailing.counters.expired
        self.pending = mailing.counters.pending
        self.createdAt = mailing.created.rfc3339
        self.startedAt = mailing.started?.rfc3339
        self.endedAt = mailing.ended?.rfc3339
        self.warnings = warnings.isEmpty ? nil : warnings
    }
}

/// Some mailings.
package struct MailingsView: Codable, Sendable {
    package var mailings: [MailingView]

    /// Shows mailings.
    package init(mailings: [MailingView]) { self.mailings = mailings }
}

/// One report of the feed.
package struct ReportView: Codable, Sendable {
    package var id: String
    package var mailing: Int32
    package var email: String
    package var status: String
    package var uncertain: Bool
    package var replyCode: Int?
    package var enhancedStatus: String?
    package var replyText: String?
    package var stage: String?
    package var satellite: String?
    package var mxHost: String?
    package var tryCount: Int
    package var modifiedAt: String
    package var nextTryAt: String?

    enum CodingKeys: String, CodingKey {
        case id, mailing, email, status, uncertain, stage, satellite
        case mxHost = "mx"
        case tryCount = "try_count"
        case modifiedAt = "modified_at"
        case nextTryAt = "next_try_at"
        case replyCode = "reply_code"
        case enhancedStatus = "enhanced_status"
        case replyText = "reply_text"
    }

    init(_ report: RecipientReport) {
        self.id = report.trackingID
        self.mailing = report.recipient.mailing.rawValue
        self.email = report.address
        self.status = "\(report.state)"
        self.uncertain = report.uncertain
        self.replyCode = report.trace?.replyCode
        self.enhancedStatus = report.trace?.enhancedStatus
        self.replyText = report.trace?.text
        self.stage = report.trace?.stage.rawValue
        self.mxHost = report.trace?.mxHost
        self.satellite = report.satellite
        self.tryCount = report.tryCount
        self.modifiedAt = report.modified.rfc3339
        self.nextTryAt = report.nextTry?.rfc3339
    }

    /// The server's reply in one line: the code, the enhanced status once, the text's lines separated by ` / `.
    package var reply: String {
        let status = self.enhancedStatus ?? ""
        let lines = (self.replyText ?? "").split(whereSeparator: \.isNewline).map { line in
            // Servers write the enhanced status at the beginning of each line (RFC 2034 §4), where it is read from.
            let isRepeated = !status.isEmpty && line.hasPrefix(status) && line.dropFirst(status.count).first != "."
            return (isRepeated ? line.dropFirst(status.count) : line).trimmingCharacters(in: .whitespaces)
        }
        let parts = [self.replyCode.map(String.init) ?? "", status, lines.joined(separator: " / ")]
        return parts.filter { !$0.isEmpty }.joined(separator: " ")
    }
}

/// A page of the feed.
package struct FeedView: Codable, Sendable {
    package var cursor: String
    package var reports: [ReportView]
}

/// An API key; the secret only when it is made.
package struct KeyView: Codable, Sendable {
    package var id: String
    package var number: Int64
    package var name: String
    package var account: String
    package var createdAt: String
    package var revokedAt: String?
    package var key: String?

    enum CodingKeys: String, CodingKey {
        case id, number, name, account, key
        case createdAt = "created_at"
        case revokedAt = "revoked_at"
    }

    /// Shows a key of an account; its secret only when it is made.
    package init(_ record: APIKeyRecord, account: String = Account.rootName, secret: String? = nil) {
        self.id = record.publicID
        self.number = record.number
        self.name = record.name
        self.account = account
        self.createdAt = record.created.rfc3339
        self.revokedAt = record.revoked?.rfc3339
        self.key = secret
    }
}

/// Which recipient domains a satellite takes.
package struct AffinityView: Codable, Sendable {
    /// Only these, if there are any.
    package var include: [String]
    /// All but these.
    package var exclude: [String]
}

/// A satellite.
package struct SatelliteView: Codable, Sendable {
    package var id: Int32
    package var serial: String
    package var enabled: Bool
    package var group: String?
    package var weight: Int
    package var affinity: AffinityView?
    package var publicKeys: [String]
    package var version: String?
    package var connected: Bool

    enum CodingKeys: String, CodingKey {
        case id, serial, enabled, group, weight, affinity, version, connected
        case publicKeys = "public_keys"
    }

    /// Shows a satellite.
    package init(_ record: SatelliteRecord, connected: Bool = false) {
        self.id = record.id.rawValue
        self.serial = record.serial
        self.enabled = record.enabled
        self.group = record.group
        self.weight = record.weight
        self.affinity = AffinityView(include: record.affinity.include, exclude: record.affinity.exclude)
        self.publicKeys = record.publicKeys.compactMap { try? Z85.encode(key: $0) }
        self.version = record.version
        self.connected = connected
    }
}

/// Some satellites.
package struct SatellitesView: Codable, Sendable {
    package var satellites: [SatelliteView]

    /// Shows satellites.
    package init(satellites: [SatelliteView]) { self.satellites = satellites }
}

/// The answer to one recipient: an id or an error.
package struct RecipientAnswer: Codable, Sendable {
    package var email: String
    package var id: String?
    package var error: String?

    init(_ email: String, _ result: SubmissionResult) {
        self.email = email
        switch result {
        case .accepted(let trackingID, _): self.id = trackingID
        case .refused(let reason): self.error = reason
        }
    }
}

/// The answers to some recipients, in order.
package struct RecipientAnswers: Codable, Sendable { package var recipients: [RecipientAnswer] }

/// Some API keys.
package struct KeysView: Codable, Sendable {
    package var keys: [KeyView]

    /// Shows keys, each with the name of its account; an account that is removed has none.
    package init(_ keys: [APIKeyRecord], of accounts: [Account]) {
        let names = Dictionary(accounts.map { ($0.id, $0.name) }) { first, _ in first }
        self.keys = keys.map { KeyView($0, account: names[$0.account] ?? "") }
    }
}
