// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A mailing as the control API shows it.
struct MailingView: Codable {
    /// A signature without its key.
    struct Signature: Codable {
        var domain: String
        var selector: String
    }

    var id: Int32
    var status: String
    var subject: String
    var mailFrom: String
    var senderName: String
    var replyTo: String?
    var shownName: String?
    var satelliteGroup: String?
    var trackingURL: String?
    var scheduledStart: String?
    var scheduledEnd: String?
    var testing: Bool
    var dkim: [Signature]
    var total: Int
    var delivered: Int
    var deferred: Int
    var failed: Int
    var uncertain: Int
    var expired: Int
    var pending: Int
    var createdAt: String
    var startedAt: String?
    var endedAt: String?
    var warnings: [String]?

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
}

/// Some mailings.
struct MailingsView: Codable { var mailings: [MailingView] }

/// One report of the feed as the control API shows it.
struct ReportView: Codable {
    var id: String
    var mailing: Int32
    var email: String
    var status: String
    var uncertain: Bool
    var replyCode: Int?
    var enhancedStatus: String?
    var replyText: String?
    var stage: String?
    var satellite: String?
    var mxHost: String?
    var tryCount: Int
    var modifiedAt: String
    var nextTryAt: String?

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

    /// The server's reply in one line: the code, the enhanced status once, the text's lines separated by ` / `.
    var reply: String {
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
struct FeedView: Codable {
    var cursor: String
    var reports: [ReportView]
}

/// An API key; the secret only when it is made.
struct KeyView: Codable {
    var id: String
    var name: String
    var createdAt: String
    var revokedAt: String?
    var key: String?

    enum CodingKeys: String, CodingKey {
        case id, name, key
        case createdAt = "created_at"
        case revokedAt = "revoked_at"
    }
}

/// Which recipient domains a satellite takes.
struct AffinityView: Codable {
    /// Only these, if there are any.
    var include: [String]
    /// All but these.
    var exclude: [String]
}

/// A satellite.
struct SatelliteView: Codable {
    var id: Int32
    var serial: String
    var enabled: Bool
    var group: String?
    var weight: Int
    var affinity: AffinityView?
    var publicKeys: [String]
    var version: String?
    var connected: Bool

    enum CodingKeys: String, CodingKey {
        case id, serial, enabled, group, weight, affinity, version, connected
        case publicKeys = "public_keys"
    }
}

/// Some satellites.
struct SatellitesView: Codable { var satellites: [SatelliteView] }

/// The answer to one recipient: an id or an error.
struct RecipientAnswer: Codable {
    var email: String
    var id: String?
    var error: String?
}

/// The answers to some recipients, in order.
struct RecipientAnswers: Codable { var recipients: [RecipientAnswer] }
