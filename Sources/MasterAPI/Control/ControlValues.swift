// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import MailingModel
import MasterCore
import MasterStore
import ZeroMQ

/// A mailing as the control API shows it.
struct ControlMailing: Encodable {
    var id: Int32
    var status, subject, mailFrom, senderName: String
    var replyTo, shownName, satelliteGroup, trackingURL, scheduledStart, scheduledEnd: String?
    var testing: Bool
    /// `d=` and `s=` of each signature that is made.
    var dkim: [Signature]
    var total, delivered, deferred, failed, uncertain, expired, pending: Int
    var createdAt: String
    var startedAt, endedAt: String?
    /// Warnings about accepted values that are bad practice; absent if there are none.
    var warnings: [String]?

    /// A signature without its key.
    struct Signature: Encodable {
        var domain, selector: String
    }

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

/// What a mailing is created from: its sender, subject and HTML, and any other property.
struct ControlMailingDraft: Decodable {
    let draft: MailingDraft
    /// The properties beside these.
    let change: MailingChange

    init(from decoder: any Decoder) throws {
        var change = try ControlMailingChange(from: decoder).change
        guard let from = change.mailFrom else { throw ControlBody.bad("`mail_from` is missing") }
        guard let subject = change.subject else { throw ControlBody.bad("`subject` is missing") }
        guard let html = change.html else { throw ControlBody.bad("`html` is missing") }
        self.draft = MailingDraft(
            content: .alternative(html: html, plain: change.plain),
            mailFrom: from,
            senderName: change.senderName ?? "",
            subject: subject,
            autoescape: change.autoescape
        )
        (change.mailFrom, change.senderName, change.subject, change.html, change.plain) = (nil, nil, nil, nil, nil)
        change.autoescape = nil
        self.change = change
    }
}

/// A recipient as the control API takes it: `email`, `tracking_id`, and merge fields.
struct ControlRecipient: Decodable {
    var email: String
    var trackingID: String?
    var fields: MergeFields

    private struct Name: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        self.email = try container.decode(String.self, forKey: Name(stringValue: "email"))
        self.trackingID = try container.decodeIfPresent(String.self, forKey: Name(stringValue: "tracking_id"))
        self.fields = MergeFields(
            try container.allKeys.filter { $0.stringValue != "tracking_id" }.sorted { $0.stringValue < $1.stringValue }
                .map {
                    .init(name: $0.stringValue, value: try container.decode(ControlMergeValue.self, forKey: $0).value)
                }
        )
    }

    var submission: RecipientSubmission {
        RecipientSubmission(address: self.email, trackingID: self.trackingID, fields: self.fields)
    }
}

/// A merge field's value in JSON.
private struct ControlMergeValue: Decodable {
    var value: MergeValue

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self.value = .null
        } else if let text = try? container.decode(String.self) {
            self.value = .text(text)
        } else if let truth = try? container.decode(Bool.self) {
            self.value = .bool(truth)
        } else if let number = try? container.decode(Int64.self) {
            self.value = .integer(number)
        } else if let number = try? container.decode(Double.self) {
            self.value = .double(number)
        } else if let items = try? container.decode([ControlMergeValue].self) {
            self.value = .list(items.map(\.value))
        } else {
            let members = try container.decode([String: ControlMergeValue].self)
            self.value = .map(
                MergeFields(members.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: $0.value.value) })
            )
        }
    }
}

/// The answer to one recipient.
struct ControlSubmissionAnswer: Encodable {
    var email: String
    var id: String?
    var error: String?

    init(_ email: String, _ result: SubmissionResult) {
        self.email = email
        switch result {
        case .accepted(let trackingID, _): self.id = trackingID
        case .refused(let reason): self.error = reason
        }
    }
}

/// One report of the feed.
struct ControlReport: Encodable {
    var id: String
    var mailing: Int32
    var email, status: String
    var uncertain: Bool
    var replyCode: Int?
    var enhancedStatus, replyText, stage, satellite, mxHost: String?
    var tryCount: Int
    var modifiedAt: String
    var nextTryAt: String?

    enum CodingKeys: String, CodingKey {
        case id, mailing, email, status, uncertain, stage, satellite
        case tryCount = "try_count"
        case modifiedAt = "modified_at"
        case replyCode = "reply_code"
        case enhancedStatus = "enhanced_status"
        case replyText = "reply_text"
        case mxHost = "mx"
        case nextTryAt = "next_try_at"
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
}

/// An API key; the secret only when it is made.
struct ControlKey: Encodable {
    var id, name, createdAt: String
    var revokedAt, key: String?

