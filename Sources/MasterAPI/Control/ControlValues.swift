// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import MailingModel
import MasterCore
import MasterStore
import ZeroMQ

/// A moment as ISO 8601, UTC.
private func iso(_ moment: Timestamp) -> String {
    Date(timeIntervalSince1970: Double(moment.milliseconds) / 1000).formatted(.iso8601)
}

/// A mailing as the control API shows it.
struct ControlMailing: Encodable {
    var id: Int32
    var status, subject, mailFrom, senderName: String
    var total, delivered, deferred, failed, uncertain, expired, pending: Int
    var created: String
    var started, ended: String?
    /// In the answer to its start: what receivers may refuse it for.
    var warnings: [String]?

    enum CodingKeys: String, CodingKey {
        case id, status, subject, total, delivered, deferred, failed, uncertain, expired, pending, created, started,
            ended, warnings
        case mailFrom = "mail_from"
        case senderName = "sender_name"
    }

    init(_ mailing: Mailing, warnings: [String]? = nil) {
        self.warnings = warnings
        self.id = mailing.id.rawValue
        self.status = "\(mailing.status)"
        self.subject = mailing.subject
        self.mailFrom = mailing.properties.mailFrom
        self.senderName = mailing.properties.senderName
        self.total = mailing.counters.total
        self.delivered = mailing.counters.delivered
        self.deferred = mailing.counters.deferred
        self.failed = mailing.counters.failed
        self.uncertain = mailing.counters.uncertain
        self.expired = mailing.counters.expired
        self.pending = mailing.counters.pending
        self.created = iso(mailing.created)
        self.started = mailing.started.map(iso)
        self.ended = mailing.ended.map(iso)
    }
}

/// What a mailing is created from.
struct ControlMailingDraft: Decodable {
    /// One signature.
    struct DKIM: Decodable {
        var domain, selector, privateKey: String

        enum CodingKeys: String, CodingKey {
            case domain, selector
            case privateKey = "private_key"
        }
    }

    var from: String
    var senderName: String?
    var subject: String
    var html: String
    var plain: String?
    var trackingURL: String?
    var clickTracking: Bool?
    var dkim: [DKIM]?

    enum CodingKeys: String, CodingKey {
        case from, subject, html, plain, dkim
        case senderName = "sender_name"
        case trackingURL = "tracking_url"
        case clickTracking = "click_tracking"
    }

    var draft: MailingDraft {
        MailingDraft(
            content: .alternative(html: self.html, plain: self.plain),
            mailFrom: self.from,
            senderName: self.senderName ?? "",
            subject: self.subject
        )
    }

    var change: MailingChange {
        var change = MailingChange()
        change.trackingURL = self.trackingURL.map { .set($0) }
        change.clickTracking = self.clickTracking
        change.dkim = self.dkim?.map {
            DKIMSettingDraft(domain: $0.domain, selector: $0.selector, privateKey: $0.privateKey)
        }
        return change
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
    var email, state: String
    var uncertain: Bool
    var replyCode: Int?
    var enhancedStatus, replyText, stage, satellite, mxHost: String?
    var tries: Int
    var modified: String
    var nextTry: String?

    enum CodingKeys: String, CodingKey {
        case id, mailing, email, state, uncertain, stage, satellite, tries, modified
        case replyCode = "reply_code"
        case enhancedStatus = "enhanced_status"
        case replyText = "reply_text"
        case mxHost = "mx"
        case nextTry = "next_try"
    }

    init(_ report: RecipientReport) {
        self.id = report.trackingID
        self.mailing = report.recipient.mailing.rawValue
        self.email = report.address
        self.state = "\(report.state)"
        self.uncertain = report.uncertain
        self.replyCode = report.trace?.replyCode
        self.enhancedStatus = report.trace?.enhancedStatus
        self.replyText = report.trace?.text
        self.stage = report.trace?.stage.rawValue
        self.mxHost = report.trace?.mxHost
        self.satellite = report.satellite
        self.tries = report.tryCount
        self.modified = iso(report.modified)
        self.nextTry = report.nextTry.map(iso)
    }
}

/// An API key; the secret only when it is made.
struct ControlKey: Encodable {
    var id, name, created: String
    var revoked, key: String?

    init(_ record: APIKeyRecord, secret: String? = nil) {
        self.id = record.publicID
        self.name = record.name
        self.created = iso(record.created)
        self.revoked = record.revoked.map(iso)
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
