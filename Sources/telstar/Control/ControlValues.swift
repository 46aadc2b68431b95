// SPDX-License-Identifier: Apache-2.0

/// A mailing as the control API shows it.
struct MailingView: Codable {
    var id: Int32
    var status: String
    var subject: String
    var mailFrom: String
    var senderName: String
    var total: Int
    var delivered: Int
    var deferred: Int
    var failed: Int
    var uncertain: Int
    var expired: Int
    var pending: Int
    var created: String
    var started: String?
    var ended: String?

    enum CodingKeys: String, CodingKey {
        case id, status, subject, total, delivered, deferred, failed, uncertain, expired, pending, created, started,
            ended
        case mailFrom = "mail_from"
        case senderName = "sender_name"
    }
}

/// One report of the feed as the control API shows it.
struct ReportView: Codable {
    var id: String
    var mailing: Int32
    var email: String
    var state: String
    var uncertain: Bool
    var replyCode: Int?
    var enhancedStatus: String?
    var replyText: String?
    var stage: String?
    var satellite: String?
    var tries: Int
    var modified: String

    enum CodingKeys: String, CodingKey {
        case id, mailing, email, state, uncertain, stage, satellite, tries, modified
        case replyCode = "reply_code"
        case enhancedStatus = "enhanced_status"
        case replyText = "reply_text"
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
    var created: String
    var revoked: String?
    var key: String?
}

/// A satellite.
struct SatelliteView: Codable {
    var id: Int32
    var serial: String
    var enabled: Bool
    var group: String?
    var weight: Int
    var publicKeys: [String]
    var version: String?
    var connected: Bool

    enum CodingKeys: String, CodingKey {
        case id, serial, enabled, group, weight, version, connected
        case publicKeys = "public_keys"
    }
}

/// The answer to one recipient: an id or an error.
struct RecipientAnswer: Decodable {
    var id: String?
    var error: String?
}