    enum CodingKeys: String, CodingKey {
        case id, name, key
        case createdAt = "created_at"
        case revokedAt = "revoked_at"
    }

    init(_ record: APIKeyRecord, secret: String? = nil) {
        self.id = record.publicID
        self.name = record.name
        self.createdAt = record.created.rfc3339
        self.revokedAt = record.revoked?.rfc3339
        self.key = secret
    }
}

/// A satellite.
struct ControlSatellite: Encodable {
    var id: Int32
    var serial: String
    var enabled: Bool
    var group: String?
    var weight: Int
    var affinity: DomainAffinity
    var publicKeys: [String]
    var version: String?
    var connected: Bool

    enum CodingKeys: String, CodingKey {
        case id, serial, enabled, group, weight, affinity, version, connected
        case publicKeys = "public_keys"
    }

    init(_ record: SatelliteRecord, connected: Bool) {
        self.id = record.id.rawValue
        self.serial = record.serial
        self.enabled = record.enabled
        self.group = record.group
        self.weight = record.weight
        self.affinity = record.affinity
        self.publicKeys = record.publicKeys.compactMap { try? Z85.encode(key: $0) }
        self.version = record.version
        self.connected = connected
    }
}

/// A satellite to be allowed; takes the members of a change, and needs a serial.
struct ControlSatelliteDraft: Decodable {
    private var change: SatelliteChange

    init(from decoder: any Decoder) throws {
        self.change = try ControlSatelliteChange(from: decoder).change
        guard self.change.serial != nil else {
            throw ControlRefusal(.badRequest, "bad_body", "the body cannot be read: `serial` is missing")
        }
    }

    func draft() throws -> SatelliteDraft {
        var draft = SatelliteDraft(serial: self.change.serial ?? "")
        draft.publicKey = self.change.publicKeys?.first
        if case .set(let key) = self.change.sharedKey { draft.sharedKey = key }
        if case .set(let group) = self.change.group { draft.group = group }
        draft.weight = self.change.weight ?? draft.weight
        draft.enabled = self.change.enabled ?? draft.enabled
        draft.affinity = self.change.affinity ?? draft.affinity
        return draft
    }
}

/// Changes to a satellite: what is absent stays, what is `null` goes back to its default.
struct ControlSatelliteChange: Decodable {
    private(set) var change = SatelliteChange()

    private enum Name: String, CaseIterable, CodingKey {
        case serial, enabled, group, weight, affinity
        case publicKey = "public_key"
        case sharedKey = "shared_key"
    }

    private struct AnyName: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Affinity: Decodable {
        var include: [String]?
        var exclude: [String]?
    }

    init(from decoder: any Decoder) throws {
        let known = Set(Name.allCases.map(\.rawValue))
        for name in try decoder.container(keyedBy: AnyName.self).allKeys where !known.contains(name.stringValue) {
            throw ControlRefusal(
                .badRequest,
                "bad_property",
                "`\(name.stringValue)` is not a property of a satellite; these are: \(known.sorted().joined(separator: ", "))"
            )
        }
        let body = try decoder.container(keyedBy: Name.self)
        if body.contains(.serial) { self.change.serial = try body.decode(String.self, forKey: .serial) }
        if body.contains(.enabled) {
            self.change.enabled = try body.decodeIfPresent(Bool.self, forKey: .enabled) ?? true
        }
        if body.contains(.weight) { self.change.weight = try body.decodeIfPresent(Int.self, forKey: .weight) ?? 1 }
        self.change.group = try Self.text(body, .group)
        self.change.sharedKey = try Self.text(body, .sharedKey)
        if body.contains(.affinity) {
            let affinity = try body.decodeIfPresent(Affinity.self, forKey: .affinity)
            self.change.affinity = DomainAffinity(include: affinity?.include ?? [], exclude: affinity?.exclude ?? [])
        }
        switch try Self.text(body, .publicKey) {
        case .set(let text): self.change.publicKeys = [try Self.key(text)]
        case .clear: self.change.publicKeys = []
        case nil: break
        }
    }

    private static func text(
        _ body: KeyedDecodingContainer<Name>,
        _ name: Name
    ) throws -> PropertyChange<String>? {
        guard body.contains(name) else { return nil }
        guard let text = try body.decodeIfPresent(String.self, forKey: name), !text.isEmpty else { return .clear }
        return .set(text)
    }

    private static func key(_ text: String) throws -> [UInt8] {
        do {
            return try Z85.decode(key: text)
        } catch {
            throw ControlRefusal(.badRequest, "bad_property", "`public_key` is not a CURVE key in Z85: 40 characters")
        }
    }
}
